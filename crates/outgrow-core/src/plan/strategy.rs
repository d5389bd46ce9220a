//! Strategies: named rules that sample growth plans. Each is one small file; sampling is pure and
//! seeded.
//!
//! A strategy says *where on the way* (as shares of a trial's tokens or compute) and *by which
//! transforms* a model grows; how long the trial is, the sweep says ([`Sampled::plan`]).

mod all_at_once;
mod axis_first;
mod by_operator;
mod choose_after;
mod enumerated;
mod evenly_spaced;
mod fixed_size;
mod from_scratch;
pub mod lattice;
mod layers;
mod listed;
mod path;
mod random;
mod random_order;
mod sampled;
mod share;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use self::path::GrowthPath;
pub use self::{
    all_at_once::AllAtOnce,
    axis_first::AxisFirst,
    by_operator::{ByOperator, Places},
    choose_after::{ChooseAfter, Together},
    enumerated::{Enumerated, Ways},
    evenly_spaced::EvenlySpaced,
    fixed_size::FixedSize,
    from_scratch::FromScratch,
    layers::Layers,
    listed::Listed,
    random::Random,
    random_order::RandomOrder,
    sampled::{Length, Sampled},
    share::{Measure, Share},
};
use crate::{
    growth::{Growth, OperatorError},
    model::Architecture,
    stream::{Stream, stream},
};

/// What the file of a strategy says.
trait Rule {
    /// How many plans the sweep asks of it.
    fn plans(&self) -> usize {
        1
    }

    /// Whether its plans differ: something in them is drawn.
    fn is_random(&self) -> bool {
        false
    }

    /// Whether its plans differ though nothing is drawn, and how many there are follows from it.
    fn is_enumerated(&self) -> bool {
        false
    }

    /// The most stages that one of them has.
    fn stages(&self) -> usize {
        1
    }

    /// Samples one way from the initial architecture to the target.
    fn sample(&self, task: &Task) -> Result<Sampled, StrategyError>;
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
    Listed = "listed",
    Enumerated = "enumerated",
    ChooseAfter = "choose_after",
}

/// What a strategy has to work with.
pub struct Task<'a> {
    /// Where growing begins.
    pub initial: &'a Architecture,
    /// Where it must end.
    pub target: &'a Architecture,
    /// What all draws come from.
    pub seed: u64,
    /// The replicate that the plan is drawn for, and which of its plans it is; both from 0.
    pub draw: (usize, usize),
}

impl Task<'_> {
    /// The transforms that lead from one architecture to a larger one.
    pub(super) fn growths(
        &self,
        initial: &Architecture,
        target: &Architecture,
        layers: Layers,
    ) -> Result<Vec<Growth>, StrategyError> {
        let mut path = GrowthPath::new(&Task { initial, target, ..*self }, layers)?;
        path.close_all();
        Ok(path.transforms())
    }

    /// Where the draws of one kind come from. No field of a strategy is part of the name: strategies
    /// that differ in one thing are alike in what they draw for all others.
    fn stream(&self, kind: &str) -> Stream {
        let (replicate, plan) = self.draw;
        stream(self.seed, &format!("sampling/{kind}/{replicate}/{plan}"))
    }
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

    /// Whether its plans differ: something in them is drawn.
    pub fn is_random(&self) -> bool {
        self.rule().is_random()
    }

    /// Whether its plans have initial sizes of their own, whatever the sweep's are.
    pub fn has_own_initial(&self) -> bool {
        matches!(self, Self::Enumerated(_))
    }

    /// Samples one way from the initial architecture to the target.
    ///
    /// # Errors
    /// If a parameter is out of range, or the target is not an enlargement.
    pub fn sample(&self, task: &Task) -> Result<Sampled, StrategyError> {
        let refused = |allowed| {
            let value = self.plans().to_string();
            Err(StrategyError::Parameter { field: "plans", value, allowed })
        };
        match self.plans() {
            0 => refused("it must be at least 1"),
            2.. if !self.is_random() && !self.rule().is_enumerated() => refused(
                "nothing of this rule is drawn, so its plans would be equal: leave `plans` out, or \
                 say layers = \"random\"",
            ),
            _ => self.rule().sample(task),
        }
    }
}

/// How many plans a strategy has that does not say.
fn one() -> usize {
    1
}
