//! Where a training stands.

use outgrow_core::event::Position;
use serde::{Deserialize, Serialize};

/// Where a training stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// Of which trial.
    pub trial: String,
    /// When.
    pub at: Position,
    /// How many stages of the plan are done.
    pub stages: usize,
    /// The running window of the next step event: so that a resumed trial records the same numbers.
    pub window: Window,
    /// The evaluation of this very step is not done yet: the training was told to stop before it,
    /// or within it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub evaluation_due: bool,
}

/// What has been summed since the last step event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Window {
    /// Sum of losses.
    pub loss: f64,
    /// Number of steps.
    pub steps: u64,
    /// Largest gradient norm.
    pub gradient_norm: f64,
}
