//! The rows that a report is made of.

use outgrow_core::{
    rows::{CurveRow, Evaluated, GrowthRow, TrialRow},
    sweep::Words,
};

use crate::unit::LossUnit;

/// Everything that a report is made of.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct Input {
    pub sweep: String,
    /// Its identity by content.
    pub id: String,
    /// The resolved sweep file.
    pub spec: String,
    /// What its file says to people.
    pub words: Words,
    /// Digest of its text.
    pub data: String,
    /// What its evaluations predict, where that was recorded.
    pub evaluated: Option<Evaluated>,
    /// Digest of its tokenizer; none where tokens are bytes.
    pub tokenizer: Option<String>,
    /// The unit of the losses in the rows.
    pub unit: LossUnit,
    /// On what its trials were trained, one line each.
    pub environments: Vec<String>,
    /// Its trials in their order.
    pub trials: Vec<TrialRow>,
    /// Their validation curves, in the order of trial and step.
    pub curves: Vec<CurveRow>,
    /// Their growth events, in the order of trial and stage.
    pub growths: Vec<GrowthRow>,
}
