//! What names a trial's state and its claims, where a text or a number would do.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Where a trial stands. In alphabetical order, as lists of states are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TrialState {
    /// It was trained to its end.
    Complete,
    /// Its loss became infinite, or no number.
    Diverged,
    /// It was given up.
    Failed,
    /// It was stopped for it did worse than others; nothing stops one yet.
    Pruned,
    /// A worker holds it.
    Running,
    /// It waits for a worker.
    Waiting,
}

impl TrialState {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Complete, Self::Diverged, Self::Failed, Self::Pruned, Self::Running, Self::Waiting];

    /// Its name in databases and answers.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Diverged => "diverged",
            Self::Failed => "failed",
            Self::Pruned => "pruned",
            Self::Running => "running",
            Self::Waiting => "waiting",
        }
    }

    /// Whether it is still to be trained, or to be trained further.
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Running | Self::Waiting)
    }
}

impl fmt::Display for TrialState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A text that names no state of a trial.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{0:?} is no state of a trial")]
pub struct NoState(String);

impl FromStr for TrialState {
    type Err = NoState;

    fn from_str(text: &str) -> Result<Self, NoState> {
        let found = Self::ALL.into_iter().find(|state| state.as_str() == text);
        found.ok_or_else(|| NoState(text.to_owned()))
    }
}

/// Counts the claims of a trial, from 1; 0 before the first. What an attempt writes carries the
/// epoch of its claim, and that of an older one is refused.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Epoch(pub i64);

impl Epoch {
    /// That of the claim after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }

    /// That of the claim before this one.
    #[must_use]
    pub const fn previous(self) -> Self {
        Self(self.0 - 1)
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_are_written_as_they_are_read() {
        for state in TrialState::ALL {
            assert_eq!(state.as_str().parse(), Ok(state));
            assert_eq!(serde_json::to_string(&state).expect("JSON"), format!("\"{state}\""));
        }
        assert!(TrialState::ALL.is_sorted_by_key(|state| state.as_str()));
        assert!(TrialState::ALL.is_sorted() && "over".parse::<TrialState>().is_err());
    }
}
