//! The sweep file, and the trials that it means.
//!
//! [`SweepSpec`] is what a user types; [`Sweep`] is what it means: checked, and with its
//! architectures spelled out. [`Sweep::members`] samples the plans and pairs them with replicates;
//! a [`Trial`]'s identity is a hash of what determines its result.

mod beginnings;
mod controls;
mod differences;
mod names;
mod spec;

use serde::{Deserialize, Serialize};
use thiserror::Error;

pub use self::beginnings::{Beginning, beginnings, in_order};
pub use self::differences::{Difference, differences};
pub use self::spec::{
    CheckpointSpec, ControlsSpec, DataSpec, Equal, EvaluationSpec, LayerSpec, LearningRateSchedule,
    OptimizerSpec, Precision, SizesSpec, StrategySpec, SweepSpec, TextFormat, TrainingSpec,
    VOCAB_SIZE,
};
use self::spec::{MOST_TOKENS, bad};
use crate::{
    architecture::Architecture,
    cost,
    growth::Growth,
    plan::{GrowthPlan, PlanError},
    policy::GrowthPolicy,
    strategy::{Sampled, Strategy, StrategyError, Task},
    stream::{derive, stream},
};

/// No trial spends more: beyond what any plan without learning operators can.
const MOST_FLOPS: u128 = 1 << 121;

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
    /// Not TOML, an unknown field, a missing field, a wrong type: the parser's own words, with line
    /// and column.
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

/// What replicates and learning rates multiply: a plan with its budget.
struct Arm {
    strategy: String,
    kind: &'static str,
    number: usize,
    plan: GrowthPlan,
    tokens: u64,
    growth: GrowthPolicy,
    /// Whether it begins with the weights of the sweep's initial checkpoint, if there is one.
    continues: bool,
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

impl Sweep {
    /// Reads a sweep file.
    ///
    /// # Errors
    /// The first thing that is wrong with it: where, what was found, and what is allowed.
    pub fn parse(text: &str) -> Result<Self, SweepError> {
        Self::new(SweepSpec::parse(text)?)
    }

    /// Checks a specification.
    ///
    /// # Errors
    /// The first value that is out of range.
    pub fn new(spec: SweepSpec) -> Result<Self, SweepError> {
        spec.check()?;
        let initial = spec.initial.architecture(&spec, "initial")?;
        let target = spec.target.architecture(&spec, "target")?;
        let mut spec = spec;
        spec.controls.get_or_insert_with(|| ControlsSpec::default_for(&initial, &target));
        let sweep = Self { spec, initial, target };
        controls::check(&sweep)?;
        sweep.spec.check_extent(&sweep.target)?;
        // Every strategy must be able to sample; one draw of each tells, and names the axis that
        // would shrink.
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

    /// Identity by content: 32 hexadecimal digits of the hash of the resolved text and the data's
    /// digest.
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

    /// Every trial of the sweep: each plan of each strategy and each control, at each learning
    /// rate, under each replicate's seed. `data` is the text's digest.
    ///
    /// # Errors
    /// If a strategy can't be sampled, a plan has no room in its budget, or the controls make too
    /// many trials.
    pub fn members(&self, data: &str) -> Result<Vec<Member>, SweepError> {
        let mut arms = vec![];
        for strategy in &self.spec.strategies {
            for number in 0..strategy.strategy.plans() {
                arms.push(self.arm(strategy, number)?);
            }
        }
        arms.extend(controls::arms(self, &arms)?);
        self.spec.check_trials(arms.len() as u128, "plans and controls")?;
        let mut members = vec![];
        for arm in &arms {
            for rate in self.spec.rates() {
                members.extend(
                    (0..self.spec.replicates)
                        .map(|replicate| self.member(arm, *rate, replicate, data)),
                );
            }
        }
        Ok(members)
    }

    fn member(&self, arm: &Arm, learning_rate: f64, replicate: usize, data: &str) -> Member {
        let growth = arm.growth.clone();
        let training = TrainingSpec { learning_rate, growth, ..self.spec.training.clone() };
        let (data, evaluation) = (data.to_owned(), self.spec.evaluation.clone());
        let initial = self.spec.initial.digest.clone().filter(|_| arm.continues);
        let settings = Settings { data, initial, tokens: arm.tokens, training, evaluation };
        // One seed per replicate, the same for every plan: a grown trial and its control see the
        // same tokens.
        let seed = derive(self.spec.seed, &format!("replicate/{replicate}"));
        Member {
            strategy: arm.strategy.clone(),
            kind: arm.kind,
            plan: arm.number,
            replicate,
            trial: Trial { plan: arm.plan.clone(), settings, seed },
        }
    }

    /// What is scheduled beside the strategies.
    fn controls(&self) -> &ControlsSpec {
        self.spec.controls.as_ref().expect("filled in when the sweep was made")
    }

    /// So many tokens as the largest number of whole steps in `tokens` has, at least two steps.
    fn whole_steps(&self, tokens: u64) -> u64 {
        (tokens / self.step_tokens()).max(2) * self.step_tokens()
    }

    /// So many tokens in whole steps, if a trial of this strategy may train as many.
    fn budget(&self, strategy: &str, tokens: f64) -> Result<u64, SweepError> {
        if tokens > MOST_TOKENS as f64 {
            let allowed = format!(
                "no trial trains more than {MOST_TOKENS}; make training.tokens or the target smaller"
            );
            return bad(
                &format!("tokens of {strategy}"),
                format!("{tokens:.4e}, to be equal to the others"),
                &allowed,
            );
        }
        Ok(self.whole_steps(tokens.round() as u64))
    }

    fn sample(&self, strategy: &StrategySpec, number: usize) -> Result<Sampled, SweepError> {
        let own = strategy
            .initial
            .as_ref()
            .map(|sizes| sizes.architecture(&self.spec, "strategies.initial"))
            .transpose()?;
        let task = Task { initial: own.as_ref().unwrap_or(&self.initial), target: &self.target };
        // Named by the rule and not by the strategy's name: the same rule under two policies
        // samples the same plans.
        let rule = serde_json::to_string(&strategy.strategy).expect("a strategy is plain data");
        let mut rng = stream(self.spec.seed, &format!("sampling/{rule}/{number}"));
        let named = |error| SweepError::Strategy { name: strategy.name.clone(), error };
        strategy.strategy.sample(&task, &mut rng).map_err(named)
    }

    /// A plan and its tokens: as many as the control's, or as many as give it the control's FLOPs.
    fn arm(&self, strategy: &StrategySpec, number: usize) -> Result<Arm, SweepError> {
        let sampled = self.sample(strategy, number)?;
        let tokens = match self.spec.training.equal {
            Equal::Tokens => self.whole_steps(self.spec.training.tokens),
            Equal::TrainFlops => self.budget(&strategy.name, self.equal_flops_tokens(&sampled))?,
        };
        let named = |error| SweepError::Plan { name: strategy.name.clone(), error };
        let plan = sampled.plan(tokens, self.step_tokens()).map_err(named)?;
        plan.check_end(tokens).map_err(named)?;
        if plan.train_flops(tokens) > MOST_FLOPS {
            let allowed = format!(
                "no trial may spend more than {:.0e}: its operators learn for too long",
                MOST_FLOPS as f64
            );
            return bad(&format!("FLOPs of {}", strategy.name), plan.train_flops(tokens), &allowed);
        }
        let growth = strategy.growth.clone().unwrap_or_else(|| self.spec.training.growth.clone());
        let continues =
            strategy.initial.is_none() && !matches!(strategy.strategy, Strategy::FromScratch(_));
        let (kind, strategy) = (strategy.strategy.name(), strategy.name.clone());
        Ok(Arm { strategy, kind, number, plan, tokens, growth, continues })
    }

    /// How many tokens cost a grown trial what the control's tokens cost the target architecture.
    fn equal_flops_tokens(&self, sampled: &Sampled) -> f64 {
        let per_sequence = |a: &Architecture| cost::train_flops(a, a.seq_len) as f64;
        let mut architecture = sampled.initial.clone();
        let (mut from, mut mean, mut operators) = (0.0, 0.0, 0.0);
        for (at, growths) in &sampled.stages {
            mean += (at - from) * per_sequence(&architecture);
            from = *at;
            if let Ok(grown) = crate::growth::grow_all(&architecture, growths, 0) {
                let learning = growths.iter().filter_map(Growth::learning);
                operators += learning
                    .map(|operator| operator.flops(&architecture, &grown.architecture) as f64)
                    .sum::<f64>();
                architecture = grown.architecture;
            }
        }
        mean += (1.0 - from) * per_sequence(&architecture);
        let sequences = self.spec.training.tokens as f64 / self.target.seq_len as f64;
        let left = sequences * per_sequence(&self.target) - operators;
        left.max(0.0) / mean * self.target.seq_len as f64
    }
}
