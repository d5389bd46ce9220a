//! A trial: all that determines its result.

use serde::{Deserialize, Serialize};

use super::spec::{EvaluationSpec, TrainingSpec};
use crate::plan::GrowthPlan;

/// Everything beside the plan and the seed that determines a trial's result.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// BLAKE3 digest of the training and validation text.
    pub data: String,
    /// Digest of the weights that it begins with; they are drawn from the seed where it is left
    /// out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub initial: Option<String>,
    /// Tokens that this trial trains.
    pub tokens: u64,
    /// How it trains.
    pub training: TrainingSpec,
    /// How it is evaluated.
    pub evaluation: EvaluationSpec,
}

/// A plan under settings and a seed: what a worker trains.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Trial {
    /// How it grows.
    pub plan: GrowthPlan,
    /// How it trains.
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
        let factor = training.growth.factor(&self.plan, tokens, self.step_tokens());
        training.learning_rate
            * training.schedule.factor(
                training.growth.course(&self.plan, tokens, self.settings.tokens),
                self.settings.tokens,
            )
            * factor
    }
}
