//! What is known from elsewhere before a database is looked at.

use std::collections::{BTreeMap, BTreeSet};

use crate::claim::Holder;

/// What is known from elsewhere before a database is looked at.
pub struct Known<'a> {
    /// Whether the holder of a trial is dead. Nothing is looked at of a trial whose holder is not.
    pub is_dead: &'a (dyn Fn(&Holder) -> bool + Sync),
    /// Checkpoints that can't be used, by trial and step, and why.
    pub checkpoints: BTreeMap<(i64, u64), String>,
    /// The same of states that other trials begin from.
    pub snapshots: BTreeMap<(i64, u64), String>,
    /// By trial, the step up to which checkpoints were removed when newer ones were recorded.
    pub cleared: BTreeMap<i64, u64>,
    /// Checkpoints, by trial and step, of trials that were stopped while that step was evaluated:
    /// what goes on from there does it first.
    pub due: BTreeSet<(i64, u64)>,
}

/// Told now and then how far the walk is.
pub type Tell<'a> = &'a mut (dyn FnMut(&str) + Send);
