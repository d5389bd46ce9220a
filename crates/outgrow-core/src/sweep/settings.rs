//! A trial: all that determines its result.

use std::collections::BTreeMap;

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
    /// Factor on all rates that a rule measures in the model; 1 of other rules.
    pub measured: f64,
    /// What the growths of the plan scaled, after each number of stages; nothing where no rule asks.
    pub scales: Vec<BTreeMap<ParamId, f64>>,
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
            measured: 1.0,
            scales: vec![],
        }
    }

    /// The same under a policy, for a plan.
    pub fn growing(self, plan: GrowthPlan, policy: GrowthPolicy) -> Self {
        let asked = policy.learning_rate.rule() == Some(RateRule::Dynamics);
        let stages = if asked { 0..plan.stages().len() + 1 } else { 0..0 };
        let scales = stages.map(|stages| plan.scales(stages)).collect();
        Self { plan, policy, scales, ..self }
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

    /// Factor on the learning rates of all parameters of a model that is `now` this large.
    pub fn factor_of_all(&self, now: &Architecture) -> f64 {
        let rates = self.rates.as_ref().map_or(1.0, |rates| rates.rule.of_all(&rates.base, now));
        let rebase = self.policy.learning_rate.rule();
        rates * rebase.map_or(1.0, |rule| rule.of_all(self.plan.initial(), now)) * self.measured
    }

    /// Factors of each parameter, that of all among them.
    pub fn factors(&self, now: &Architecture) -> impl Fn(ParamId) -> Factors {
        let (initial, rate) = (self.plan.initial(), self.factor_of_all(now));
        let stage = (0..self.scales.len()).rev().find(|&n| self.plan.architecture_after(n) == now);
        let scales = stage.map(|stage| &self.scales[stage]);
        move |param| {
            let rates = self.rates.as_ref();
            let own = rates.map_or(Factors::ONE, |rates| rates.rule.of(param, &rates.base, now));
            let policy = self.policy.parameter_factors(param, initial, now);
            let scaled = scales.and_then(|scales| scales.get(&param));
            let scaled = scaled.map_or(Factors::ONE, |&by| Factors::as_scaled(by));
            Factors { rate, eps: 1.0 } * own * policy * scaled
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
        let usual = StepSettings::usual(self.plan.initial(), *precision);
        let settings = StepSettings {
            optimizer: optimizer.clone(),
            rates: rates.clone(),
            step_tokens: self.step_tokens(),
            ..usual
        };
        settings.growing(self.plan.clone(), self.policy().clone())
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
