//! The state that a training goes on from.

use std::path::{Path, PathBuf};

use outgrow_core::{ParamKind, Trial, event::Position};
use tch::{Kind, no_grad};

use super::job::{Job, Prefix, Saved, TrainError};
use crate::{
    checkpoint::{self, Checkpoint, CheckpointError, Progress, Window},
    device::Device,
    state::TrainingState,
    step::kinds,
};

/// The state that a trial goes on from: its last checkpoint's, another trial's, that of the model
/// that it begins with, or a new one.
pub(super) fn start(job: &Job, device: Device) -> Result<(TrainingState, Progress), TrainError> {
    let trial = &job.trial;
    let resumed = resume(job, device).or_else(|| from_prefix(job, device));
    let recorded: Vec<PathBuf> = job.resume.iter().map(|saved| saved.folder.clone()).collect();
    checkpoint::remove_others(&job.checkpoints, &recorded, job.epoch);
    if let Some(resumed) = resumed {
        return Ok(resumed);
    }
    let (at, window) = (Position::default(), Window::default());
    let (stages, evaluation_due, paths) = (0, false, None);
    let progress = Progress { trial: trial.id(), at, stages, window, evaluation_due, paths };
    let master = kinds(trial.settings.training.precision).1;
    let state = match (&trial.settings.initial, &job.initial) {
        (Some(digest), Some(folder)) => initial(trial, digest, folder, master, device)?,
        (Some(digest), None) => return Err(TrainError::NoInitial(digest.clone())),
        (None, _) => fresh(trial, master, device),
    };
    Ok((state, progress))
}

/// A new model, what writes into the stream as large as the trial's rates by size want it.
fn fresh(trial: &Trial, master: Kind, device: Device) -> TrainingState {
    let initial = trial.plan.initial();
    let state = TrainingState::fresh(initial, trial.seed, master, device);
    let rates = trial.settings.training.rates.as_ref();
    let factor = rates.map_or(1.0, |rates| rates.rule.of_writers(&rates.base, initial));
    if factor != 1.0 {
        let writers: Vec<_> = (state.layout().segments())
            .filter(|(param, ..)| matches!(param.kind, ParamKind::Wo | ParamKind::W2))
            .collect();
        no_grad(|| {
            for (_, at, len) in writers {
                let _ = state.weights.narrow(-1, at, len).g_mul_scalar_(factor);
            }
        });
    }
    state
}

/// The model that a trial begins with, as it was copied.
fn initial(
    trial: &Trial,
    digest: &str,
    folder: &Path,
    master: Kind,
    device: Device,
) -> Result<TrainingState, TrainError> {
    let read = Checkpoint::read_copy(folder, digest, device)?.state;
    if read.architecture() != trial.plan.initial() {
        let why = "its sizes are not those that the trial begins with".into();
        return Err(CheckpointError::Damaged { path: folder.display().to_string(), why }.into());
    }
    let weights =
        read.parts().weights.into_iter().map(|(id, weight)| (id, weight.to_kind(master))).collect();
    Ok(TrainingState::from_weights(trial.plan.initial(), weights))
}

/// The newest recorded checkpoint that is whole and this trial's; says of those that are not what
/// is wrong, and what is done instead.
fn resume(job: &Job, device: Device) -> Option<(TrainingState, Progress)> {
    let before = job.resume.iter().skip(1).map(|_| "using the checkpoint before it");
    let instead = before.chain(["there is no other, so training begins anew"]);
    job.resume.iter().zip(instead).find_map(|(saved, instead)| {
        let read = read_of(saved, &job.trial.id(), device);
        read.map_err(|error| tracing::warn!("trial {}: {error}; {instead}", job.trial.id())).ok()
    })
}

/// The state of another trial that is also this one's at that point, if it is whole; otherwise says
/// what is wrong.
fn from_prefix(job: &Job, device: Device) -> Option<(TrainingState, Progress)> {
    let Prefix { folder, digest } = job.prefix.as_ref()?;
    let read = match digest {
        Some(digest) => Checkpoint::read_recorded(folder, digest, device),
        None => Checkpoint::read(folder, device),
    };
    let trial = job.trial.id();
    match read.and_then(|read| progress_of(read, folder)) {
        Ok((state, progress)) => Some((state, Progress { trial, ..progress })),
        Err(error) => {
            tracing::warn!("trial {trial}: {error}; training from the beginning");
            None
        }
    }
}

fn read_of(
    saved: &Saved,
    trial: &str,
    device: Device,
) -> Result<(TrainingState, Progress), CheckpointError> {
    let Saved { folder, digest } = saved;
    let (state, progress) =
        progress_of(Checkpoint::read_recorded(folder, digest, device)?, folder)?;
    match progress.trial == trial {
        true => Ok((state, progress)),
        false => {
            let why = format!("it belongs to the trial {}", progress.trial);
            Err(CheckpointError::Damaged { path: folder.display().to_string(), why })
        }
    }
}

fn progress_of(
    read: Checkpoint,
    folder: &Path,
) -> Result<(TrainingState, Progress), CheckpointError> {
    let Checkpoint { state, progress } = read;
    let why = || CheckpointError::Damaged {
        path: folder.display().to_string(),
        why: "it says nothing of a training".into(),
    };
    Ok((state, progress.ok_or_else(why)?))
}
