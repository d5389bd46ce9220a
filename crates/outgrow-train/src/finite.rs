//! Weights and logits that are no finite numbers.

use tch::{Tensor, no_grad};

use crate::state::TrainingState;

/// A model whose weights are no numbers.
#[derive(Debug, PartialEq, thiserror::Error)]
#[error("the parameter {name} holds {what}: the model diverged, and nothing can be said of it")]
pub struct NotFinite {
    /// The parameter, as files name it.
    pub name: String,
    /// `NaN` or `infinity`.
    pub what: &'static str,
}

/// The state, unless one of its weights is NaN or infinite.
pub(crate) fn finite(state: TrainingState) -> Result<TrainingState, NotFinite> {
    check_finite(&state).map(|()| state)
}

pub(crate) fn check_finite(state: &TrainingState) -> Result<(), NotFinite> {
    let weights = state.parts().weights;
    match weights.iter().find_map(|(id, weight)| Some((id, not_finite(weight)?))) {
        None => Ok(()),
        Some((id, what)) => Err(NotFinite { name: id.to_string(), what }),
    }
}

/// What a tensor holds that is no finite number; none if all are.
pub(crate) fn not_finite(tensor: &Tensor) -> Option<&'static str> {
    // NaN is the least and the greatest of any numbers that it is among.
    let (least, greatest) = no_grad(|| tensor.aminmax(None, false));
    let ends = [least, greatest].map(|end| end.double_value(&[]));
    if ends.iter().all(|end| end.is_finite()) {
        return None;
    }
    Some(if ends.iter().any(|end| end.is_nan()) { "NaN" } else { "infinity" })
}
