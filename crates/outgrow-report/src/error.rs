//! Why there is no report.

use thiserror::Error;

/// Why there is no report.
#[derive(Debug, Error)]
pub enum ReportError {
    /// Nothing was evaluated: why, and what to do.
    #[error("{0}")]
    Empty(String),
    /// A figure can't be turned into a PDF or a PNG.
    #[error("cannot render figure {0}: {1}")]
    Render(&'static str, String),
}
