//! The learning rate over a trial.

use serde::{Deserialize, Serialize};

use super::error::{SweepError, bad};

/// The learning rate over a trial, as a factor of the peak. `decay` is a fraction of the trial's
/// tokens, and so is `warmup` below 1; from 1 on that is a number of tokens, the same whatever the
/// trial's own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum LearningRateSchedule {
    /// The peak all the time, after a linear warm-up.
    Constant {
        /// Fraction of the tokens, or tokens.
        warmup: f64,
    },
    /// Linear warm-up, then half a cosine down to `end` times the peak.
    Cosine {
        /// Fraction of the tokens, or tokens.
        warmup: f64,
        /// Factor at the end.
        end: f64,
    },
    /// Linear warm-up, then a straight line down to `end` times the peak.
    Linear {
        /// Fraction of the tokens, or tokens.
        warmup: f64,
        /// Factor at the end.
        end: f64,
    },
    /// Warm-up, stable, then a straight line down to `end` times the peak over the last `decay` of
    /// the tokens.
    Wsd {
        /// Fraction of the tokens, or tokens.
        warmup: f64,
        /// Fraction of the tokens.
        decay: f64,
        /// Factor at the end.
        end: f64,
    },
}

impl LearningRateSchedule {
    /// The factor at `done`, the fraction of the trial's tokens that are trained (0 to 1), of
    /// `tokens` in all.
    pub fn factor(&self, done: f64, tokens: u64) -> f64 {
        let (warmup, end) = match self {
            Self::Constant { warmup } => (*warmup, 1.0),
            Self::Cosine { warmup, end }
            | Self::Linear { warmup, end }
            | Self::Wsd { warmup, end, .. } => (*warmup, *end),
        };
        if warmup >= 1.0 {
            // In whole tokens, so that trials of different lengths warm up by the very same rates.
            let trained = (done * tokens as f64).round();
            if trained < warmup {
                return (trained / warmup).max(0.01);
            }
        } else if done < warmup {
            // From a small positive rate: the first step must not be a step of nothing.
            return (done / warmup).max(0.01);
        }
        let warmup = if warmup >= 1.0 { warmup / tokens as f64 } else { warmup };
        let after = (done - warmup) / (1.0 - warmup).max(f64::MIN_POSITIVE);
        let left = match self {
            Self::Constant { .. } => 1.0,
            Self::Cosine { .. } => 0.5 * (1.0 + (std::f64::consts::PI * after).cos()),
            Self::Linear { .. } => 1.0 - after,
            Self::Wsd { decay, .. } => ((1.0 - done) / decay.max(f64::MIN_POSITIVE)).min(1.0),
        };
        end + (1.0 - end) * left
    }

    /// Until which of `tokens` in all the factor would be the same for any larger number of them.
    pub fn settled_until(&self, tokens: u64) -> u64 {
        match *self {
            Self::Constant { warmup } if warmup == 0.0 || warmup >= 1.0 => tokens,
            Self::Wsd { warmup, decay, .. } if warmup == 0.0 || warmup >= 1.0 => {
                // A little before the decay: the fraction that is done is a rounded number.
                ((1.0 - decay) * tokens as f64 * (1.0 - 1e-9)).floor() as u64
            }
            _ => 0,
        }
    }

    /// The same without its end, as far as it is settled.
    pub(super) fn settled(&self) -> Self {
        match *self {
            Self::Wsd { warmup, .. } => Self::Constant { warmup },
            ref other => other.clone(),
        }
    }

    /// Refuses a decay that begins before the warm-up has ended.
    pub(super) fn check_order(&self, tokens: u64) -> Result<(), SweepError> {
        let Self::Wsd { warmup, decay, .. } = *self else { return Ok(()) };
        let warmup = if warmup >= 1.0 { warmup / tokens as f64 } else { warmup };
        match warmup + decay <= 1.0 + 1e-9 {
            true => Ok(()),
            false => bad(
                "training.schedule",
                format!("a warm-up over {warmup:.3} and a decay over {decay:.3} of the tokens"),
                "together they may be at most the whole",
            ),
        }
    }

    /// Tokens of the warm-up where it is given in tokens; of a trial of any length.
    pub(super) fn warmup_tokens(&self) -> Option<f64> {
        let (Self::Constant { warmup }
        | Self::Cosine { warmup, .. }
        | Self::Linear { warmup, .. }
        | Self::Wsd { warmup, .. }) = *self;
        (warmup >= 1.0).then_some(warmup)
    }

    pub(super) fn parts(&self) -> Vec<(&'static str, f64)> {
        match *self {
            Self::Constant { warmup } => vec![("warmup", warmup)],
            Self::Cosine { warmup, end } | Self::Linear { warmup, end } => {
                vec![("warmup", warmup), ("end", end)]
            }
            Self::Wsd { warmup, decay, end } => {
                vec![("warmup", warmup), ("decay", decay), ("end", end)]
            }
        }
    }
}
