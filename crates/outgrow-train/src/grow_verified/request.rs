//! What is to be done to a model, whatever kind of folder it lies in.

use outgrow_core::{
    Architecture, Growth,
    edit::Initializer,
    event::Preservation,
    growth::{Grown, all_preserve, grow_all},
};

use super::error::GrowError;
use crate::{device::Device, dtype::Dtype};

/// What a model is to be grown by.
#[derive(Clone, Copy, Debug)]
pub struct GrowRequest<'a> {
    /// Transforms and operators, in order.
    pub growths: &'a [Growth],
    /// How free entries are made.
    pub initializer: &'a Initializer,
    /// The seed of all draws.
    pub seed: u64,
    /// Where a checkpoint is computed; a folder of transformers is computed on the processor.
    pub device: Device,
    /// The type that a folder of transformers is stored in [default: that of its weights]; none for
    /// a checkpoint, which keeps its own.
    pub dtype: Option<Dtype>,
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

/// Refuses a growth that broke its promise to preserve the function.
pub(super) fn check_promise(
    preserving: bool,
    preservation: &Preservation,
    hint: String,
) -> Result<(), GrowError> {
    if !preserving || preservation.holds() {
        return Ok(());
    }
    Err(GrowError::NotPreserved {
        error: preservation.error(),
        tolerance: preservation.tolerance,
        hint,
    })
}
