//! The unit that losses are in.

use serde::{Deserialize, Serialize};

use crate::{error::ReportError, escape::visible, input::Input};

/// The unit of losses, of their differences and of gaps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LossUnit {
    /// As they are recorded; a token is a byte where there is no tokenizer.
    #[default]
    NatsPerToken,
    /// Of the text that the predicted tokens stand for: the same for all tokenizers.
    BitsPerByte,
}

impl LossUnit {
    /// "nats per token".
    pub fn words(self) -> &'static str {
        match self {
            Self::NatsPerToken => "nats per token",
            Self::BitsPerByte => "bits per byte",
        }
    }

    /// "nats", behind a difference.
    pub fn short(self) -> &'static str {
        match self {
            Self::NatsPerToken => "nats",
            Self::BitsPerByte => "bits/byte",
        }
    }

    /// The name of an axis of losses: "Final loss (nats/token)".
    pub(crate) fn of_loss(self, what: &str) -> String {
        match self {
            Self::NatsPerToken => format!("{what} (nats/token)"),
            Self::BitsPerByte => format!("{what} (bits/byte)"),
        }
    }

    /// The name of an axis of differences: "Loss gap (nats)".
    pub(crate) fn of_difference(self, what: &str) -> String {
        format!("{what} ({})", self.short())
    }
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
        Ok(Self { unit, ..self })
    }
}
