//! Where the seeds of a sweep are compared, by those that only tune.

use std::collections::BTreeMap;

use outgrow_core::{
    rows::TrialRow,
    sweep::{ArmAt, Choices},
};

use crate::{choice::chosen, compared::compared, input::Input, runs::Runs, tuned::Tuned};

/// By the rule of the report, so that what it reads is what was trained. Of every arm that has
/// trials which only tune; they should have ended, all of the sweep's, for the curvatures of arms
/// are shared.
pub fn choices(input: &Input) -> Choices {
    let input = &*compared(input);
    let runs = Runs::new(input);
    let tuned = Tuned::of(input, &runs);
    let mut arms: BTreeMap<ArmAt, Vec<&TrialRow>> = BTreeMap::new();
    for trial in input.trials.iter().filter(|trial| trial.tuning) {
        arms.entry(ArmAt::new(&trial.strategy, trial.budget)).or_default().push(trial);
    }
    let of = |(arm, trials): (ArmAt, Vec<&TrialRow>)| Some((arm, chosen(&trials, &runs, &tuned)?));
    arms.into_iter().filter_map(of).collect()
}
