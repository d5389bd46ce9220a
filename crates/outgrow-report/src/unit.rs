//! The unit that losses are in.

use serde::{Deserialize, Serialize};

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
