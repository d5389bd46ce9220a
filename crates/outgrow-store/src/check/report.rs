//! What comes of a walk over a database.

use std::collections::BTreeMap;

use outgrow_core::TrialState;
use serde::Serialize;

use super::finding::{Finding, Which};
use crate::claim::Holder;

/// A trial, or a stretch of it, that was trained and will be trained again.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[allow(missing_docs)]
pub struct Again {
    #[serde(flatten)]
    pub trial: Which,
    /// The step that it goes on from: of its last good checkpoint, or 0.
    pub from_step: u64,
    /// The last step that had been trained.
    pub to_step: u64,
    /// Training tokens between the two.
    pub tokens: u64,
    /// Training FLOPs between the two.
    pub train_flops: f64,
}

/// What was found in a database.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[allow(missing_docs)]
pub struct Report {
    /// Sweeps that were looked at.
    pub sweeps: u64,
    /// Trials that were looked at, by their state after repair.
    pub trials: BTreeMap<TrialState, u64>,
    /// Steps, evaluations and growth events that are what was written.
    pub rows: u64,
    /// Those among them that were written before rows carried checksums: of these, only what
    /// follows from the definition was compared.
    pub unsealed: u64,
    /// Trials that a worker holds and that were not looked at.
    pub held: u64,
    pub live: Vec<Holder>,
    pub findings: Vec<Finding>,
    /// What will be trained again.
    pub again: Vec<Again>,
    /// Sweeps, by name, of which this version makes other trials: their places were not compared.
    pub unknown: Vec<String>,
}
