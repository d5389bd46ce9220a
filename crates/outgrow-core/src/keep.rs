//! Which checkpoints stay once a trial is complete.

use std::{fmt, str::FromStr};

use thiserror::Error;

/// What stays of a trial's checkpoints once it is complete: nothing trains it further then, so the
/// optimizer's moments, two thirds of a checkpoint, and the older checkpoints are of no use to it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KeepFinal {
    /// The weights of the last checkpoint.
    #[default]
    Weights,
    /// All that were kept while it was trained, with the optimizer's state.
    All,
    /// Nothing.
    None,
}

impl KeepFinal {
    /// Its name on the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Weights => "weights",
            Self::All => "all",
            Self::None => "none",
        }
    }
}

impl fmt::Display for KeepFinal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A text that names nothing that could be kept.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{0:?} is none of weights, all and none")]
pub struct NotKept(String);

impl FromStr for KeepFinal {
    type Err = NotKept;

    fn from_str(text: &str) -> Result<Self, NotKept> {
        let named = [Self::Weights, Self::All, Self::None].into_iter();
        named.into_iter().find(|one| one.as_str() == text).ok_or_else(|| NotKept(text.into()))
    }
}
