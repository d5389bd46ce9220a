//! What can go wrong.

use std::{io, path::Path};

use outgrow_data::{fetch::FetchError, publish::FolderError};
use thiserror::Error;

/// Why the program is not started, or libtorch not set up.
#[derive(Debug, Error)]
pub enum Error {
    #[error("{0}")]
    Said(String),
    #[error("{path}: {error}")]
    File { path: String, error: io::Error },
    #[error(transparent)]
    Fetch(#[from] FetchError),
    #[error(transparent)]
    Folder(#[from] FolderError),
}

impl Error {
    /// For what the disk refuses.
    pub fn file(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.display().to_string();
        move |error| Self::File { path, error }
    }
}
