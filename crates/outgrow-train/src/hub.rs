//! Models as Hugging Face's transformers keeps them: a folder of `config.json`, safetensors (in one
//! file or in shards), a tokenizer and whatever else lies beside them.
//!
//! A family ([`family::Family`]) says which architecture a `config.json` means and where its
//! tensors lie; the rest is the same for all. Reading trusts nothing: sizes are bounded, names of
//! shards must be plain file names, shapes are compared before anything is computed. Weights are
//! mapped, not read, so that growing takes little more memory than what is written.

mod beside;
mod config;
mod facts;
mod family;
mod grow;
mod longrope;
mod read;
mod rope;
mod write;

use std::{io, path::Path};

use outgrow_core::{Architecture, growth::GrowthError, model::ArchitectureError};
use thiserror::Error;

use crate::room::NoRoom;

pub use self::{
    beside::LeftOut,
    family::Family,
    grow::{GrownFolder, grow},
    read::HubModel,
    write::{Dtype, Written, export},
};

/// The file that makes a folder one of transformers'.
pub(crate) const CONFIG: &str = "config.json";

/// Whether a folder is one of transformers' (and not one of ours).
pub fn is_hub(folder: &Path) -> bool {
    folder.join(CONFIG).is_file() && !folder.join("checkpoint.json").exists()
}

/// What the configuration of a folder means, without its weights.
///
/// # Errors
/// If it is missing, or not known here.
pub fn read_architecture(folder: &Path) -> Result<Architecture, HubError> {
    let path = folder.join(CONFIG);
    let fields = config::read_object(&path)?;
    beside::check(folder)?;
    Ok(family::read(&path, &fields)?.1)
}

/// What a user should know of a folder that can be read: what of it was not looked at, and where it
/// says two things.
///
/// # Errors
/// If it can't be read.
pub fn notes(folder: &Path) -> Result<Vec<String>, HubError> {
    HubModel::open(folder).map(|model| model.notes())
}

/// Why a model of transformers can't be read, grown or written.
#[derive(Debug, Error)]
pub enum HubError {
    /// A file can't be read or written.
    #[error("{path}: {error}")]
    File {
        /// Which.
        path: String,
        /// Why not.
        error: io::Error,
    },
    /// A file does not hold what it should.
    #[error("{path}: {why}")]
    Format {
        /// Which.
        path: String,
        /// What is wrong, and what is allowed.
        why: String,
    },
    /// The sizes are invalid.
    #[error("{path}: {error}")]
    Architecture {
        /// Which file.
        path: String,
        /// What is wrong.
        error: ArchitectureError,
    },
    /// The family's format has no words for the architecture.
    #[error("the {family} format of Hugging Face can't say this model: {why}")]
    Unsayable {
        /// Which family.
        family: &'static str,
        /// What it can't say, and what would make it sayable.
        why: String,
    },
    /// A transform or an operator can't be applied.
    #[error("growth {number} (from 0): {error}")]
    Growth {
        /// Which.
        number: usize,
        /// Why not.
        error: GrowthError,
    },
    /// It would be too large for this machine.
    #[error(transparent)]
    NoRoom(#[from] NoRoom),
    /// What was written computes something else than what was read.
    #[error(
        "the function was not preserved: logits moved by {error:.1e}, allowed are {tolerance:.0e}{hint}; nothing was written"
    )]
    NotPreserved {
        /// By how much.
        error: f64,
        /// What is allowed.
        tolerance: f64,
        /// What may help.
        hint: String,
    },
    /// A weight is NaN or infinite.
    #[error(
        "{path}: the tensor `{name}` holds {what}, so the model says nothing; save it again from a training that was whole"
    )]
    NotFinite {
        /// Which folder.
        path: String,
        /// Which tensor.
        name: String,
        /// What it holds.
        what: &'static str,
    },
    /// The place is taken.
    #[error("{0} exists already; name a folder that does not, or remove it first")]
    Exists(String),
}

fn file_error(path: &Path) -> impl Fn(io::Error) -> HubError {
    let path = path.display().to_string();
    move |error| HubError::File { path: path.clone(), error }
}

fn format_error(path: &Path, why: impl ToString) -> HubError {
    HubError::Format { path: path.display().to_string(), why: why.to_string() }
}
