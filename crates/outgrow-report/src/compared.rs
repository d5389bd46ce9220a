//! The trials that are compared: what a searcher asked for was chosen by its loss, and looks only help
//! to choose.

use std::{borrow::Cow, collections::BTreeSet};

use outgrow_core::{Sweep, rows::TrialRow, sweep::LOOK};

use crate::input::Input;

/// The rows of the trials that no searcher asked for, all where there are no others; and of looks none.
pub fn compared(input: &Input) -> Cow<'_, Input> {
    // Few sweeps have one, and a sweep takes a while to be understood.
    let sweep = input.spec.contains("[search]").then(|| Sweep::parse(&input.spec).ok()).flatten();
    let search = sweep.as_ref().and_then(|sweep| sweep.spec().search.as_ref());
    let names = search.map_or(&[][..], |search| search.strategy.all());
    let is_searched = |trial: &TrialRow| names.contains(&trial.strategy);
    let all = input.trials.iter().all(|trial| is_searched(trial) || trial.kind == LOOK);
    let is_kept = |trial: &TrialRow| trial.kind != LOOK && (all || !is_searched(trial));
    if input.trials.iter().all(is_kept) {
        return Cow::Borrowed(input);
    }
    let mut kept = input.clone();
    kept.trials.retain(is_kept);
    let trials: BTreeSet<&str> = kept.trials.iter().map(|trial| trial.trial.as_str()).collect();
    kept.curves.retain(|row| trials.contains(row.trial.as_str()));
    kept.growths.retain(|row| trials.contains(row.trial.as_str()));
    Cow::Owned(kept)
}
