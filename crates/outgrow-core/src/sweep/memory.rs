//! What training a trial takes of memory, as it is predicted.

use super::{settings::Trial, spec::Precision};
use crate::{
    flops::{head_widths, train_flops},
    model::{Architecture, LayerShape, n_parameters},
};

/// How gradients are computed, as far as memory is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backward {
    /// In buffers that live as long as the architecture does.
    Fused,
    /// By libtorch, which keeps what it needs from the forward pass.
    Autograd,
}

/// Predicted peak bytes of training a trial with its batch in `micro_batches`: the largest of its
/// steps and growths, from above; saturates instead of overflowing. The tests hold it to what is
/// measured.
pub fn training_bytes(trial: &Trial, micro_batches: usize, backward: Backward) -> u64 {
    let training = &trial.settings.training;
    let number = number_bytes(training.precision);
    let batch = training.batch_size.div_ceil(micro_batches);
    let target = trial.plan.target();
    let activations = match backward {
        Backward::Fused => activation_bytes(target, batch, number),
        // Measured: it keeps inputs of elementwise operations, too.
        Backward::Autograd => activation_bytes(target, batch, number).saturating_mul(2),
    };
    // The optimizer's intermediate results come when the activations have gone.
    let step = state_bytes(target, number)
        .saturating_add(activations.max(4 * number as u64 * n_parameters(target)));
    let growth = |stage: usize| {
        let [old, new] = [stage, stage + 1].map(|stage| trial.plan.architecture_after(stage));
        // The state before and after, the doctor's copy of it, gradients and updates; and what a
        // probe keeps.
        let states = (5 * n_parameters(old) + 16 * n_parameters(new)) * number as u64;
        activation_bytes(new, PROBE, number).saturating_mul(2).saturating_add(states)
    };
    (0..trial.plan.stages().len()).map(growth).fold(step, u64::max)
}

/// Sequences of the largest batch around a growth that gradients are computed of.
const PROBE: usize = 4;

fn number_bytes(precision: Precision) -> usize {
    match precision {
        Precision::Float64 => 8,
        // Of bfloat16, the stream and all gradients are kept in float32 beside it.
        Precision::Float32 | Precision::Bfloat16 => 4,
    }
}

/// The fewest micro-batches, at least `from`, with which a trial is predicted to train within
/// `available` bytes; none if not even one sequence at a time fits.
pub fn micro_batches_that_fit(
    trial: &Trial,
    available: u64,
    from: usize,
    backward: Backward,
) -> Option<usize> {
    let fits = |micro_batches: &usize| training_bytes(trial, *micro_batches, backward) <= available;
    cuts(trial.settings.training.batch_size)
        .filter(|micro_batches| *micro_batches >= from)
        .find(fits)
}

/// The next larger number of equal micro-batches that a batch can be cut into.
pub fn more_micro_batches(batch_size: usize, micro_batches: usize) -> Option<usize> {
    cuts(batch_size).find(|more| *more > micro_batches)
}

/// How many replicates of a trial are worth training as one model on a GPU, the trial among them.
///
/// Small steps leave a GPU idle, for it takes longer to launch their kernels than to run them:
/// about 500 launches of 6 µs, in which it could do `BUSY_FLOPS`. Replicates fill a step up to
/// there. (An estimate from those figures, not a measurement.)
pub fn replicates_that_pay(trial: &Trial) -> usize {
    let target = trial.plan.target();
    let step = train_flops(target, target.seq_len) * trial.settings.training.batch_size as u128;
    (BUSY_FLOPS / step.max(1)).clamp(1, MOST_REPLICATES) as usize
}

/// FLOPs of a step that keeps a GPU busy.
const BUSY_FLOPS: u128 = 1_000_000_000_000;

/// More replicates than a comparison needs.
const MOST_REPLICATES: u128 = 32;

fn cuts(batch_size: usize) -> impl Iterator<Item = usize> {
    (1..=batch_size).filter(move |micro_batches| batch_size.is_multiple_of(*micro_batches))
}

/// Bytes that a training step keeps for its backward pass, for `batch` sequences in a dtype of
/// `bytes_per_value` bytes.
///
/// An estimate from above for unfused attention: every input of a matrix product and of a
/// nonlinearity is kept.
fn activation_bytes(architecture: &Architecture, batch: usize, bytes_per_value: usize) -> u64 {
    let (s, h, o) = (
        architecture.seq_len as u128,
        architecture.d_model as u128,
        architecture.n_outputs as u128,
    );
    // Before and after the nonlinearity; with a gate, what it opens and how far, too.
    let per_unit = if architecture.form.gated { 4 } else { 2 };
    let layer = |layer: &LayerShape| {
        let ([queries, keys, values, mixed], d_ff) =
            (head_widths(layer).map(u128::from), layer.d_ff as u128);
        // Two residuals, two normed copies; with gains what they are gains on.
        let stream = s * h * if architecture.form.branch_gains { 6 } else { 4 };
        let heads = s * (queries + keys + values + mixed) + 2 * s * s * layer.n_heads() as u128; // q, k, v, output; scores, weights
        stream + heads + s * per_unit * d_ff
    };
    let outside = s * 6 * h + s * 2 * o; // input, normed output, what goes from layer to layer; logits and their softmax
    // What a layer needs for itself goes from one to the next.
    let room = architecture.layers.iter().map(layer).max().unwrap_or(0);
    let values = architecture.layers.iter().map(layer).sum::<u128>() + room + outside;
    let bytes = values.saturating_mul(batch as u128).saturating_mul(bytes_per_value as u128);
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

/// Bytes of weights, gradients and both AdamW moments of so many bytes each, and of birth numbers.
fn state_bytes(architecture: &Architecture, bytes_per_value: usize) -> u64 {
    n_parameters(architecture).saturating_mul(4 * bytes_per_value as u64 + 4)
}
