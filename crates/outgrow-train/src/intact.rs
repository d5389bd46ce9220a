//! Whether the files of a checkpoint are those that were written; nothing of it is loaded.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io,
    path::Path,
};

use serde::Deserialize;

use crate::checkpoint::{Checkpoint, CheckpointError, HEAD, Progress, digest_of};

/// A checkpoint whose files are all as they were written.
#[derive(Clone, Debug, PartialEq)]
pub struct Intact {
    /// Where its training stands, if it is of one.
    pub progress: Option<Progress>,
    /// Size of its files.
    pub bytes: u64,
}

/// Of a head, what is needed here.
#[derive(Deserialize)]
struct Head {
    #[serde(default)]
    training: Option<Progress>,
    #[serde(default)]
    digests: BTreeMap<String, String>,
}

impl Checkpoint {
    /// Compares the head of a checkpoint with the digest that was recorded, if it is known, and each file that the head names with the digest
    /// that stands there.
    ///
    /// # Errors
    /// If a file is missing, or another than was written.
    pub fn verify(folder: &Path, digest: Option<&str>) -> Result<Intact, CheckpointError> {
        let path = folder.join(HEAD);
        let text = fs::read(&path).map_err(file_error(&path))?;
        let found = blake3::hash(&text).to_hex().to_string();
        if let Some(expected) = digest
            && *expected != found
        {
            return Err(damaged(&path, found, expected));
        }
        let invalid = |error: serde_json::Error| CheckpointError::Format {
            path: path.display().to_string(),
            why: error.to_string(),
        };
        let head: Head = serde_json::from_slice(&text).map_err(invalid)?;
        let mut bytes = text.len() as u64;
        for (name, expected) in &head.digests {
            let path = folder.join(name);
            let (found, size) = File::open(&path).and_then(|file| digest_of(&file)).map_err(file_error(&path))?;
            if found != *expected {
                return Err(damaged(&path, found, expected));
            }
            bytes += size;
        }
        Ok(Intact { progress: head.training, bytes })
    }
}

fn damaged(path: &Path, found: String, expected: &str) -> CheckpointError {
    CheckpointError::Damaged {
        path: path.display().to_string(),
        why: format!("its digest is {found}, but {expected} was written"),
    }
}

fn file_error(path: &Path) -> impl Fn(io::Error) -> CheckpointError {
    let path = path.display().to_string();
    move |error| CheckpointError::File { path: path.clone(), error }
}
