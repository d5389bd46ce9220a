//! What happens in a trial and is recorded: one closed list, so that the compiler names every place
//! that a new kind of event concerns.

use serde::{Deserialize, Serialize};

use crate::growth::{Growth, TransformKind};

/// Something that happened while a trial trained.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub enum Event {
    Step(StepEvent),
    Eval(EvalEvent),
    Growth(GrowthEvent),
    Checkpoint(CheckpointEvent),
    /// A state that other trials begin from, safely on disk.
    Snapshot(CheckpointEvent),
}

/// Where in its training a trial stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Position {
    /// Optimizer steps so far.
    pub step: u64,
    /// Training tokens so far.
    pub tokens: u64,
    /// Training FLOPs so far (see [`crate::flops`] for the convention).
    pub train_flops: u128,
    /// Seconds of wall time so far, over all attempts, without what a killed attempt had to repeat.
    pub wall_seconds: f64,
}

/// Training progress since the last such event.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct StepEvent {
    pub at: Position,
    /// Mean cross-entropy of the training batches since the last step event, nats per token.
    pub loss: f64,
    /// Learning rate of the last step.
    pub learning_rate: f64,
    /// Largest global gradient norm before clipping since the last step event.
    pub gradient_norm: f64,
}

/// A measurement on the validation text.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct EvalEvent {
    pub at: Position,
    /// Mean cross-entropy, nats per token.
    pub val_loss: f64,
    /// Whether it is the last one of the trial.
    pub last: bool,
}

/// A stage of the plan applied, and what was measured around it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct GrowthEvent {
    pub at: Position,
    /// Which stage of the plan, from 0.
    pub stage: usize,
    /// What was applied.
    pub growths: Vec<Growth>,
    /// Which axes it enlarged.
    pub axes: Vec<TransformKind>,
    /// Parameters before and after.
    pub parameters: [u64; 2],
    /// FLOPs that operators spent on themselves; the position counts them already.
    pub operator_flops: u128,
    /// Whether all that was applied claims to preserve the function.
    pub preserving: bool,
    /// The probe before and after.
    pub preservation: Preservation,
    /// How the new entries do in the first steps.
    pub diagnosis: Option<Box<Diagnosis>>,
    /// Seconds that the growth took, probes included.
    pub seconds: f64,
}

/// What the growth doctor found: three optimizer steps of the grown model on text of their own,
/// which are then forgotten.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Diagnosis {
    /// Entries that the growth bore.
    pub new_entries: u64,
    /// Share of them whose gradient was ever other than zero, up to the first, the second and the
    /// third step.
    pub reached: [f64; 3],
    /// Parameters none of whose new entries got a gradient in three steps.
    pub dead: Vec<String>,
    /// Root mean square of the new entries' first gradient over that of the old ones'; none where
    /// there are none of either.
    pub gradient_ratio: Option<f64>,
    /// The same of the first update.
    pub update_ratio: Option<f64>,
    /// Mean size of the first update of those new entries that have a gradient, over the learning
    /// rate: 1 is right for AdamW.
    pub first_update: Option<f64>,
    /// Mean cosine between the gradients of MLP units and value channels that are equal after the
    /// growth and of those that they equal, at the first and the third step; none where all differ.
    /// Where it stays 1, copies never become different.
    pub symmetry: Option<[f64; 2]>,
    /// Root mean square of what attention and MLP of each layer add to the stream, before.
    pub rms_before: Vec<[f64; 2]>,
    /// And after.
    pub rms_after: Vec<[f64; 2]>,
    /// Share of what they add in the variance of the stream behind it, after.
    #[serde(default)]
    pub shares_after: Vec<[f64; 2]>,
}

impl Diagnosis {
    /// Whether nothing of what was born can ever learn: one new entry in a thousand, at least, must
    /// get a gradient.
    pub fn is_dead(&self) -> bool {
        self.new_entries > 0 && self.reached[2] < 1e-3
    }

    /// Whether copies are bound to stay equal.
    pub fn is_locked(&self) -> bool {
        self.symmetry.is_some_and(|cosines| cosines.iter().all(|cosine| *cosine > 1.0 - 1e-6))
    }
}

/// How well a growth preserved the function, measured on one probe batch in the dtype of the master
/// weights.
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
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct CheckpointEvent {
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
    /// Go on; what was told is safe, but not recorded where the next attempt looks first: earlier
    /// checkpoints still count.
    Spooled,
    /// Write a checkpoint and stop; another attempt goes on from there.
    Stop,
    /// Stop at once without writing: the trial belongs to another worker now.
    Abandon,
}

/// Who is told of a training's events, and decides whether it goes on.
pub trait Receiver {
    /// Takes an event of the trial of this number.
    fn tell(&mut self, number: usize, event: Event) -> Control;

    /// What it wants of that trial now: asked after each step, and within what takes long. Must be
    /// cheap.
    fn request(&self, _number: usize) -> Control {
        Control::Continue
    }
}

impl<F: FnMut(usize, Event) -> Control> Receiver for F {
    fn tell(&mut self, number: usize, event: Event) -> Control {
        self(number, event)
    }
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
