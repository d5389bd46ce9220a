//! Plain rows that pass from the database to the report.

use serde::{Deserialize, Serialize};

use crate::{
    event::{Diagnosis, Position},
    growth::TransformKind,
    ids::TrialState,
    plan::{GrowthPolicy, Phase},
};

/// What an evaluation of a sweep predicts: tokens, and the bytes of text that they stand for. The
/// tokens of a window of `seq_len + 1` are all but its first; what is in two windows counts twice;
/// a token that ends a document is no text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Evaluated {
    pub tokens: u64,
    pub bytes: u64,
}

impl Evaluated {
    /// Bits per byte of a loss of one nat per token; none where no byte of text is predicted.
    pub fn bits_per_byte(self) -> Option<f64> {
        let Self { tokens, bytes } = self;
        (bytes > 0).then(|| tokens as f64 / bytes as f64 / std::f64::consts::LN_2)
    }
}

/// A trial of a sweep with its outcome.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct TrialRow {
    /// Identity by content.
    pub trial: String,
    /// Name of the strategy in the sweep.
    pub strategy: String,
    /// `from_scratch`, `random`, ...
    pub kind: String,
    /// Which plan of the strategy, from 0.
    pub plan: usize,
    /// Which replicate, from 0.
    pub replicate: usize,
    /// Whether it only helps to choose a learning rate or a setting, and is in no comparison.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub tuning: bool,
    /// Of all its randomness: trials of one seed draw alike, in any sweep.
    pub seed: u64,
    pub state: TrialState,
    /// Tokens that the trial is to train.
    pub tokens: u64,
    pub learning_rate: f64,
    /// The point of the sweep's grid beside that; empty without a grid.
    pub setting: String,
    /// Of the sweep's frontier, in its unit, at whose end it stands; none without a frontier.
    pub budget: Option<f64>,
    /// Names what it grows by: equal plans have equal names.
    pub plan_id: String,
    /// What happens at growth beside that.
    pub policy: GrowthPolicy,
    /// The sizes that it has on its way.
    pub phases: Vec<Phase>,
}

/// One validation measurement of one trial.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct CurveRow {
    pub trial: String,
    pub at: Position,
    /// Mean cross-entropy, nats per token; none if it was not a finite number.
    pub val_loss: Option<f64>,
}

/// One growth event of one trial.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct GrowthRow {
    pub trial: String,
    pub at: Position,
    /// FLOPs that operators spent on themselves; the position counts them.
    pub operator_flops: u128,
    /// Which axes it enlarged.
    pub axes: Vec<TransformKind>,
    /// Whether all that was applied claims to preserve the function.
    pub preserving: bool,
    /// What the growth doctor found.
    pub diagnosis: Option<Diagnosis>,
    /// Change of logits relative to the larger of 1 and the largest logit; none if it was not a
    /// finite number.
    pub error: Option<f64>,
    /// What it may be.
    pub tolerance: f64,
    /// Loss on the probe batch after it minus that before it, nats per token; none if one of them
    /// was not a finite number.
    pub loss_change: Option<f64>,
    /// Places of the layers that are new in it, from 0 in the grown model.
    pub new_layers: Vec<usize>,
    pub parameters_before: u64,
    pub parameters_after: u64,
}
