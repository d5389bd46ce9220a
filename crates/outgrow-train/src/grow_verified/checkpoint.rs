//! A checkpoint, grown.

use std::path::Path;

use outgrow_core::event::Preservation;
use tch::no_grad;

use super::{
    error::GrowError,
    probe::{PROBE_LEN, compare, probe},
    request::{GrowRequest, check_promise},
};
use crate::{
    checkpoint::Checkpoint,
    device::Device,
    finite::finite,
    room::{self, Need},
    state::{GrowOptions, TrainingState},
};

/// A checkpoint's model, grown.
pub struct GrownCheckpoint {
    /// Before.
    pub before: TrainingState,
    /// After.
    pub after: TrainingState,
    /// Whether all growths claim to preserve the function.
    pub preserving: bool,
    /// What a probe with random tokens says.
    pub preservation: Preservation,
}

impl GrownCheckpoint {
    /// Grows the model of the checkpoint in `from`.
    ///
    /// # Errors
    /// If it can't be read, or a growth does not apply.
    pub fn read(from: &Path, request: &GrowRequest, device: Device) -> Result<Self, GrowError> {
        let before = finite(Checkpoint::read(from, device)?.state)?;
        let architecture = before.architecture().clone();
        let grown = request.apply_to(&architecture)?;
        room::check(
            &grown.architecture,
            Need { each: bytes_of_each(&before), device, disk: None },
        )?;
        let GrowRequest { initializer, seed, .. } = *request;
        let options = GrowOptions { initializer, copies: false, seed, event: 0 };
        let after = no_grad(|| before.grown(&grown, &options));
        let tokens = probe(&architecture, [4, PROBE_LEN], seed).to_device(device.tch());
        let targets = tokens.remainder(architecture.n_outputs as i64);
        let preservation = compare(&before, &after, &tokens, &targets);
        Ok(Self { preserving: request.preserves(&architecture), preservation, before, after })
    }

    /// Writes the grown model to `to`; one that broke its promise to preserve the function is not
    /// written.
    ///
    /// # Errors
    /// If the function moved against the growths' claim, or the folder can't be written.
    pub fn write(self, to: &Path) -> Result<(), GrowError> {
        check_promise(self.preserving, &self.preservation, String::new)?;
        let disk = Some((to, bytes_of_each(&self.after)));
        room::check(self.after.architecture(), Need { each: 0, device: Device::Cpu, disk })?;
        // The grown model is no trial's any more, but its optimizer goes along.
        Ok(Checkpoint { state: self.after, progress: None }.write(to).map(drop)?)
    }
}

/// Bytes that a state takes for each parameter: of its weight alone, or with moments and age.
fn bytes_of_each(state: &TrainingState) -> u64 {
    let weight = state.master().elt_size_in_bytes() as u64;
    if state.step > 0 { 3 * weight + 4 } else { weight }
}
