use serde::{Deserialize, Serialize};

use super::StrategyError;

/// Where on the way, from 0 to 1: as shares of the trial's tokens (in a sweep file `at = 0.4`), or
/// of its training FLOPs (`at_compute = 0.4`).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged, expecting = "a share of the trial, such as 0.4, or two: [0.1, 0.5]")]
pub enum Share<T> {
    /// Of the tokens.
    Tokens(T),
    /// Of the training FLOPs.
    Compute {
        /// The share.
        compute: T,
    },
}

/// What shares of a trial are shares of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Measure {
    Tokens,
    Compute,
}

impl<T> Share<T> {
    /// The share itself.
    pub fn of(&self) -> &T {
        match self {
            Share::Tokens(share) | Share::Compute { compute: share } => share,
        }
    }

    /// What it is a share of.
    pub fn measure(&self) -> Measure {
        match self {
            Share::Tokens(_) => Measure::Tokens,
            Share::Compute { .. } => Measure::Compute,
        }
    }

    /// The field of the sweep file, by its name where tokens are counted.
    pub(super) fn field(&self, tokens: &'static str) -> &'static str {
        match (self.measure(), tokens) {
            (Measure::Compute, "at") => "at_compute",
            (Measure::Compute, "grow_between") => "grow_between_compute",
            _ => tokens,
        }
    }
}

impl Share<[f64; 2]> {
    /// Refuses a window that is none: 0 ≤ from ≤ to ≤ 1.
    pub(super) fn check(&self) -> Result<(), StrategyError> {
        let [from, to] = *self.of();
        match 0.0 <= from && from <= to && to <= 1.0 {
            true => Ok(()),
            false => Err(StrategyError::Parameter {
                field: self.field("grow_between"),
                value: format!("[{from:?}, {to:?}]"),
                allowed: "two shares of the trial, the first at most the second, both from 0 to 1",
            }),
        }
    }

    /// `n` places in the window, the first at its begin and the last at its end; one alone stands in
    /// the middle.
    pub(super) fn spaced(&self, n: usize) -> Vec<f64> {
        let [from, to] = *self.of();
        match n {
            1 => vec![(from + to) / 2.0],
            n => (0..n).map(|i| from + (to - from) * i as f64 / (n - 1) as f64).collect(),
        }
    }
}

impl Share<f64> {
    /// Refuses a place outside the trial.
    pub(super) fn check(&self) -> Result<(), StrategyError> {
        match (0.0..=1.0).contains(self.of()) {
            true => Ok(()),
            false => Err(StrategyError::Parameter {
                field: self.field("at"),
                value: format!("{:?}", self.of()),
                allowed: "a share of the trial, from 0 to 1",
            }),
        }
    }
}
