//! Is the function preserved? What a model says to a probe, before and after a growth.

use outgrow_core::{Architecture, event::Preservation, stream::stream};
use rand::RngExt;
use tch::{Kind, Tensor, no_grad};

use crate::{
    model::{Model, cross_entropy},
    state::TrainingState,
};

/// How far logits may move, relative to the larger of 1 and the largest logit, by rounding alone.
pub fn tolerance(kind: Kind) -> f64 {
    match kind {
        Kind::Double => 1e-11,
        _ => 1e-5,
    }
}

/// Runs the same probe batch through a model before and after a growth, in the kind of its master
/// weights: what growing does is asked, not what a low precision does to both.
pub(crate) fn compare(
    before: &TrainingState,
    after: &TrainingState,
    inputs: &Tensor,
    targets: &Tensor,
) -> Preservation {
    let logits = |state: &TrainingState| {
        no_grad(|| Model::new(state.architecture(), state.weights(state.master())).logits(inputs))
    };
    preservation(&logits(before), &logits(after), targets, before.master())
}

/// What the logits of a probe say, of a model before and after a growth that were computed in a
/// kind.
pub(crate) fn preservation(
    old: &Tensor,
    new: &Tensor,
    targets: &Tensor,
    computed: Kind,
) -> Preservation {
    let max = |tensor: &Tensor| tensor.abs().max().double_value(&[]);
    Preservation {
        max_logit_change: max(&(new - old)),
        max_logit: max(old),
        loss_before: cross_entropy(old, targets).double_value(&[]),
        loss_after: cross_entropy(new, targets).double_value(&[]),
        tolerance: tolerance(computed),
    }
}

/// No probe is longer: a model may say that it reads a million positions, and attention takes their
/// square.
pub(crate) const PROBE_LEN: usize = 128;

/// Random token ids to probe a model with, so many sequences of `longest` tokens, or of as many as
/// the model reads.
pub(crate) fn probe(
    architecture: &Architecture,
    [sequences, longest]: [usize; 2],
    seed: u64,
) -> Tensor {
    let mut rng = stream(seed, "probe");
    let length = architecture.seq_len.min(longest);
    let ids = (0..sequences * length).map(|_| rng.random_range(0..architecture.vocab_size as i64));
    Tensor::from_slice(&ids.collect::<Vec<_>>()).view([sequences as i64, length as i64])
}
