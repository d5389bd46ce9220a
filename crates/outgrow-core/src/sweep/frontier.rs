//! `[frontier]`: born sizes, each trained to the end of a schedule at several budgets, as a file
//! says them.

use serde::{Deserialize, Serialize};

use super::{
    error::{SweepError, bad, shown},
    sizes::SizesSpec,
};
use crate::{
    flops::train_flops_per_token,
    model::{Architecture, n_parameters},
};

/// A parabola through fewer sizes says nothing about its vertex.
pub(super) const FEWEST_SIZES: usize = 5;
/// So many are enough for any ratio of initial and target that is worth a frontier.
pub(super) const MOST_SIZES: usize = 64;
/// A trial passes its text at most so often, unless repeats are allowed.
pub const MOST_PASSES: f64 = 4.0;
/// A frontier has at most so many budgets.
const MOST_BUDGETS: usize = 64;
/// The largest budget of the frontier, in those of growing strategies: at least twice.
const REACH: f64 = 2.0;

/// Models of several sizes that never grow, and the budgets at which their schedules end. A budget
/// is compute: what the target spends on so many tokens; every size gets the tokens that cost the
/// same.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FrontierSpec {
    /// In which budgets are counted.
    pub unit: BudgetUnit,
    /// Where schedules of born sizes end, rising; half, once and twice that of `training.tokens`
    /// where they are left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budgets: Option<Vec<f64>>,
    /// Where growing strategies and their controls end, rising; that of `training.tokens` alone
    /// where it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strategies_at: Option<Vec<f64>>,
    /// Whether trials may pass the training text more than [`MOST_PASSES`] times.
    pub allow_repeats: bool,
    /// What else is tried of some of them, to see whether the frontier is the best there is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub checks: Vec<FrontierCheck>,
    /// Which sizes are born.
    pub sizes: FrontierSizes,
}

/// What is tried beside a size of the frontier, at the budget of `training.tokens` alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FrontierCheck {
    /// As many parameters in 1.4 times as many layers, and in so many times fewer: of the smallest,
    /// the middle and the largest size.
    Shapes,
    /// The same of every size.
    AllShapes,
    /// Half and twice the batch, of the smallest size and of the target's.
    Batch,
}

/// In which the budgets of a frontier are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BudgetUnit {
    /// Tokens of the target per trainable parameter of the target.
    TokensPerParameter,
    /// Training FLOPs.
    Flops,
}

/// The sizes of a frontier.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "toml::Value", into = "toml::Value")]
pub enum FrontierSizes {
    /// So many on the straight way from the initial to the target size, one below and one above
    /// included.
    Number(usize),
    /// These, from small to large.
    List(Vec<SizesSpec>),
}

impl BudgetUnit {
    /// What a number of it counts.
    pub fn describe(self) -> &'static str {
        match self {
            Self::TokensPerParameter => "tokens per parameter of the target",
            Self::Flops => "training FLOPs",
        }
    }

    /// Tokens that a target trains in a budget.
    pub(super) fn tokens(self, budget: f64, target: &Architecture) -> f64 {
        match self {
            Self::TokensPerParameter => budget * n_parameters(target) as f64,
            Self::Flops => budget / train_flops_per_token(target),
        }
    }
}

/// What born sizes are called, with their number from 1; and their kind.
pub const BORN: &str = "born";

/// The number of a born size, if it is the name of one.
pub(super) fn born_number(name: &str) -> Option<usize> {
    let number = name.strip_prefix(BORN)?.strip_prefix('_')?;
    let is_plain = number.chars().all(|c| c.is_ascii_digit()) && !number.starts_with('0');
    number.parse().ok().filter(|_| is_plain)
}

/// What a check of a size is called, behind the size's name; and its kind.
pub const BORN_CHECK: &str = "born_check";
/// A shape with more layers.
pub const DEEPER: &str = "deeper";
/// A shape with fewer.
pub const WIDER: &str = "wider";
/// Names of the checks.
const CHECKS: [&str; 4] = [DEEPER, WIDER, "half_batch", "twice_batch"];

/// The size of a check and what is checked, if it is the name of one.
pub fn check_of(name: &str) -> Option<(&str, &str)> {
    CHECKS.iter().find_map(|check| {
        let size = name.strip_suffix(check)?.strip_suffix('_')?;
        born_number(size).map(|_| (size, *check))
    })
}

/// A budget as people write it: `20`, or `6.93e12`.
pub fn budget_text(budget: f64) -> String {
    if budget >= 1e6 { format!("{budget:e}") } else { format!("{budget}") }
}

impl FrontierSpec {
    /// Refuses what no frontier has, whatever the sweep is.
    pub(super) fn check(&self) -> Result<(), SweepError> {
        let (number, said) = match &self.sizes {
            FrontierSizes::Number(number) => (*number, number.to_string()),
            FrontierSizes::List(list) => (list.len(), format!("a list of {}", list.len())),
        };
        if !(FEWEST_SIZES..=MOST_SIZES).contains(&number) {
            let allowed = format!(
                "{FEWEST_SIZES} to {MOST_SIZES} sizes: the minimum over sizes is that of a \
                 parabola, and must be enclosed"
            );
            return bad("frontier.sizes", said, &allowed);
        }
        for (field, budgets) in [("budgets", &self.budgets), ("strategies_at", &self.strategies_at)]
        {
            budgets.as_ref().map_or(Ok(()), |list| check_budgets(field, list))?;
        }
        if let Some((number, check)) = self
            .checks
            .iter()
            .enumerate()
            .find(|(number, check)| self.checks[..*number].contains(check))
        {
            return bad(&format!("frontier.checks.{number}"), format!("{check:?}"), "each once");
        }
        self.check_reach()
    }

    /// Refuses growing strategies that end where no frontier is.
    pub(super) fn check_reach(&self) -> Result<(), SweepError> {
        let (Some(budgets), Some(strategies)) = (&self.budgets, &self.strategies_at) else {
            return Ok(());
        };
        let (most, at) = (largest(budgets), largest(strategies));
        if most < at {
            let allowed = format!(
                "frontier.budgets end at {}: born sizes must be trained to where strategies end, \
                 and better beyond, to {}",
                budget_text(most),
                budget_text(REACH * at)
            );
            return bad("frontier.strategies_at", list_text(strategies), &allowed);
        }
        Ok(())
    }

    /// Whether a growing model that is better than every born one of its compute can be told to be
    /// worth so much more of it: whether there are born ones of twice as much.
    pub fn reaches_beyond(&self) -> bool {
        let (Some(budgets), Some(strategies)) = (&self.budgets, &self.strategies_at) else {
            return true;
        };
        largest(budgets) >= REACH * largest(strategies) * (1.0 - 1e-9)
    }
}

fn largest(list: &[f64]) -> f64 {
    list.iter().copied().fold(0.0, f64::max)
}

fn check_budgets(field: &str, budgets: &[f64]) -> Result<(), SweepError> {
    let field = format!("frontier.{field}");
    if budgets.is_empty() {
        return bad(&field, "empty", "give at least one budget, such as [20], or leave it out");
    }
    if let Some(budget) = budgets.iter().find(|budget| !(budget.is_finite() && **budget > 0.0)) {
        return bad(&field, shown(*budget), "budgets are numbers above 0, rising");
    }
    if !budgets.is_sorted_by(|a, b| a < b) {
        return bad(&field, list_text(budgets), "budgets rise, each there once");
    }
    match budgets.len() > MOST_BUDGETS {
        true => {
            bad(&field, format!("{} budgets", budgets.len()), &format!("at most {MOST_BUDGETS}"))
        }
        false => Ok(()),
    }
}

/// As in a sweep file.
fn list_text(budgets: &[f64]) -> String {
    let all: Vec<String> = budgets.iter().map(|budget| budget_text(*budget)).collect();
    format!("[{}]", all.join(", "))
}

impl TryFrom<toml::Value> for FrontierSizes {
    type Error = String;

    fn try_from(value: toml::Value) -> Result<Self, String> {
        match value {
            toml::Value::Integer(number) => usize::try_from(number)
                .map(Self::Number)
                .map_err(|_| format!("{number} sizes: it must be a number from 5 on, or a list")),
            toml::Value::Array(list) => {
                list.into_iter().enumerate().map(one).collect::<Result<_, _>>().map(Self::List)
            }
            other => Err(format!(
                "invalid type: {}, expected a number of sizes, such as 7, or a list of sizes, each \
                 a table like [target]'s",
                other.type_str()
            )),
        }
    }
}

/// A size of a list.
fn one((number, value): (usize, toml::Value)) -> Result<SizesSpec, String> {
    serde_path_to_error::deserialize(value).map_err(|error| {
        let path = error.path().to_string();
        let within = if path == "." { String::new() } else { format!(", {path}") };
        format!("size {number}{within}: {}", error.inner().message())
    })
}

impl From<FrontierSizes> for toml::Value {
    fn from(sizes: FrontierSizes) -> Self {
        match sizes {
            FrontierSizes::Number(number) => Self::Integer(number as i64),
            FrontierSizes::List(list) => Self::try_from(list).expect("sizes are plain data"),
        }
    }
}
