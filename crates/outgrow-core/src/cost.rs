//! What a model costs: parameters, FLOPs, memory.
//!
//! **The FLOP convention, stated once.** A multiply-add counts 2. Counted are the matrix products: projections, attention
//! scores and weighted values, MLP, unembedding. Not counted are norms, softmax, ReLU, additions, the embedding look-up
//! and the optimizer. Causal attention is counted in full, as it is computed with a mask. A backward pass is twice the
//! forward. This agrees exactly with PyTorch's `torch.utils.flop_counter.FlopCounterMode` on an equivalent model whose
//! attention is written as two matrix products (`scripts/check_flops.py` holds that).

use crate::{
    architecture::{Architecture, LayerShape},
    param,
    sweep::{Precision, TrainingSpec, Trial},
};

/// Number of trainable parameters; saturates instead of overflowing.
pub fn parameters(architecture: &Architecture) -> u64 {
    let sizes = param::parameters(architecture).into_iter().map(|id| id.n_entries(architecture));
    sizes.fold(0, u64::saturating_add)
}

/// Number of parameters without the token embedding, the positions and the unembedding.
pub fn non_embedding_parameters(architecture: &Architecture) -> u64 {
    let tables = (architecture.vocab_size + architecture.seq_len + architecture.n_outputs) * architecture.d_model;
    parameters(architecture) - tables as u64
}

/// FLOPs of one forward pass over one sequence of `seq_len` tokens.
pub fn forward_flops(architecture: &Architecture, seq_len: usize) -> u64 {
    let (s, h) = (seq_len as u64, architecture.d_model as u64);
    let layers: u64 = architecture.layers.iter().map(|layer| layer_flops(layer, h, s)).sum();
    layers + 2 * s * h * architecture.n_outputs as u64
}

fn layer_flops(layer: &LayerShape, h: u64, s: u64) -> u64 {
    let (keys, values, d_ff) = (layer.keys() as u64, layer.values() as u64, layer.d_ff as u64);
    let projections = 2 * s * h * (2 * keys + 2 * values);
    let attention = 2 * s * s * (keys + values);
    let mlp = 2 * s * h * 2 * d_ff;
    projections + attention + mlp
}

/// FLOPs of training on one sequence of `seq_len` tokens: forward + backward.
pub fn train_flops(architecture: &Architecture, seq_len: usize) -> u64 {
    3 * forward_flops(architecture, seq_len)
}

/// Bytes that training a model takes at its peak, as they are predicted: state and activations, the batch in so many parts.
pub fn training_bytes(architecture: &Architecture, training: &TrainingSpec, parts: usize) -> u64 {
    let bytes = match training.precision {
        Precision::Float64 => 8,
        // Of bfloat16, the stream and the logits are kept in float32 beside it.
        Precision::Float32 | Precision::Bfloat16 => 4,
    };
    state_bytes(architecture) + activation_bytes(architecture, training.batch_size.div_ceil(parts), bytes)
}

/// Into how many parts a trial's batch must be cut so that it is predicted to train within `available` bytes, at least `from`;
/// none if not even one sequence at a time fits.
pub fn parts_that_fit(trial: &Trial, available: u64, from: usize) -> Option<usize> {
    let training = &trial.settings.training;
    let fits = |parts: &usize| training_bytes(trial.plan.target(), training, *parts) <= available;
    parts_of(training.batch_size).filter(|parts| *parts >= from).find(fits)
}

/// The next larger number of equal parts that a batch can be cut into.
pub fn more_parts(batch_size: usize, parts: usize) -> Option<usize> {
    parts_of(batch_size).find(|more| *more > parts)
}

fn parts_of(batch_size: usize) -> impl Iterator<Item = usize> {
    (1..=batch_size).filter(move |parts| batch_size.is_multiple_of(*parts))
}

/// Bytes that a training step keeps for its backward pass, for `batch` sequences in a dtype of `bytes_per_value` bytes.
///
/// An estimate from above for unfused attention: every input of a matrix product and of a nonlinearity is kept.
pub fn activation_bytes(architecture: &Architecture, batch: usize, bytes_per_value: usize) -> u64 {
    let (s, h, o) = (architecture.seq_len as u64, architecture.d_model as u64, architecture.n_outputs as u64);
    let layer = |layer: &LayerShape| {
        let (keys, values, d_ff) = (layer.keys() as u64, layer.values() as u64, layer.d_ff as u64);
        let stream = s * 4 * h; // two residuals, two normed copies
        let heads = s * (2 * keys + 2 * values) + 2 * s * s * layer.heads.len() as u64; // q, k, v, output; scores, weights
        stream + heads + s * 2 * d_ff // before and after ReLU
    };
    let outside = s * 2 * h + s * 2 * o; // input and normed output; logits and their softmax
    let values = architecture.layers.iter().map(layer).sum::<u64>() + outside;
    values * batch as u64 * bytes_per_value as u64
}

/// Bytes of weights, gradients, both AdamW moments and birth steps in float32.
pub fn state_bytes(architecture: &Architecture) -> u64 {
    parameters(architecture).saturating_mul(20)
}
