//! Operators that are fitted to training text, or to the weights that are there.

mod grad_max;
mod lesa;
mod ligo;

use outgrow_core::{Architecture, Operator};
use tch::Tensor;

use crate::state::TrainingState;

/// The grown state with what the operator fitted to batches of training text: `batch(n, sequences)`
/// gives the inputs and targets of its nth, or none if it is to stop; then there is no state,
/// either.
pub fn fit(
    operator: &Operator,
    before: &TrainingState,
    grown: TrainingState,
    seed: u64,
    batch: &dyn Fn(u64, u64) -> Option<(Tensor, Tensor)>,
) -> Option<TrainingState> {
    match operator {
        Operator::Ligo(ligo) => ligo::fit(ligo, before, grown, seed, batch),
        Operator::GradMax(grad_max) => grad_max::fit(grad_max, before, grown, batch),
        Operator::Lesa(lesa) => Some(lesa::fit(lesa, before, grown, seed)),
        other => unreachable!("{} is not fitted", other.name()),
    }
}

/// Whether an architecture has more of something than another: for the parts of it that are
/// learned.
fn grew(
    before: &Architecture,
    after: &Architecture,
    of: impl Fn(&Architecture) -> usize,
) -> Option<(usize, usize)> {
    let (old, new) = (of(before), of(after));
    (new > old).then_some((old, new))
}
