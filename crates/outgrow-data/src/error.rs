//! Why there is no text.

use std::{fs, io, path::Path};

use thiserror::Error;

use crate::built_in::BUILT_IN;

/// Why there is no text.
#[derive(Debug, Error)]
#[allow(missing_docs)]
pub enum CorpusError {
    /// No built-in corpus of that name.
    #[error(
        "there is no built-in corpus `{0}`; there is `{BUILT_IN}`, and `paths` takes files and \
         folders of your own"
    )]
    Unknown(String),
    /// A file or folder can't be read.
    #[error("cannot read {path}: {error}")]
    Read { path: String, error: io::Error },
    /// A file that is no text, or holds no documents that are read.
    #[error("{place}: {why}")]
    Document {
        /// The file, and where in it.
        place: String,
        /// What is wrong, and what is allowed.
        why: String,
    },
    /// No tokenizer, or not one that can do what is asked.
    #[error("{path}: {why}")]
    Tokenizer {
        path: String,
        /// What is wrong, and what is allowed.
        why: String,
    },
    /// A path without a byte of text in it.
    #[error("{0} is empty; name files with text in them")]
    Empty(String),
    /// A path of no characters.
    #[error(
        "a path is empty, and leads nowhere; name files and folders (`.` is the folder at hand)"
    )]
    Nameless,
    /// Less text than one sequence and the token after it.
    #[error(
        "the {part} text has {tokens} tokens, but seq_len {seq_len} needs at least {}: give more \
         text, a larger share, or a smaller seq_len",
        seq_len + 1
    )]
    Short {
        /// `training` or `validation`.
        part: &'static str,
        tokens: usize,
        /// What a sequence needs.
        seq_len: usize,
    },
    /// The text can't be written for the workers.
    #[error("cannot write the prepared text to {path}: {error}")]
    Write { path: String, error: io::Error },
    /// The prepared text is gone.
    #[error("the prepared text {0} is not there; run the sweep file again, which prepares it")]
    NotPrepared(String),
    /// The prepared text is not what was written.
    #[error(
        "the prepared text {0} has changed since it was made; run the sweep file again, which \
         makes it anew"
    )]
    Damaged(String),
}

impl CorpusError {
    /// A refusal of a file.
    pub(crate) fn document(path: &Path, why: impl Into<String>) -> Self {
        Self::Document { place: path.display().to_string(), why: why.into() }
    }
}

/// For `map_err`: this file or folder can't be read.
pub(crate) fn read_error(path: &Path) -> impl Fn(io::Error) -> CorpusError {
    let path = path.display().to_string();
    move |error| CorpusError::Read { path: path.clone(), error }
}

/// For `map_err`: this path of a user's leads to nothing that can be read.
pub(crate) fn missing_error(path: &Path) -> impl Fn(io::Error) -> CorpusError {
    let path = path.to_owned();
    move |error| {
        let is_missing = error.kind() == io::ErrorKind::NotFound;
        let has_braces = path.to_string_lossy().contains('{');
        let why = match fs::read_link(&path) {
            Ok(to) if is_missing => {
                format!("it is a link to {}, and nothing is there", to.display())
            }
            _ if is_missing && has_braces => {
                format!("{error}; patterns have `*`, `?` and `[ab]`, but no braces")
            }
            _ => return read_error(&path)(error),
        };
        read_error(&path)(io::Error::new(error.kind(), why))
    }
}

/// For `map_err`: prepared text can't be written here.
pub(crate) fn write_error(path: &Path) -> impl Fn(io::Error) -> CorpusError {
    let path = path.display().to_string();
    move |error| CorpusError::Write { path: path.clone(), error }
}
