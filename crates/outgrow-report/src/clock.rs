//! Whether times can be compared: they can where the machine had nothing else to do.

use std::collections::BTreeMap;

use outgrow_core::TrialState;
use serde::Serialize;

use crate::input::Input;

/// Times of the same work that differ by more than this are those of a busy machine.
const STEADY: f64 = 1.1;

/// What the recorded times say of the machine.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Clock {
    /// Trials that do the same work took the same time.
    Steady,
    /// The slowest of some that do the same work took so many times as long as the fastest.
    Unsteady(f64),
    /// No two complete trials do the same work.
    Unknown,
}

impl Clock {
    /// Of the complete trials of a sweep: those of one plan do the same work under every seed and
    /// learning rate.
    pub fn of(input: &Input) -> Self {
        let mut times: BTreeMap<&str, f64> = BTreeMap::new();
        input.curves.iter().for_each(|row| {
            times.insert(&row.trial, row.at.wall_seconds);
        });
        let mut alike: BTreeMap<(&str, u64, &str), Vec<f64>> = BTreeMap::new();
        for trial in input.trials.iter().filter(|trial| trial.state == TrialState::Complete) {
            let work = (trial.plan_id.as_str(), trial.tokens, trial.setting.as_str());
            alike.entry(work).or_default().extend(times.get(trial.trial.as_str()));
        }
        let ratio = |times: &Vec<f64>| {
            let (low, high) = times
                .iter()
                .fold((f64::INFINITY, 0.0f64), |(low, high), time| (time.min(low), time.max(high)));
            (times.len() > 1 && low > 0.0).then_some(high / low)
        };
        match alike.values().filter_map(ratio).reduce(f64::max) {
            None => Self::Unknown,
            Some(ratio) if ratio <= STEADY => Self::Steady,
            Some(ratio) => Self::Unsteady(ratio),
        }
    }

    /// Whether times can be compared.
    pub fn is_steady(self) -> bool {
        self == Self::Steady
    }

    /// Why no times are shown; none where they are.
    pub fn why_not(self) -> Option<String> {
        match self {
            Self::Steady => None,
            Self::Unsteady(ratio) => Some(format!(
                "No wall times are shown: of trials that do the same work, one took {ratio:.1} \
                 times as long as another, so the machine had other work"
            )),
            Self::Unknown => Some(
                "No wall times are shown: no two complete trials do the same work, so nothing \
                 tells whether the machine had other work"
                    .into(),
            ),
        }
    }
}
