//! Of a sweep with a frontier, the trials that are compared with the target at the budget of
//! `training.tokens`: born sizes, and ends at other budgets, are no part of that comparison.

use std::{borrow::Cow, collections::BTreeSet};

use outgrow_core::{
    Sweep,
    sweep::{BORN, BORN_CHECK},
};

use crate::input::Input;

/// The budget of `training.tokens` of a sweep with a frontier; none without one.
pub fn own_budget(input: &Input) -> Option<f64> {
    input.trials.iter().find_map(|trial| trial.budget)?;
    Sweep::parse(&input.spec).ok()?.own_budget()
}

/// The rows at that budget; all of a sweep without a frontier.
pub fn at_own_budget(input: &Input) -> Cow<'_, Input> {
    if input.trials.iter().all(|trial| trial.budget.is_none()) {
        return Cow::Borrowed(input);
    }
    let own = own_budget(input);
    let mut kept = input.clone();
    let is_born = |kind: &str| [BORN, BORN_CHECK].contains(&kind);
    kept.trials.retain(|trial| !is_born(&trial.kind) && (trial.budget == own || own.is_none()));
    let trials: BTreeSet<&str> = kept.trials.iter().map(|trial| trial.trial.as_str()).collect();
    kept.curves.retain(|row| trials.contains(row.trial.as_str()));
    kept.growths.retain(|row| trials.contains(row.trial.as_str()));
    Cow::Owned(kept)
}
