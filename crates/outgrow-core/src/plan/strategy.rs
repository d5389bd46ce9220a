//! Strategies: named rules that sample growth plans. Each is one small file; sampling is pure and
//! seeded.
//!
//! A strategy says *where on the way* (as fractions of a trial's tokens) and *by which transforms*
//! a model grows; how many tokens the trial gets is the sweep's business ([`Sampled::plan`]).

mod all_at_once;
mod axis_first;
mod by_operator;
mod evenly_spaced;
mod fixed_size;
mod from_scratch;
mod path;
mod random;
mod random_order;

use serde::{Deserialize, Serialize};
use thiserror::Error;

pub use self::{
    all_at_once::AllAtOnce, axis_first::AxisFirst, by_operator::ByOperator,
    evenly_spaced::EvenlySpaced, fixed_size::FixedSize, from_scratch::FromScratch, random::Random,
    random_order::RandomOrder,
};
use crate::{
    growth::{Growth, OperatorError},
    model::Architecture,
    plan::{GrowthPlan, PlanError, Stage},
    stream::Stream,
};

/// What the file of a strategy says.
trait Rule {
    /// How many plans the sweep asks of it.
    fn plans(&self) -> usize;

    /// The most stages that one of them has.
    fn stages(&self) -> usize {
        1
    }

    /// Samples one way from the initial architecture to the target.
    fn sample(&self, task: &Task, rng: &mut Stream) -> Result<Sampled, StrategyError>;
}

macro_rules! strategies {
    ($($rule:ident = $name:literal,)*) => {
        /// A rule that samples growth plans. In a sweep file: `kind = "random"` and the rule's own
        /// fields.
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        #[serde(tag = "kind")]
        #[allow(missing_docs)]
        pub enum Strategy {
            $(#[serde(rename = $name)] $rule($rule),)*
        }

        impl Strategy {
            /// The kinds of all strategies.
            pub const KINDS: &[&str] = &[$($name),*];

            /// Its kind.
            pub fn name(&self) -> &'static str {
                match self {
                    $(Strategy::$rule(_) => $name,)*
                }
            }

            fn rule(&self) -> &dyn Rule {
                match self {
                    $(Strategy::$rule(rule) => rule,)*
                }
            }
        }
    };
}

// The list: a rule, and what sweep files, databases and figures call it.
strategies! {
    FromScratch = "from_scratch",
    AllAtOnce = "all_at_once",
    EvenlySpaced = "evenly_spaced",
    RandomOrder = "random_order",
    Random = "random",
    ByOperator = "operator",
    FixedSize = "fixed_size",
    AxisFirst = "axis_first",
}

/// What a strategy has to work with.
pub struct Task<'a> {
    /// Where growing begins.
    pub initial: &'a Architecture,
    /// Where it must end.
    pub target: &'a Architecture,
}

/// A sampled way from an initial architecture to the target, its places as fractions of the trial's
/// tokens.
#[derive(Clone, Debug, PartialEq)]
pub struct Sampled {
    /// What the trial begins with.
    pub initial: Architecture,
    /// Fraction of the trial's tokens, and what is applied there; fractions rise, but may be equal.
    pub stages: Vec<(f64, Vec<Growth>)>,
}

/// Why a strategy can't be sampled.
#[derive(Debug, Error, PartialEq)]
#[allow(missing_docs)]
pub enum StrategyError {
    /// A parameter is outside its range.
    #[error("`{field}` is {value}; {allowed}")]
    Parameter { field: &'static str, value: String, allowed: &'static str },
    /// The target is not an enlargement of the initial architecture.
    #[error("the initial architecture can't grow into the target: {0}")]
    Unreachable(String),
    /// The operator's rule does not lead to the target.
    #[error(transparent)]
    Operator(#[from] OperatorError),
}

impl Strategy {
    /// Its name where a sweep file gives none: an operator's own, otherwise its kind.
    pub fn default_name(&self) -> &'static str {
        match self {
            Strategy::ByOperator(rule) => rule.operator.name(),
            other => other.name(),
        }
    }

    /// How many plans the sweep asks of it.
    pub fn plans(&self) -> usize {
        self.rule().plans()
    }

    /// The most stages that one of its plans has.
    pub fn stages(&self) -> usize {
        self.rule().stages()
    }

    /// Samples one way from the initial architecture to the target.
    ///
    /// # Errors
    /// If a parameter is out of range, or the target is not an enlargement.
    pub fn sample(&self, task: &Task, rng: &mut Stream) -> Result<Sampled, StrategyError> {
        if self.plans() == 0 {
            return Err(StrategyError::Parameter {
                field: "plans",
                value: "0".into(),
                allowed: "it must be at least 1",
            });
        }
        self.rule().sample(task, rng)
    }
}

impl Sampled {
    /// The plan for a trial of `tokens` tokens in optimizer steps of `step_tokens`: each stage
    /// stands at the step nearest to its fraction, after at least one step and before the last.
    ///
    /// # Errors
    /// If the transforms don't apply (a fault of the strategy).
    pub fn plan(&self, tokens: u64, step_tokens: u64) -> Result<GrowthPlan, PlanError> {
        let last = (tokens / step_tokens).saturating_sub(1).max(1);
        let mut stages: Vec<Stage> = vec![];
        for (fraction, growths) in &self.stages {
            let step = (fraction * tokens as f64 / step_tokens as f64).round() as u64;
            let tokens = step.clamp(1, last) * step_tokens;
            match stages.last_mut() {
                Some(stage) if stage.tokens == tokens => {
                    stage.growths.extend(growths.iter().cloned())
                }
                _ => stages.push(Stage { tokens, growths: growths.clone() }),
            }
        }
        GrowthPlan::new(self.initial.clone(), stages)
    }
}

/// How many plans a strategy has that does not say.
fn one() -> usize {
    1
}

/// Checks a window of fractions: two numbers with 0 ≤ from ≤ to ≤ 1.
fn check_grow_between(window: [f64; 2]) -> Result<(), StrategyError> {
    let [from, to] = window;
    match 0.0 <= from && from <= to && to <= 1.0 {
        true => Ok(()),
        false => Err(StrategyError::Parameter {
            field: "grow_between",
            value: format!("[{from:?}, {to:?}]"),
            allowed: "two fractions of the trial's tokens, the first at most the second, both \
                      from 0 to 1",
        }),
    }
}

/// Checks a place: a fraction of the trial's tokens.
fn check_place(at: f64) -> Result<(), StrategyError> {
    match (0.0..=1.0).contains(&at) {
        true => Ok(()),
        false => Err(StrategyError::Parameter {
            field: "at",
            value: format!("{at:?}"),
            allowed: "a fraction of the trial's tokens, from 0 to 1",
        }),
    }
}

/// `n` places in a window, the first at its begin and the last at its end; one alone stands in the
/// middle.
fn spaced(window: [f64; 2], n: usize) -> Vec<f64> {
    let [from, to] = window;
    match n {
        1 => vec![(from + to) / 2.0],
        n => (0..n).map(|i| from + (to - from) * i as f64 / (n - 1) as f64).collect(),
    }
}
