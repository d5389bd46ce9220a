//! What a model costs: parameters, FLOPs, memory.
//!
//! **The FLOP convention, stated once.** A multiply-add counts 2. Counted are the matrix products:
//! projections, attention scores and weighted values, MLP, unembedding. Not counted are norms,
//! softmax, ReLU, additions, the embedding look-up and the optimizer. Causal attention is counted
//! in full, as it is computed with a mask. A backward pass is twice the forward. This agrees
//! exactly with PyTorch's `torch.utils.flop_counter.FlopCounterMode` on an equivalent model whose
//! attention is written as two matrix products (`scripts/check_flops.py` holds that). Budgets are
//! counted so.
//!
//! Reports give a second count beside it, as kernels for causal attention compute it: of s² pairs of
//! a query and a key only the s (s + 1) / 2 whose key is not later.

use crate::model::{Architecture, Axis, LayerShape};

/// FLOPs of one forward pass over one sequence of `seq_len` tokens.
pub fn forward_flops(architecture: &Architecture, seq_len: usize) -> u128 {
    let s = seq_len as u128;
    forward(architecture, s, s * s)
}

/// With attention over this number of pairs of a query and a key.
fn forward(architecture: &Architecture, s: u128, pairs: u128) -> u128 {
    let h = architecture.d_model as u128;
    let mlps = if architecture.form.gated { 3 } else { 2 };
    let layer = |layer: &LayerShape| {
        let [queries, keys, values, mixed] = head_widths(layer).map(u128::from);
        let projections = 2 * s * h * (queries + keys + values + mixed);
        let attention = 2 * pairs * (queries + mixed);
        projections + attention + 2 * s * h * layer.d_ff as u128 * mlps
    };
    let layers: u128 = architecture.layers.iter().map(layer).sum();
    layers + 2 * s * h * architecture.n_outputs as u128
}

pub(crate) fn head_widths(layer: &LayerShape) -> [u64; 4] {
    [Axis::Query, Axis::Key, Axis::Value, Axis::Mixed].map(|axis| layer.width(axis) as u64)
}

/// FLOPs of training on one sequence of `seq_len` tokens: forward + backward.
pub fn train_flops(architecture: &Architecture, seq_len: usize) -> u128 {
    3 * forward_flops(architecture, seq_len)
}

/// The same with causal attention counted as causal.
pub fn causal_train_flops(architecture: &Architecture, seq_len: usize) -> u128 {
    let s = seq_len as u128;
    3 * forward(architecture, s, s * (s + 1) / 2)
}

/// `train_flops` per token of a whole sequence.
pub fn train_flops_per_token(architecture: &Architecture) -> f64 {
    train_flops(architecture, architecture.seq_len) as f64 / architecture.seq_len as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Form, HeadShape, Norm};

    #[test]
    fn attention_is_counted_in_full_or_as_causal() {
        let heads = vec![HeadShape { n_queries: 1, d_k: 2, d_v: 3 }; 2];
        let architecture = Architecture {
            vocab_size: 7,
            n_outputs: 5,
            seq_len: 4,
            d_model: 6,
            layers: vec![LayerShape::own(heads, 8)],
            form: Form { gated: false, ..Form::decoder(Norm::RmsNorm, 0.0) },
        };
        // For 4 tokens: queries and keys of 4, values and mixed values of 6; MLP; unembedding.
        let products = 2 * 4 * 6 * (4 + 4 + 6 + 6) + 2 * (2 * 4 * 6 * 8) + 2 * 4 * 6 * 5;
        // Scores are sums of 4 products, mixed values of 6 a key: for 4 · 4 pairs, or for
        // 1 + 2 + 3 + 4.
        assert_eq!(train_flops(&architecture, 4), 3 * (products + 16 * 2 * (4 + 6)));
        assert_eq!(causal_train_flops(&architecture, 4), 3 * (products + 10 * 2 * (4 + 6)));
    }
}
