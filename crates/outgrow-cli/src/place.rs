//! Where things lie: the database, and beside it checkpoints and prepared text.

use std::path::{Path, PathBuf};

use outgrow_core::Sweep;
use outgrow_store::Store;
use outgrow_train::{Corpus, CorpusError};

use crate::failure::Failure;

/// The database and what lies beside it.
pub struct Place {
    /// Path of the database, as the user gave it.
    pub db: String,
}

impl Place {
    /// Of the database `db`.
    pub fn new(db: String) -> Self {
        Self { db }
    }

    /// Opens the database for writing; creates it if need be.
    pub async fn store(&self) -> Result<Store, Failure> {
        Ok(Store::open(&self.db).await?)
    }

    /// Opens the database for reading.
    pub async fn reading(&self) -> Result<Store, Failure> {
        Ok(Store::open_read_only(&self.db).await?)
    }

    /// The folder of a trial's checkpoints.
    pub fn checkpoints(&self, trial: &str) -> PathBuf {
        self.beside("checkpoints").join(trial)
    }

    /// The folder of a state of a trial that other trials begin from.
    pub fn snapshot(&self, trial: &str, step: u64) -> PathBuf {
        self.beside("checkpoints").join(format!("{trial}-at-{step}"))
    }

    /// The folder of prepared text.
    pub fn text(&self) -> PathBuf {
        self.beside("text")
    }

    fn beside(&self, what: &str) -> PathBuf {
        PathBuf::from(format!("{}.{what}", self.db.trim_start_matches("sqlite:")))
    }
}

/// Reads a sweep file.
pub fn read_sweep(path: &Path) -> Result<Sweep, Failure> {
    let text = std::fs::read_to_string(path).map_err(Failure::input(format!("cannot read {}", path.display())))?;
    Sweep::parse(&text).map_err(Failure::input(path.display()))
}

/// The sweep's text, prepared for workers in `cache` or, without one, only its digest. Paths in a sweep file count from its
/// own folder.
pub fn text_of(sweep: &Sweep, file: &Path, cache: Option<&Path>) -> Result<String, Failure> {
    let mut data = sweep.spec().data.clone();
    let folder = file.parent().unwrap_or(Path::new(""));
    for path in data.paths.iter_mut().flatten() {
        *path = folder.join(&*path).display().to_string();
    }
    let digest = match cache {
        Some(cache) => Corpus::open(&data, cache).map(|corpus| corpus.digest().to_owned()),
        None => Corpus::digest_of(&data),
    };
    digest.map_err(|error| match error {
        CorpusError::Write { .. } => Failure::Environment(error.to_string()),
        _ => Failure::Input(format!("{}: {error}", file.display())),
    })
}

/// A runtime for talking to the database.
pub fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(Failure::environment("cannot start"))
}
