//! Why a checkpoint can't be read or written.

use std::{io, path::Path};

use outgrow_core::model::ArchitectureError;
use thiserror::Error;

use crate::hub::HubError;

/// Why a checkpoint can't be read or written.
#[derive(Debug, Error)]
pub enum CheckpointError {
    /// A file can't be read or written.
    #[error("{path}: {error}")]
    File {
        /// The file.
        path: String,
        /// What the operating system says.
        error: io::Error,
    },
    /// The folder is not an outgrow checkpoint, or has an unsupported version.
    #[error(
        "{path} is not an outgrow checkpoint, or has an unsupported version: {why} (format: docs/checkpoint.md)"
    )]
    Format {
        /// The file that is refused.
        path: String,
        /// The rule that it breaks, and what stands there.
        why: String,
    },
    /// The sizes are invalid.
    #[error("{path}: {error}")]
    Architecture {
        /// The head whose sizes they are.
        path: String,
        /// Which size, and what is allowed.
        error: ArchitectureError,
    },
    /// A file's content is not what was written, or it is gone.
    #[error("{path} is damaged: {why}")]
    Damaged {
        /// The file that was damaged.
        path: String,
        /// What is wrong with it.
        why: String,
    },
    /// The place is taken.
    #[error("{0} exists already; name a folder that does not, or remove it first")]
    Exists(String),
    /// It is a model of transformers, and something is wrong with that.
    #[error(transparent)]
    Hub(#[from] HubError),
}

pub(super) fn file_error(path: &Path) -> impl Fn(io::Error) -> CheckpointError {
    let path = path.display().to_string();
    move |error| CheckpointError::File { path: path.clone(), error }
}

pub(super) fn format_error(path: &Path, why: impl ToString) -> CheckpointError {
    CheckpointError::Format { path: path.display().to_string(), why: why.to_string() }
}

pub(super) fn damaged(path: &Path, why: String) -> CheckpointError {
    CheckpointError::Damaged { path: path.display().to_string(), why }
}
