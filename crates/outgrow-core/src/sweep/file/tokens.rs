//! The tokens of a sweep that says them by the budgets of its frontier.

use toml::{Table, Value};

use super::defaults::{self, at};
use crate::sweep::spec::SweepSpec;

/// Whole numbers up to here are exact in every reader.
const MOST: f64 = (1_u64 << 53) as f64;

/// Puts the largest budget of growing strategies as `training.tokens` where these are left out; the
/// size of the target must be known, and with it how many tokens a tokenizer knows.
pub(super) fn fill(said: &mut Table) {
    if at(said, &["training", "tokens"]).is_some() || at(said, &["frontier"]).is_none() {
        return;
    }
    let Some(Value::Array(budgets)) = at(said, &["frontier", "strategies_at"]) else { return };
    let number = |value: &Value| value.as_float().or(value.as_integer().map(|whole| whole as f64));
    let largest = budgets.iter().filter_map(number).max_by(f64::total_cmp).unwrap_or(f64::NAN);
    if at(said, &["data", "tokenizer"]).is_some() && at(said, &["data", "vocab_size"]).is_none() {
        return;
    }
    let mut tried = said.clone();
    put(&mut tried, 1);
    // What is wrong elsewhere is said when the whole is read: not that tokens are missing.
    let tokens = counted(tried, largest).filter(|tokens| (1.0..=MOST).contains(tokens));
    put(said, tokens.unwrap_or(MOST) as i64);
}

fn put(said: &mut Table, tokens: i64) {
    let training = said.entry("training").or_insert_with(|| Table::new().into());
    if let Value::Table(training) = training {
        training.insert("tokens".into(), tokens.into());
    }
}

/// Tokens of the target in a budget.
fn counted(said: Table, budget: f64) -> Option<f64> {
    let spec: SweepSpec = defaults::fill(said).ok()?.try_into().ok()?;
    let unit = spec.frontier.as_ref()?.unit;
    let target = spec.architecture(&spec.target, "target").ok()?;
    Some(unit.tokens(budget, &target).round())
}
