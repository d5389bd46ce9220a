//! What can go wrong, sorted by who can mend it: that is the exit code.

use std::{fmt, io};

use outgrow_data::publish::FolderError;

/// Why a command failed.
#[derive(Debug)]
pub enum Failure {
    /// What was typed, or a file that was named, is wrong: exit code 2.
    Input(String),
    /// The database, a disk or a device refused: exit code 3.
    Environment(String),
    /// It ran, and the answer is bad: trials failed, a function was not preserved: exit code 1.
    Result(String),
    /// The user stopped it: exit code 130.
    Interrupted(String),
    /// Standard output was closed.
    Pipe,
}

impl Failure {
    /// The exit code; `outgrow --help` lists them.
    pub fn code(&self) -> u8 {
        match self {
            Failure::Result(_) => 1,
            Failure::Input(_) => 2,
            Failure::Environment(_) => 3,
            Failure::Interrupted(_) => 130,
            Failure::Pipe => 0,
        }
    }

    /// An input failure of `what`, for `map_err`.
    pub fn input<E: fmt::Display>(what: impl fmt::Display) -> impl FnOnce(E) -> Failure {
        move |error| Failure::Input(format!("{what}: {error}"))
    }

    /// An environment failure of `what`, for `map_err`.
    pub fn environment<E: fmt::Display>(what: impl fmt::Display) -> impl FnOnce(E) -> Failure {
        move |error| Failure::Environment(format!("{what}: {error}"))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Input(text)
            | Failure::Environment(text)
            | Failure::Result(text)
            | Failure::Interrupted(text) => f.write_str(text),
            Failure::Pipe => f.write_str("output closed"),
        }
    }
}

impl From<io::Error> for Failure {
    /// Of writing to standard output only; other files are named where they are used.
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Failure::Pipe,
            _ => Failure::Environment(format!("cannot write the output: {error}")),
        }
    }
}

impl From<FolderError> for Failure {
    fn from(error: FolderError) -> Self {
        match error {
            FolderError::Exists(_) | FolderError::WorkingDirectory(_) => {
                Failure::Input(error.to_string())
            }
            _ => Failure::Environment(error.to_string()),
        }
    }
}

impl From<outgrow_store::StoreError> for Failure {
    fn from(error: outgrow_store::StoreError) -> Self {
        use outgrow_store::StoreError::*;
        match error {
            Foreign(_)
            | Newer { .. }
            | Conflict { .. }
            | Missing(_)
            | Address(_)
            | Older { .. }
            | NoSweep { .. }
            | Ambiguous { .. }
            | Query(_) => Failure::Input(error.to_string()),
            _ => Failure::Environment(error.to_string()),
        }
    }
}

impl From<outgrow_runner::RunnerError> for Failure {
    fn from(error: outgrow_runner::RunnerError) -> Self {
        match error {
            outgrow_runner::RunnerError::Store(error) => error.into(),
            other => Failure::Environment(other.to_string()),
        }
    }
}

impl From<outgrow_train::CheckpointError> for Failure {
    fn from(error: outgrow_train::CheckpointError) -> Self {
        Failure::Input(error.to_string())
    }
}

impl From<outgrow_train::hub::HubError> for Failure {
    fn from(error: outgrow_train::hub::HubError) -> Self {
        match error {
            outgrow_train::hub::HubError::NotPreserved { .. } => Failure::Result(error.to_string()),
            _ => Failure::Input(error.to_string()),
        }
    }
}
