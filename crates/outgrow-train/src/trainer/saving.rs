//! Checkpoints of a member.

use std::path::{Path, PathBuf};

use outgrow_core::{
    Event,
    event::{CheckpointEvent, Control, Receiver},
};

use super::member::Member;
use crate::{
    checkpoint::{self, Checkpoint, CheckpointError, Progress},
    state::TrainingState,
};

/// Writes a state to a folder, or its weights alone.
pub(super) fn write(
    state: TrainingState,
    progress: Progress,
    folder: &Path,
    weights_only: bool,
) -> Result<CheckpointEvent, CheckpointError> {
    // What lies there from an attempt that was killed before it could record it does not count.
    let _ = std::fs::remove_dir_all(folder);
    let at = progress.at;
    let checkpoint = Checkpoint { state, progress: Some(progress) };
    let (digest, bytes) = match weights_only {
        true => checkpoint.write_weights(folder),
        false => checkpoint.write(folder),
    }?;
    Ok(CheckpointEvent { at, path: folder.display().to_string(), digest, bytes })
}

impl Member<'_> {
    /// The folder of the checkpoint of a step; none if it is the last that was saved.
    pub(super) fn unsaved(&self, step: u64) -> Option<PathBuf> {
        let folder = checkpoint::step_folder(&self.job.checkpoints, step, self.job.epoch);
        (self.saved.last() != Some(&folder)).then_some(folder)
    }

    /// Tells of a checkpoint that was written to `folder`, and only then, if it was recorded,
    /// removes all but the last `keep`: what the receiver of the event has recorded is on disk at
    /// any time.
    pub(super) fn saved_to(
        &mut self,
        folder: PathBuf,
        event: CheckpointEvent,
        keep: usize,
        receiver: &mut dyn Receiver,
    ) {
        let request = self.tell(receiver, Event::Checkpoint(event));
        self.saved.push(folder);
        if request == Control::Continue {
            let kept = self.saved.split_off(self.saved.len().saturating_sub(keep));
            checkpoint::remove_others(&self.job.checkpoints, &kept, self.job.epoch);
            self.saved = kept;
        }
    }
}
