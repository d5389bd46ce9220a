//! Why a folder of transformers is refused.

use std::{io, path::Path};

use outgrow_core::model::ArchitectureError;
use thiserror::Error;

/// Why a model of transformers can't be read, grown or written.
#[derive(Debug, Error)]
pub enum HubError {
    /// A file can't be read or written.
    #[error("{path}: {error}")]
    File {
        /// The file.
        path: String,
        /// What the operating system says.
        error: io::Error,
    },
    /// A file does not hold what it should.
    #[error("{path}: {why}")]
    Format {
        /// The file or folder that is refused.
        path: String,
        /// What is wrong, and what is allowed.
        why: String,
    },
    /// The sizes are invalid.
    #[error("{path}: {error}")]
    Architecture {
        /// The configuration whose sizes they are.
        path: String,
        /// Which size, and what is allowed.
        error: ArchitectureError,
    },
    /// The family's format has no words for the architecture.
    #[error("the {family} format of Hugging Face can't say this model: {why}")]
    Unsayable {
        /// The `model_type` of the family.
        family: &'static str,
        /// What it can't say, and what would make it sayable.
        why: String,
    },
    /// A weight is NaN or infinite.
    #[error(
        "{path}: the tensor `{name}` holds {what}, so the model says nothing; save it again from a training that was whole"
    )]
    NotFinite {
        /// The folder of the model.
        path: String,
        /// The tensor, as the file names it.
        name: String,
        /// `NaN` or `infinity`.
        what: &'static str,
    },
    /// The place is taken.
    #[error("{0} exists already; name a folder that does not, or remove it first")]
    Exists(String),
}

pub(super) fn file_error(path: &Path) -> impl Fn(io::Error) -> HubError {
    let path = path.display().to_string();
    move |error| HubError::File { path: path.clone(), error }
}

pub(crate) fn format_error(path: &Path, why: impl ToString) -> HubError {
    HubError::Format { path: path.display().to_string(), why: why.to_string() }
}
