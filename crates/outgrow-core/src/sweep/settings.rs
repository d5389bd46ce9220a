//! A trial: all that determines its result.

use serde::{Deserialize, Serialize};

use super::{
    rates::Rates,
    schedule::LearningRateSchedule,
    spec::{EvaluationSpec, OptimizerSpec, Precision},
};
use crate::{
    Architecture, ParamId,
    edit::Initializer,
    plan::{Factors, GrowthPlan, GrowthPolicy, LearningRateAtGrowth, OptimizerAtGrowth, RateRule},
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
    /// How rates, ε and fresh weights depend on the model's sizes; not at all where it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rates: Option<Rates>,
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

/// What an optimizer step depends on beside the state, the gradient and the learning rate: of a
/// trial neither its text nor its seed nor its length.
#[derive(Clone, Debug, PartialEq)]
pub struct StepSettings {
    /// AdamW's constants.
    pub optimizer: OptimizerSpec,
    /// How they depend on the model's sizes.
    pub rates: Option<Rates>,
    /// Number type.
    pub precision: Precision,
    /// What happens at growth beside the transforms.
    pub policy: GrowthPolicy,
    /// The architecture at the beginning, and when it grows.
    pub plan: GrowthPlan,
    /// Tokens of one optimizer step.
    pub step_tokens: u64,
}

impl StepSettings {
    /// Of a model that never grows, with AdamW as it is usual: β 0.9 and 0.95, ε 1e-8, no decay,
    /// the gradient's norm clipped at 1.
    ///
    /// # Panics
    /// If the architecture is none.
    pub fn usual(architecture: &Architecture, precision: Precision) -> Self {
        let (beta1, beta2, eps, weight_decay, clip_norm) = (0.9, 0.95, 1e-8, 0.0, 1.0);
        let plan = GrowthPlan::new(architecture.clone(), vec![]).expect("a valid architecture");
        Self {
            optimizer: OptimizerSpec { beta1, beta2, eps, weight_decay, clip_norm },
            rates: None,
            precision,
            policy: NEVER.clone(),
            step_tokens: architecture.seq_len as u64,
            plan,
        }
    }

    /// Steps that bias correction counts at step `step` (from 1) for an entry born after step
    /// `born`.
    pub fn age(&self, step: i64, born: i64) -> i64 {
        self.policy.age(&self.plan, step, born, self.step_tokens)
    }

    /// Factor on the learning rate of entries in the step that is their `age`th, from 1; `is_new`
    /// if a growth bore them, `grown` if there was a growth.
    pub fn entry_factor(&self, is_new: bool, grown: bool, age: i64) -> f64 {
        self.policy.entry_factor(is_new, grown, age, self.step_tokens)
    }

    /// Factors of each parameter of a model that is `now` this large.
    pub fn factors(&self, now: &Architecture) -> impl Fn(ParamId) -> Factors {
        let initial = self.plan.initial();
        let of_all = |(rule, base): (RateRule, &Architecture)| rule.of_all(base, now);
        let rates = self.rates.as_ref().map(|rates| (rates.rule, &rates.base));
        let rebase = self.policy.learning_rate.rule().map(|rule| (rule, initial));
        let rate = rates.map_or(1.0, of_all) * rebase.map_or(1.0, of_all);
        move |param| {
            let own = rates.map_or(Factors::ONE, |(rule, base)| rule.of(param, base, now));
            let policy = self.policy.parameter_factors(param, initial, now);
            Factors { rate, eps: 1.0 } * own * policy
        }
    }
}

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

    /// Whether the two can be trained as one model: they also move at the same rate at all times.
    pub fn trains_with(&self, other: &Self) -> bool {
        self.is_replicate_of(other) && !self.policy().learning_rate.is_measured()
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

    /// What its steps depend on, whatever it trains on.
    pub fn step_settings(&self) -> StepSettings {
        let TrainingSettings { optimizer, rates, precision, .. } = &self.settings.training;
        StepSettings {
            optimizer: optimizer.clone(),
            rates: rates.clone(),
            precision: *precision,
            policy: self.policy().clone(),
            plan: self.plan.clone(),
            step_tokens: self.step_tokens(),
        }
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
