//! A checkpoint, grown in memory.

use std::path::Path;

use outgrow_core::event::Preservation;
use tch::no_grad;

use super::{
    candidate::{Candidate, Unpublished, bytes_of_each},
    error::GrowError,
    probe::{PROBE_LEN, compare, probe},
    request::GrowRequest,
};
use crate::{
    checkpoint::Checkpoint,
    finite::finite,
    room::{self, Need},
    state::{GrowOptions, TrainingState},
};

/// The model of a checkpoint or of a folder of transformers, grown in memory.
pub struct GrownCheckpoint {
    /// The state that was read.
    pub before: TrainingState,
    /// The state after the growths.
    pub after: TrainingState,
    /// Whether all growths claim to preserve the function.
    pub preserving: bool,
    /// What a probe with random tokens says.
    pub preservation: Preservation,
}

impl GrownCheckpoint {
    /// Grows the model in `from`; nothing is written.
    ///
    /// # Errors
    /// If it can't be read, a growth does not apply, or the memory of the device is too small.
    pub fn read(from: &Path, request: &GrowRequest) -> Result<Self, GrowError> {
        let GrowRequest { initializer, seed, device, .. } = *request;
        let before = finite(Checkpoint::read(from, device)?.state)?;
        let architecture = before.architecture().clone();
        let grown = request.apply_to(&architecture)?;
        let need = Need { each: bytes_of_each(&before), device, disk: None };
        room::check(&grown.architecture, need)?;
        let options = GrowOptions { initializer, copies: false, seed, event: 0 };
        let after = no_grad(|| before.grown(&grown, &options));
        let tokens = probe(&architecture, [4, PROBE_LEN], seed).to_device(device.tch());
        let targets = tokens.remainder(architecture.n_outputs as i64);
        let preservation = compare(&before, &after, &tokens, &targets);
        Ok(Self { preserving: request.preserves(&architecture), preservation, before, after })
    }
}

/// Grows a checkpoint of ours.
pub(super) fn grow(from: &Path, request: &GrowRequest) -> Result<Candidate, GrowError> {
    if request.dtype.is_some() {
        return Err(GrowError::Dtype);
    }
    let GrownCheckpoint { before, after, preservation, .. } = GrownCheckpoint::read(from, request)?;
    Ok(Candidate {
        before: before.architecture().clone(),
        after: after.architecture().clone(),
        dtype: after.dtype(),
        preservation,
        hint: String::new(),
        notes: vec![],
        unpublished: Unpublished::State(Box::new(after)),
    })
}
