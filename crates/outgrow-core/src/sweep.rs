//! The sweep file, and the trials that it means.
//!
//! [`SweepSpec`] is what a user types; [`Sweep`] is what it means: checked, and with its architectures spelled out.
//! [`Sweep::members`] samples the plans and pairs them with replicates; a [`Trial`]'s identity is a hash of what determines
//! its result.

mod spec;

use serde::{Deserialize, Serialize};
use thiserror::Error;

pub use self::spec::{
    CheckpointSpec, DataSpec, Equal, EvaluationSpec, LayerSpec, LearningRateSchedule, OptimizerSpec, Precision,
    SizesSpec, StrategySpec, SweepSpec, TrainingSpec, VOCAB_SIZE,
};
use crate::{
    architecture::Architecture,
    cost,
    plan::{GrowthPlan, PlanError},
    strategy::{Sampled, Strategy, StrategyError, Task},
    stream::{derive, stream},
};

/// A sweep that can be run: every field was checked.
#[derive(Clone, Debug, PartialEq)]
pub struct Sweep {
    spec: SweepSpec,
    initial: Architecture,
    target: Architecture,
}

/// Why a sweep file is not a sweep.
#[derive(Debug, Error)]
pub enum SweepError {
    /// Not TOML, an unknown field, a missing field, a wrong type: the parser's own words, with line and column.
    #[error("{0}")]
    Syntax(#[from] toml::de::Error),
    /// A value outside its range.
    #[error("`{field}` is {value}; {allowed}")]
    Value {
        /// The field with its table.
        field: String,
        /// What it was.
        value: String,
        /// What is allowed.
        allowed: String,
    },
    /// A strategy that can't be sampled.
    #[error("strategy `{name}`: {error}")]
    Strategy {
        /// Its name.
        name: String,
        /// Why not.
        error: StrategyError,
    },
    /// A sampled plan that can't be built for this budget.
    #[error("strategy `{name}`: {error}")]
    Plan {
        /// Its name.
        name: String,
        /// Why not.
        error: PlanError,
    },
}

/// Everything beside the plan and the seed that determines a trial's result.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// BLAKE3 digest of the training and validation text.
    pub data: String,
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

/// A trial's place in a sweep.
#[derive(Clone, Debug, PartialEq)]
pub struct Member {
    /// Name of the strategy in the sweep file.
    pub strategy: String,
    /// The strategy's kind.
    pub kind: &'static str,
    /// Which plan of the strategy, from 0.
    pub plan: usize,
    /// Which replicate, from 0.
    pub replicate: usize,
    /// The trial.
    pub trial: Trial,
}

impl Trial {
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

    /// Learning rate of the step that begins at `tokens`: the schedule's, and what the policy makes of it after a growth.
    pub fn learning_rate(&self, tokens: u64) -> f64 {
        let training = &self.settings.training;
        let factor = training.growth.factor(&self.plan, tokens, self.step_tokens());
        training.learning_rate * training.schedule.factor(tokens as f64 / self.settings.tokens as f64) * factor
    }
}

impl Sweep {
    /// Reads a sweep file.
    ///
    /// # Errors
    /// The first thing that is wrong with it: where, what was found, and what is allowed.
    pub fn parse(text: &str) -> Result<Self, SweepError> {
        Self::new(toml::from_str(text)?)
    }

    /// Checks a specification.
    ///
    /// # Errors
    /// The first value that is out of range.
    pub fn new(spec: SweepSpec) -> Result<Self, SweepError> {
        spec.check()?;
        let initial = spec.initial.architecture(&spec, "initial")?;
        let target = spec.target.architecture(&spec, "target")?;
        let sweep = Self { spec, initial, target };
        // Every strategy must be able to sample; one draw of each tells, and names the axis that would shrink.
        for strategy in &sweep.spec.strategies {
            sweep.sample(strategy, 0)?;
        }
        Ok(sweep)
    }

    /// What the user asked for, with every default filled in.
    pub fn spec(&self) -> &SweepSpec {
        &self.spec
    }

    /// Where growing begins.
    pub fn initial(&self) -> &Architecture {
        &self.initial
    }

    /// Where growing ends.
    pub fn target(&self) -> &Architecture {
        &self.target
    }

    /// The full resolved sweep as TOML: what is stored and hashed.
    pub fn resolved(&self) -> String {
        toml::to_string_pretty(&self.spec).expect("a sweep is plain data")
    }

    /// Identity by content: 32 hexadecimal digits of the hash of the resolved text and the data's digest.
    pub fn id(&self, data: &str) -> String {
        let mut hasher = blake3::Hasher::new();
        hasher.update(self.resolved().as_bytes());
        hasher.update(data.as_bytes());
        hasher.finalize().to_hex()[..32].to_owned()
    }

    /// Tokens of one optimizer step.
    pub fn step_tokens(&self) -> u64 {
        (self.spec.training.batch_size * self.spec.data.seq_len) as u64
    }

    /// Every trial of the sweep: each plan of each strategy under each replicate's seed. `data` is the text's digest.
    ///
    /// # Errors
    /// If a strategy can't be sampled, or a plan has no room in its budget.
    pub fn members(&self, data: &str) -> Result<Vec<Member>, SweepError> {
        let mut members = vec![];
        for strategy in &self.spec.strategies {
            for number in 0..strategy.strategy.plans() {
                let (plan, tokens) = self.plan(strategy, number)?;
                for replicate in 0..self.spec.replicates {
                    members.push(self.member(strategy, number, replicate, plan.clone(), tokens, data));
                }
            }
        }
        Ok(members)
    }

    fn member(
        &self,
        strategy: &StrategySpec,
        number: usize,
        replicate: usize,
        plan: GrowthPlan,
        tokens: u64,
        data: &str,
    ) -> Member {
        let mut training = self.spec.training.clone();
        training.growth = strategy.growth.clone().unwrap_or(training.growth);
        let settings = Settings { data: data.to_owned(), tokens, training, evaluation: self.spec.evaluation.clone() };
        // One seed per replicate, the same for every plan: a grown trial and its control see the same tokens.
        let seed = derive(self.spec.seed, &format!("replicate/{replicate}"));
        Member {
            strategy: strategy.name.clone(),
            kind: strategy.strategy.name(),
            plan: number,
            replicate,
            trial: Trial { plan, settings, seed },
        }
    }

    fn sample(&self, strategy: &StrategySpec, number: usize) -> Result<Sampled, SweepError> {
        let task = Task { initial: &self.initial, target: &self.target };
        // Named by the rule and not by the strategy's name: the same rule under two policies samples the same plans.
        let rule = serde_json::to_string(&strategy.strategy).expect("a strategy is plain data");
        let mut rng = stream(self.spec.seed, &format!("sampling/{rule}/{number}"));
        let named = |error| SweepError::Strategy { name: strategy.name.clone(), error };
        strategy.strategy.sample(&task, &mut rng).map_err(named)
    }

    /// The plan and its tokens: as many as the control's, or as many as give it the control's FLOPs.
    fn plan(&self, strategy: &StrategySpec, number: usize) -> Result<(GrowthPlan, u64), SweepError> {
        let sampled = self.sample(strategy, number)?;
        let step = self.step_tokens();
        let tokens = match self.spec.training.equal {
            Equal::Tokens => self.spec.training.tokens,
            Equal::TrainFlops => self.equal_flops_tokens(&sampled),
        };
        let tokens = (tokens / step).max(2) * step;
        let plan =
            sampled.plan(tokens, step).map_err(|error| SweepError::Plan { name: strategy.name.clone(), error })?;
        Ok((plan, tokens))
    }

    /// How many tokens cost a grown trial what the control's tokens cost the target architecture.
    fn equal_flops_tokens(&self, sampled: &Sampled) -> u64 {
        let per_sequence = |a: &Architecture| cost::train_flops(a, a.seq_len) as f64;
        let mut architecture = sampled.initial.clone();
        let (mut from, mut mean) = (0.0, 0.0);
        for (at, transforms) in &sampled.stages {
            mean += (at - from) * per_sequence(&architecture);
            from = *at;
            if let Ok(grown) = crate::transform::grow_all(&architecture, transforms) {
                architecture = grown.architecture;
            }
        }
        mean += (1.0 - from) * per_sequence(&architecture);
        (self.spec.training.tokens as f64 * per_sequence(&self.target) / mean).round() as u64
    }

    /// Whether a strategy of this sweep is the control.
    pub fn has_control(&self) -> bool {
        self.spec.strategies.iter().any(|s| matches!(s.strategy, Strategy::FromScratch(_)))
    }
}
