//! What can go wrong, sorted by who can mend it.

use std::{fmt, io};

use outgrow_data::publish::FolderError;

/// Why something was not done.
#[derive(Debug)]
pub enum Error {
    /// An argument or a file that was named is wrong.
    Input(String),
    /// The database, a disk or a device refused.
    Environment(String),
    /// It ran, and the answer is bad: trials failed, a function was not preserved.
    Outcome(String),
    /// It was stopped by a signal.
    Interrupted(String),
    /// Whoever reads the output has gone.
    Closed,
}

impl Error {
    /// What a program exits with: 0 where nobody reads any more, 1 for a bad answer, 2 for wrong
    /// input, 3 for what refused, 130 for a signal.
    pub fn exit_code(&self) -> u8 {
        match self {
            Error::Closed => 0,
            Error::Outcome(_) => 1,
            Error::Input(_) => 2,
            Error::Environment(_) => 3,
            Error::Interrupted(_) => 130,
        }
    }

    /// An [`Error::Input`] of `what`, for `map_err`.
    pub fn input<E: fmt::Display>(what: impl fmt::Display) -> impl FnOnce(E) -> Error {
        move |error| Error::Input(format!("{what}: {error}"))
    }

    /// An [`Error::Environment`] of `what`, for `map_err`.
    pub fn environment<E: fmt::Display>(what: impl fmt::Display) -> impl FnOnce(E) -> Error {
        move |error| Error::Environment(format!("{what}: {error}"))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Input(text)
            | Error::Environment(text)
            | Error::Outcome(text)
            | Error::Interrupted(text) => f.write_str(text),
            Error::Closed => f.write_str("output closed"),
        }
    }
}

impl std::error::Error for Error {}

impl From<io::Error> for Error {
    /// Of writing to standard output only; other files are named where they are used.
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Error::Closed,
            _ => Error::Environment(format!("cannot write the output: {error}")),
        }
    }
}

impl From<FolderError> for Error {
    fn from(error: FolderError) -> Self {
        match error {
            FolderError::Exists(_) | FolderError::WorkingDirectory(_) => {
                Error::Input(error.to_string())
            }
            _ => Error::Environment(error.to_string()),
        }
    }
}

impl From<outgrow_store::StoreError> for Error {
    fn from(error: outgrow_store::StoreError) -> Self {
        use outgrow_store::StoreError::*;
        match error {
            Foreign(_)
            | Newer { .. }
            | Conflict { .. }
            | Missing(_)
            | Address(_)
            | Older { .. }
            | Unreleased(_)
            | NoSweep { .. }
            | Ambiguous { .. }
            | Query(_) => Error::Input(error.to_string()),
            _ => Error::Environment(error.to_string()),
        }
    }
}

impl From<outgrow_runner::RunnerError> for Error {
    fn from(error: outgrow_runner::RunnerError) -> Self {
        match error {
            outgrow_runner::RunnerError::Store(error) => error.into(),
            other => Error::Environment(other.to_string()),
        }
    }
}

impl From<outgrow_train::CheckpointError> for Error {
    fn from(error: outgrow_train::CheckpointError) -> Self {
        Error::Input(error.to_string())
    }
}

impl From<outgrow_train::hub::HubError> for Error {
    fn from(error: outgrow_train::hub::HubError) -> Self {
        Error::Input(error.to_string())
    }
}

impl From<outgrow_train::GrowError> for Error {
    fn from(error: outgrow_train::GrowError) -> Self {
        match error {
            outgrow_train::GrowError::NotPreserved { .. } => Error::Outcome(error.to_string()),
            _ => Error::Input(error.to_string()),
        }
    }
}
