//! What is to be done to a model, whatever kind of folder it lies in.

use outgrow_core::{
    Architecture, Growth,
    edit::Initializer,
    event::Preservation,
    growth::{Grown, all_preserve, grow_all},
};

use super::error::GrowError;

/// What a model is to be grown by.
#[derive(Clone, Copy, Debug)]
pub struct GrowRequest<'a> {
    /// Transforms and operators, in order.
    pub growths: &'a [Growth],
    /// How free entries are made.
    pub initializer: &'a Initializer,
    /// Of all draws.
    pub seed: u64,
}

impl GrowRequest<'_> {
    /// The edits that grow a model of this architecture.
    pub(super) fn apply_to(&self, architecture: &Architecture) -> Result<Grown, GrowError> {
        grow_all(architecture, self.growths, self.seed)
            .map_err(|(number, error)| GrowError::Growth { number, error })
    }

    /// Whether all growths claim to preserve the function.
    pub(super) fn preserves(&self, architecture: &Architecture) -> bool {
        all_preserve(architecture, self.growths)
    }
}

/// Refuses a growth that broke its promise to preserve the function; `hint` says what may help.
pub(super) fn check_promise(
    preserving: bool,
    preservation: &Preservation,
    hint: impl FnOnce() -> String,
) -> Result<(), GrowError> {
    if !preserving || preservation.holds() {
        return Ok(());
    }
    Err(GrowError::NotPreserved {
        error: preservation.error(),
        tolerance: preservation.tolerance,
        hint: hint(),
    })
}
