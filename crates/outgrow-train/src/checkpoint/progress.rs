//! Where a training stands.

use outgrow_core::event::Position;
use serde::{Deserialize, Serialize};

/// Where a training stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// The identity of the trial.
    pub trial: String,
    /// Steps, tokens, FLOPs and seconds so far.
    pub at: Position,
    /// How many stages of the plan are done.
    pub stages: usize,
    /// The running window of the next step event: so that a resumed trial records the same numbers.
    pub window: Window,
    /// The evaluation of this very step is not done yet: the training was told to stop before it,
    /// or within it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub evaluation_due: bool,
    /// What a rule that is measured makes of the learning rate; none before the first growth, or
    /// of other rules.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paths: Option<Paths>,
}

/// Paths through the model as they were measured: read back, they give a resumed trial the same
/// rates.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Paths {
    /// ln F of [`outgrow_core::plan::paths`] before the first growth.
    pub ln_before: f64,
    /// Factor on the learning rate since it was measured last.
    pub factor: f64,
}

/// What has been summed since the last step event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Window {
    /// Sum of the losses of these steps, nats per token.
    pub loss: f64,
    /// Steps since the last event.
    pub steps: u64,
    /// Largest norm of an unclipped gradient among them.
    pub gradient_norm: f64,
}
