//! What happens in a trial and is recorded: one closed list, so that the compiler names every place that a new kind of
//! event concerns.

use serde::{Deserialize, Serialize};

use crate::transform::Transform;

/// Something that happened while a trial trained.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub enum Event {
    Step(StepEvent),
    Eval(EvalEvent),
    Growth(GrowthEvent),
    Checkpoint(CheckpointEvent),
}

/// Where in its training a trial stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Position {
    /// Optimizer steps so far.
    pub step: u64,
    /// Training tokens so far.
    pub tokens: u64,
    /// Training FLOPs so far (see [`crate::cost`] for the convention).
    pub train_flops: u64,
    /// Seconds of wall time so far, over all attempts, without what a killed attempt had to repeat.
    pub wall_seconds: f64,
}

/// Training progress since the last such event.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StepEvent {
    /// When.
    pub at: Position,
    /// Mean cross-entropy of the training batches since the last step event, nats per token.
    pub loss: f64,
    /// Learning rate of the last step.
    pub learning_rate: f64,
    /// Largest global gradient norm before clipping since the last step event.
    pub gradient_norm: f64,
}

/// A measurement on the validation text.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EvalEvent {
    /// When.
    pub at: Position,
    /// Mean cross-entropy, nats per token.
    pub val_loss: f64,
    /// Whether it is the last one of the trial.
    pub last: bool,
}

/// A stage of the plan applied, and what was measured around it.
#[derive(Clone, Debug, PartialEq)]
pub struct GrowthEvent {
    /// When.
    pub at: Position,
    /// Which stage of the plan, from 0.
    pub stage: usize,
    /// What was applied.
    pub transforms: Vec<Transform>,
    /// Parameters before and after.
    pub parameters: [u64; 2],
    /// The probe before and after.
    pub preservation: Preservation,
    /// Seconds that the growth took, probes included.
    pub seconds: f64,
}

/// How well a growth preserved the function, measured on one probe batch in the dtype of the master weights.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Preservation {
    /// Largest change of a logit.
    pub max_logit_change: f64,
    /// Largest magnitude of a logit before.
    pub max_logit: f64,
    /// Cross-entropy before, nats per token.
    pub loss_before: f64,
    /// Cross-entropy after.
    pub loss_after: f64,
    /// What [`Preservation::error`] may be in this dtype.
    pub tolerance: f64,
}

impl Preservation {
    /// The change of logits relative to the larger of 1 and the largest logit.
    pub fn error(&self) -> f64 {
        self.max_logit_change / self.max_logit.max(1.0)
    }

    /// Whether the function was preserved; not so if anything is not a number.
    pub fn holds(&self) -> bool {
        self.error() <= self.tolerance
    }
}

/// A checkpoint that is safely on disk.
#[derive(Clone, Debug, PartialEq)]
pub struct CheckpointEvent {
    /// When.
    pub at: Position,
    /// Its folder.
    pub path: String,
    /// BLAKE3 digest of its files, hexadecimal.
    pub digest: String,
    /// Their size.
    pub bytes: u64,
}

/// What the receiver of an event wants of the training.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Control {
    /// Go on.
    Continue,
    /// Write a checkpoint and stop; another attempt goes on from there.
    Stop,
    /// Stop at once without writing: the trial belongs to another worker now.
    Abandon,
}

/// How an attempt at a trial ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Trained to its end.
    Complete,
    /// The loss became infinite or not a number: a result, not an accident.
    Diverged,
    /// Told to stop.
    Stopped,
}
