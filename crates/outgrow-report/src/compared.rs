//! Of a sweep with a search, the trials that are compared: what a searcher asked for was chosen by its
//! loss.

use std::{borrow::Cow, collections::BTreeSet};

use outgrow_core::Sweep;

use crate::input::Input;

/// The rows of the trials that no searcher asked for; all where there are no others.
pub fn compared(input: &Input) -> Cow<'_, Input> {
    // Few sweeps have one, and a sweep takes a while to be understood.
    let sweep = input.spec.contains("[search]").then(|| Sweep::parse(&input.spec).ok()).flatten();
    let search = sweep.as_ref().and_then(|sweep| sweep.spec().search.as_ref());
    let Some(names) = search.map(|search| search.strategy.all()) else {
        return Cow::Borrowed(input);
    };
    if input.trials.iter().all(|trial| names.contains(&trial.strategy)) {
        return Cow::Borrowed(input);
    }
    let mut kept = input.clone();
    kept.trials.retain(|trial| !names.contains(&trial.strategy));
    let trials: BTreeSet<&str> = kept.trials.iter().map(|trial| trial.trial.as_str()).collect();
    kept.curves.retain(|row| trials.contains(row.trial.as_str()));
    kept.growths.retain(|row| trials.contains(row.trial.as_str()));
    Cow::Owned(kept)
}
