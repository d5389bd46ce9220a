//! Why there is no report.

use thiserror::Error;

/// Why there is no report.
#[derive(Debug, Error)]
pub enum ReportError {
    /// Nothing was evaluated: why, and what to do.
    #[error("{0}")]
    Empty(String),
    /// Losses of the sweep can't be told per byte.
    #[error(
        "sweep {0}: it was not recorded how many bytes of text its evaluations predict, or they predict none, so there are no bits per byte; the unit nats-per-token is always there"
    )]
    NoBytes(String),
    /// Tokens of two sweeps are not the same.
    #[error(
        "the two sweeps have different tokenizers, so their nats per token can't be compared: a token of the one is another piece of text than one of the other; take the unit bits-per-byte"
    )]
    OtherTokens,
    /// A figure can't be turned into a PDF or a PNG.
    #[error("cannot render figure {0}: {1}")]
    Render(&'static str, String),
}
