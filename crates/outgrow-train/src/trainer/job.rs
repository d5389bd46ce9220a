//! What a training is told, and why it fails.

use std::path::PathBuf;

use outgrow_core::{KeepFinal, Trial, event::CheckpointEvent};
use thiserror::Error;

use crate::{checkpoint::CheckpointError, device::Device};

/// How trials are trained; nothing here changes a result.
#[derive(Clone, Debug)]
pub struct Options {
    /// The device that all trials of one call are trained on.
    pub device: Device,
    /// Write a checkpoint when so many tokens were trained since the last.
    pub checkpoint_every_tokens: u64,
    /// Compute a batch in so many equal micro-batches, one after another, for memory; the results
    /// agree but for rounding.
    pub micro_batches: usize,
    /// Keep so many checkpoints of each trial, at least one: those before the last are for the case
    /// that it is damaged.
    pub keep: usize,
    /// What the last checkpoint of a trial that comes to its end has; the receiver of its events
    /// removes the others once that is recorded.
    pub keep_final: KeepFinal,
}

/// An attempt at a trial: what it needs beside its text.
#[derive(Clone, Debug)]
pub struct Job {
    /// The plan, the settings and the seed.
    pub trial: Trial,
    /// Its folder of checkpoints.
    pub checkpoints: PathBuf,
    /// The number of this attempt among those at the trial: each writes to folders of its own, so
    /// that one that lives on after it has lost its trial touches nothing of the next.
    pub epoch: u64,
    /// The recorded checkpoints to go on from, newest first; damaged ones are passed over.
    pub resume: Vec<Saved>,
    /// Where there is none: the state of another trial up to which both are the same training.
    pub prefix: Option<Prefix>,
    /// Where there is none either: the model that it begins with, if its settings name one.
    pub initial: Option<PathBuf>,
    /// Steps whose state other trials begin from, and the folder to write it to.
    pub snapshots: Vec<(u64, PathBuf)>,
}

/// A checkpoint that was recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Saved {
    /// The folder of the checkpoint.
    pub folder: PathBuf,
    /// Digest of its head, as it was recorded.
    pub digest: String,
}

/// The state of another trial at the end of the prefix that a trial shares with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prefix {
    /// The folder of the snapshot.
    pub folder: PathBuf,
    /// Digest of its head, as it was recorded; older databases have none.
    pub digest: Option<String>,
}

impl From<&CheckpointEvent> for Saved {
    fn from(event: &CheckpointEvent) -> Self {
        Self { folder: PathBuf::from(&event.path), digest: event.digest.clone() }
    }
}

/// Why a trial can't be trained.
#[derive(Debug, Error)]
pub enum TrainError {
    /// A checkpoint can't be written or, where none is left, read.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// A growth moved the function by more than rounding does.
    #[error(
        "stage {stage} did not preserve the function: logits changed by {error:.1e} relative to the larger of 1 and the largest logit (tolerance {tolerance:.0e})"
    )]
    NotPreserved {
        /// Which stage of the plan.
        stage: usize,
        /// The largest change of a logit, relative to the larger of 1 and the largest logit.
        error: f64,
        /// The largest change that is allowed.
        tolerance: f64,
    },
    /// Nothing that a growth bore can learn.
    #[error(
        "stage {stage}: no gradient reaches {dead} within 3 steps (only {reached:.4} % of {new_entries} new weights receive one)"
    )]
    Dead {
        /// The number of the stage, from 0.
        stage: usize,
        /// How many entries it bore.
        new_entries: u64,
        /// How many per cent of them get a gradient.
        reached: f64,
        /// In which parameters none does.
        dead: String,
    },
    /// Nobody said where the model is that it begins with.
    #[error("the model {0} that this trial begins with is not at hand")]
    NoInitial(String),
    /// The device has too little memory for a step or a growth.
    #[error("out of memory with the batch in {micro_batches} part(s)")]
    Memory {
        /// Into how many it was cut.
        micro_batches: usize,
    },
    /// libtorch refused an operation.
    #[error("libtorch: {0}")]
    Torch(#[from] tch::TchError),
}
