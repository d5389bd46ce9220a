//! The rows that a report is made of.

use outgrow_core::{
    rows::{CurveRow, Evaluated, GrowthRow, TrialRow},
    sweep::Words,
};

use crate::{
    error::ReportError,
    escape::visible,
    searched::{Promise, Searched},
    unit::LossUnit,
};

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
    /// Tokens of its training text, where they are known.
    pub text_tokens: Option<u64>,
    /// On what its trials were trained, one line each.
    pub environments: Vec<String>,
    /// Its trials in their order.
    pub trials: Vec<TrialRow>,
    /// Their validation curves, in the order of trial and step.
    pub curves: Vec<CurveRow>,
    /// Their growth events, in the order of trial and stage.
    pub growths: Vec<GrowthRow>,
    /// What its search has found; none without one, or where nobody asks.
    pub searched: Option<Searched>,
    /// What searches of other sweeps believed of its plans; empty where nobody asks.
    pub promises: Vec<Promise>,
}

impl Input {
    /// Bits per byte of a loss of one of the rows' units, where the two differ and a reader wants
    /// both: with a tokenizer.
    pub(crate) fn bits_per_byte(&self) -> Option<f64> {
        let is_tokenized = self.tokenizer.is_some() && self.unit == LossUnit::NatsPerToken;
        self.evaluated.filter(|_| is_tokenized)?.bits_per_byte()
    }

    /// The same rows, with losses in another unit.
    ///
    /// # Errors
    /// If it was not recorded how many bytes an evaluation predicts, or it predicts none.
    pub fn in_unit(mut self, unit: LossUnit) -> Result<Self, ReportError> {
        if self.unit == unit {
            return Ok(self);
        }
        let Some(factor) = self.evaluated.and_then(|evaluated| evaluated.bits_per_byte()) else {
            return Err(ReportError::NoBytes(visible(&self.sweep)));
        };
        let factor = if unit == LossUnit::BitsPerByte { factor } else { factor.recip() };
        let scale = |loss: &mut f64| *loss *= factor;
        self.curves.iter_mut().filter_map(|row| row.val_loss.as_mut()).for_each(scale);
        self.growths.iter_mut().filter_map(|row| row.loss_change.as_mut()).for_each(scale);
        self.promises.iter_mut().flat_map(|one| [&mut one.gap, &mut one.error]).for_each(scale);
        Ok(Self { unit, ..self })
    }
}
