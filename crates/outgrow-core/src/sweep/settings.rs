//! A trial: all that determines its result.

use serde::{Deserialize, Serialize};

use super::{
    schedule::LearningRateSchedule,
    spec::{EvaluationSpec, OptimizerSpec, Precision},
};
use crate::{
    edit::Initializer,
    plan::{GrowthPlan, GrowthPolicy, LearningRateAtGrowth, OptimizerAtGrowth},
};

/// Everything beside the plan and the seed that determines a trial's result.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Settings {
    /// BLAKE3 digest of the training and validation text.
    pub data: String,
    /// Digest of the weights that it begins with; they are drawn from the seed where it is left
    /// out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub initial: Option<String>,
    /// Tokens that this trial trains.
    pub tokens: u64,
    pub training: TrainingSettings,
    /// How it is evaluated.
    pub evaluation: EvaluationSpec,
}

/// How a trial trains: of the sweep's `[training]` what determines its result.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct TrainingSettings {
    /// Sequences per optimizer step.
    pub batch_size: usize,
    pub learning_rate: f64,
    /// Its course over the trial.
    pub schedule: LearningRateSchedule,
    pub optimizer: OptimizerSpec,
    pub precision: Precision,
    /// What happens at growth beside the transforms; none for a trial that never grows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub growth: Option<GrowthPolicy>,
}

/// What a trial that never grows would do at a growth.
static NEVER: GrowthPolicy = GrowthPolicy {
    initializer: Initializer::Normal { scale: 1.0 },
    optimizer: OptimizerAtGrowth::KeepEntryAge,
    learning_rate: LearningRateAtGrowth::Unchanged,
};

/// A plan under settings and a seed: what a worker trains.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Trial {
    pub plan: GrowthPlan,
    pub settings: Settings,
    /// Of all its randomness.
    pub seed: u64,
}

impl Trial {
    /// Whether the two differ in nothing but the seed, so that all their shapes are the same at all
    /// times.
    pub fn is_replicate_of(&self, other: &Self) -> bool {
        self.plan == other.plan && self.settings == other.settings
    }

    /// Identity by content: 32 hexadecimal digits of the BLAKE3 hash of the trial as JSON.
    pub fn id(&self) -> String {
        let text = serde_json::to_vec(self).expect("a trial is plain data");
        blake3::hash(&text).to_hex()[..32].to_owned()
    }

    /// What happens at its growths beside the transforms.
    pub fn policy(&self) -> &GrowthPolicy {
        self.settings.training.growth.as_ref().unwrap_or(&NEVER)
    }

    /// Tokens of one optimizer step.
    pub fn step_tokens(&self) -> u64 {
        (self.settings.training.batch_size * self.plan.initial().seq_len) as u64
    }

    /// Optimizer steps of the whole trial.
    pub fn steps(&self) -> u64 {
        self.settings.tokens / self.step_tokens()
    }

    /// Learning rate of the step that begins at `tokens`: the schedule's, and what the policy makes
    /// of it after a growth.
    pub fn learning_rate(&self, tokens: u64) -> f64 {
        let training = &self.settings.training;
        let factor = self.policy().factor(&self.plan, tokens, self.step_tokens());
        training.learning_rate
            * training.schedule.factor(
                self.policy().course(&self.plan, tokens, self.settings.tokens),
                self.settings.tokens,
            )
            * factor
    }
}
