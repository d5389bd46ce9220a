//! A grown model before it is in its place.

use std::path::Path;

use outgrow_core::{Architecture, event::Preservation};

use super::error::GrowError;
use crate::{
    checkpoint::Checkpoint,
    device::Device,
    dtype::Dtype,
    hub::{Aside, LeftOut, Written},
    room::{self, Need},
    state::TrainingState,
};

/// A model that was grown and probed; dropped, nothing is left of it.
pub(super) struct Candidate {
    pub(super) before: Architecture,
    /// As what will be read says it.
    pub(super) after: Architecture,
    pub(super) dtype: Dtype,
    pub(super) preservation: Preservation,
    /// What may help where the function was not preserved; begins with `; ` or is empty.
    pub(super) hint: String,
    /// What a user should know of the model that was grown.
    pub(super) notes: Vec<String>,
    pub(super) unpublished: Unpublished,
}

/// Where a grown model is until then.
pub(super) enum Unpublished {
    /// In memory, with its optimizer if it has one.
    State(Box<TrainingState>),
    /// On the disk, beside its place.
    Folder(Aside, Written),
}

impl Unpublished {
    /// Brings it to its place; gives the files that it lacks of the folder that it was grown from.
    pub(super) fn publish(
        self,
        to: &Path,
        tell: &dyn Fn(String),
    ) -> Result<Vec<LeftOut>, GrowError> {
        match self {
            Unpublished::State(state) => {
                tell(format!("writing {}", to.display()));
                let disk = Some((to, bytes_of_each(&state)));
                room::check(state.architecture(), Need { each: 0, device: Device::Cpu, disk })?;
                // It is no trial's any more, but its optimizer goes along.
                Checkpoint { state: *state, progress: None }.write(to)?;
                Ok(vec![])
            }
            Unpublished::Folder(aside, written) => {
                aside.settle(to)?;
                Ok(written.left_out)
            }
        }
    }
}

/// Bytes that a state takes for each parameter: of its weight alone, or with moments and age.
pub(super) fn bytes_of_each(state: &TrainingState) -> u64 {
    let weight = state.master().elt_size_in_bytes() as u64;
    if state.step > 0 { 3 * weight + 4 } else { weight }
}
