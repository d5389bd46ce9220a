//! The head of a checkpoint, which names its other files.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io,
    path::Path,
};

use outgrow_core::Architecture;
use serde::{Deserialize, Serialize};

use super::{
    digest::{digest, digest_of, expect_digest},
    error::{CheckpointError, damaged, file_error, format_error},
    progress::Progress,
};

pub(super) const FORMAT: &str = "outgrow-checkpoint";
pub(super) const VERSION: u32 = 1;
pub(crate) const HEAD: &str = "checkpoint.json";
pub(crate) const MODEL: &str = "model.safetensors";
pub(super) const OPTIMIZER: &str = "optimizer.safetensors";
/// No head file is longer: a bound for untrusted input.
const MAX_HEAD_BYTES: u64 = 64 << 20;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Head {
    pub(super) format: String,
    pub(super) version: u32,
    pub(super) architecture: Architecture,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) training: Option<Progress>,
    /// Optimizer steps so far; 0 where there is no optimizer file.
    #[serde(default)]
    pub(super) optimizer_step: i64,
    /// Digest of the model that this is a copy of, where trials begin with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) origin: Option<String>,
    /// BLAKE3 of each other file; a program that writes checkpoints by hand may leave it out.
    #[serde(default)]
    pub(super) digests: BTreeMap<String, String>,
}

impl Head {
    /// Whether the optimizer's file must be read: one that is named; where `found` says so also one
    /// that is only there.
    pub(super) fn has_optimizer(&self, found: bool) -> bool {
        found || self.digests.contains_key(OPTIMIZER)
    }

    /// A head of our own writing names every file that it goes with.
    pub(super) fn expect_names(&self, folder: &Path) -> Result<(), CheckpointError> {
        let needed = [(MODEL, true), (OPTIMIZER, self.optimizer_step > 0)];
        match needed.into_iter().find(|(name, needed)| *needed && !self.digests.contains_key(*name))
        {
            Some((name, _)) => {
                let why = format!("it does not name {name}, which belongs to what was recorded");
                Err(damaged(&folder.join(HEAD), why))
            }
            None => Ok(()),
        }
    }

    /// Verifies the files that are named, but for those of these names; gives their size in bytes.
    pub(super) fn verify(&self, folder: &Path, except: &[&str]) -> Result<u64, CheckpointError> {
        let mut bytes = 0;
        for (name, expected) in
            self.digests.iter().filter(|(name, _)| !except.contains(&name.as_str()))
        {
            let path = folder.join(name);
            let (found, size) = digest_of(&open(&path, true)?).map_err(file_error(&path))?;
            expect_digest(&path, &found, expected)?;
            bytes += size;
        }
        Ok(bytes)
    }
}

/// The head and its digest.
pub(super) fn read_head(folder: &Path) -> Result<(Head, String), CheckpointError> {
    let path = folder.join(HEAD);
    let size = fs::metadata(&path).map_err(file_error(&path))?.len();
    if size > MAX_HEAD_BYTES {
        return Err(format_error(
            &path,
            format!("it has {size} bytes, more than {MAX_HEAD_BYTES}"),
        ));
    }
    let text = fs::read(&path).map_err(file_error(&path))?;
    let head: Head = serde_json::from_slice(&text).map_err(|error| format_error(&path, error))?;
    if head.format != FORMAT || head.version != VERSION {
        let why = format!(
            "it says format {:?}, version {}; known is {FORMAT:?}, version {VERSION}",
            head.format, head.version
        );
        return Err(format_error(&path, why));
    }
    let invalid = |error| CheckpointError::Architecture { path: path.display().to_string(), error };
    head.architecture.validate().map_err(invalid)?;
    if let Some(name) =
        head.digests.keys().find(|name| Path::new(name).file_name() != Some(name.as_ref()))
    {
        return Err(format_error(
            &path,
            format!("`digests` names {name:?}, which is no file of its folder"),
        ));
    }
    Ok((head, digest(&text)))
}

/// Opens a file of a checkpoint; one that its head names must be there.
pub(super) fn open(path: &Path, is_named: bool) -> Result<File, CheckpointError> {
    File::open(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound if is_named => {
            let why = format!("it is not there, though {HEAD} beside it names it");
            damaged(path, why)
        }
        _ => file_error(path)(error),
    })
}
