//! What a model costs: parameters, FLOPs, memory.
//!
//! **The FLOP convention, stated once.** A multiply-add counts 2. Counted are the matrix products:
//! projections, attention scores and weighted values, MLP, unembedding. Not counted are norms,
//! softmax, ReLU, additions, the embedding look-up and the optimizer. Causal attention is counted
//! in full, as it is computed with a mask. A backward pass is twice the forward. This agrees
//! exactly with PyTorch's `torch.utils.flop_counter.FlopCounterMode` on an equivalent model whose
//! attention is written as two matrix products (`scripts/check_flops.py` holds that).

use crate::model::{Architecture, Axis, LayerShape};

/// FLOPs of one forward pass over one sequence of `seq_len` tokens.
pub fn forward_flops(architecture: &Architecture, seq_len: usize) -> u128 {
    let (s, h) = (seq_len as u128, architecture.d_model as u128);
    let gated = architecture.form.gated;
    let layers: u128 =
        architecture.layers.iter().map(|layer| layer_flops(layer, gated, h, s)).sum();
    layers + 2 * s * h * architecture.n_outputs as u128
}

fn layer_flops(layer: &LayerShape, gated: bool, h: u128, s: u128) -> u128 {
    let [queries, keys, values, mixed] = head_widths(layer).map(u128::from);
    let projections = 2 * s * h * (queries + keys + values + mixed);
    let attention = 2 * s * s * (queries + mixed);
    let mlp = 2 * s * h * layer.d_ff as u128 * if gated { 3 } else { 2 };
    projections + attention + mlp
}

pub(crate) fn head_widths(layer: &LayerShape) -> [u64; 4] {
    [Axis::Query, Axis::Key, Axis::Value, Axis::Mixed].map(|axis| layer.width(axis) as u64)
}

/// FLOPs of training on one sequence of `seq_len` tokens: forward + backward.
pub fn train_flops(architecture: &Architecture, seq_len: usize) -> u128 {
    3 * forward_flops(architecture, seq_len)
}

/// The same per token of a whole sequence.
pub fn train_flops_per_token(architecture: &Architecture) -> f64 {
    train_flops(architecture, architecture.seq_len) as f64 / architecture.seq_len as f64
}
