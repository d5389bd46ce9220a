//! `[search]`: which of the plans of a lattice are trained is asked of a searcher, batch by batch.

use serde::{Deserialize, Serialize};

use super::error::{SweepError, bad};

/// A search over the plans of an enumerated strategy.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SearchSpec {
    /// The strategies of the kind `enumerated` among whose plans is searched: several of one lattice
    /// differ in what else may vary, as where layers go or a policy at growth.
    pub strategy: Names,
    /// Who asks.
    #[serde(default)]
    pub searcher: SearcherKind,
    /// Trainings in all.
    pub trials: usize,
    /// How many are asked for at once: the next follow when all of these have ended, so results do
    /// not depend on the number of workers.
    #[serde(default = "usual_batch")]
    pub batch: usize,
    /// The next is asked for as soon as fewer than `batch` are under way: no worker waits for others,
    /// and what is asked for depends on which of them ends first.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub asynchronous: bool,
    /// Every so many-th training is of a plan that may be the best, under its next seed; 0 for none.
    #[serde(default = "usual_race")]
    pub race_every: usize,
}

/// One name, or several.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged, expecting = "a name or a list of names")]
#[allow(missing_docs)]
pub enum Names {
    One(String),
    Several(Vec<String>),
}

impl Names {
    /// All of them.
    pub fn all(&self) -> &[String] {
        match self {
            Self::One(name) => std::slice::from_ref(name),
            Self::Several(names) => names,
        }
    }
}

/// Who asks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum SearcherKind {
    Random,
    Local,
    Evolution,
    Tpe,
    BoostedTrees,
    #[default]
    Surrogate,
}

impl SearcherKind {
    /// All of them, the control first.
    pub const ALL: [Self; 6] = [
        Self::Random,
        Self::Local,
        Self::Evolution,
        Self::Tpe,
        Self::BoostedTrees,
        Self::Surrogate,
    ];

    /// As a sweep file says it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Random => "random",
            Self::Local => "local",
            Self::Evolution => "evolution",
            Self::Tpe => "tpe",
            Self::BoostedTrees => "boosted_trees",
            Self::Surrogate => "surrogate",
        }
    }
}

fn usual_batch() -> usize {
    4
}

fn usual_race() -> usize {
    4
}

/// No search trains more.
const MOST: usize = 2_000;

impl SearchSpec {
    /// How many of what was asked for may still be under way when the next are asked for.
    pub fn under_way(&self) -> usize {
        if self.asynchronous { self.batch.saturating_sub(1) } else { 0 }
    }

    /// Refuses numbers that are none.
    pub(super) fn check(&self) -> Result<(), SweepError> {
        for (field, value) in [("trials", self.trials), ("batch", self.batch)] {
            if !(1..=MOST).contains(&value) {
                let allowed = format!("it must be from 1 to {MOST}");
                return bad(&format!("search.{field}"), value, &allowed);
            }
        }
        match self.race_every {
            1 => bad(
                "search.race_every",
                1,
                "every training would be of a plan that is known: 2 or more, or 0 for none",
            ),
            _ => Ok(()),
        }
    }
}
