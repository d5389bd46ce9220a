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

impl TrialRow {
    /// What it grows by, and what happens at growth beside that: equal in any sweep.
    pub fn grown_by(&self) -> [String; 2] {
        [self.plan_id.clone(), format!("{:?}", self.policy)]
    }
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

/// What a report estimates of a sweep with a frontier.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Estimates {
    /// One for each budget with the end of a born size.
    pub frontier: Vec<FrontierRow>,
    /// One for each growing strategy and budget with an end.
    pub gaps: Vec<GapRow>,
}

/// A number with the bounds of its 95 % interval; none of what is not known.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[allow(missing_docs)]
pub struct Bounded {
    pub value: Option<f64>,
    pub low: Option<f64>,
    pub high: Option<f64>,
}

/// The best size to be born with at a budget.
#[derive(Clone, Debug, PartialEq)]
pub struct FrontierRow {
    /// In the unit of the sweep's frontier.
    pub budget: f64,
    /// That unit, in words.
    pub unit: String,
    /// Geometric mean of its born ends.
    pub train_flops: f64,
    /// Parameters without embeddings, with the unembedding.
    pub n_star: Bounded,
    /// Nats per token.
    pub val_loss: Bounded,
    /// Loss by the fitted law minus that, nats per token.
    pub law_minus_vertex: Option<f64>,
    /// Seeds.
    pub n: Option<usize>,
    /// Why there is no vertex.
    pub reason: Option<String>,
}

/// A growing strategy against the frontier at a budget.
#[derive(Clone, Debug, PartialEq)]
pub struct GapRow {
    /// Its name in the sweep.
    pub strategy: String,
    /// In the unit of the sweep's frontier.
    pub budget: f64,
    /// That unit, in words.
    pub unit: String,
    /// Geometric mean of its ends.
    pub train_flops: f64,
    /// Nats per token, below 0 where growing pays; the interval is corrected for all arms and
    /// budgets, as p is.
    pub gap: Bounded,
    /// By Holm's procedure.
    pub p_holm: Option<f64>,
    /// Compute of the best born size for the same loss over that of the strategy.
    pub multiplier: Bounded,
    /// `above` or `below` where the multiplier is only known to be so.
    pub censored: Option<&'static str>,
    /// Seeds.
    pub n: Option<usize>,
    /// Why there is no gap.
    pub reason: Option<String>,
}
