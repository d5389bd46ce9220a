//! Files that are read, and files that are not.

use std::{
    collections::BTreeMap,
    fs::{self, Metadata},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use serde::Serialize;

use crate::{
    error::{CorpusError, read_error},
    formats::Kind,
};

/// A file that is read.
#[derive(Debug)]
pub(crate) struct Source {
    pub path: PathBuf,
    pub kind: Kind,
    pub bytes: u64,
    /// Bytes of its mark of UTF-8, which is no part of the text.
    pub mark: u64,
    pub(super) stamp: Stamp,
}

/// What changes when a file does.
pub(super) type Stamp = (u64, u64, i64, i64);

impl Source {
    /// Refuses a file that is no longer the one that was looked at.
    pub fn is_unchanged(&self) -> Result<(), CorpusError> {
        let metadata = fs::metadata(&self.path).map_err(read_error(&self.path))?;
        match stamp(&metadata) == self.stamp {
            true => Ok(()),
            false => Err(CorpusError::document(
                &self.path,
                "it changed while it was read; run again when it is at rest",
            )),
        }
    }
}

pub(super) fn stamp(metadata: &Metadata) -> Stamp {
    (metadata.ino(), metadata.len(), metadata.mtime(), metadata.mtime_nsec())
}

/// A file or folder that was found and is not read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[allow(missing_docs)]
pub struct LeftOut {
    pub path: String,
    pub why: String,
}

impl LeftOut {
    pub(super) fn new(path: &Path, why: &str) -> Self {
        Self { path: path.display().to_string(), why: why.to_owned() }
    }
}

/// Files of one kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[allow(missing_docs)]
pub struct Files {
    /// What they hold, and how they are compressed.
    pub kind: String,
    pub files: u64,
    /// As they lie on the disk.
    pub bytes: u64,
    /// The first of them.
    pub first: Vec<String>,
}

/// So many names are told.
const NAMES: usize = 3;

/// Files of one kind each, for people.
pub(crate) fn by_kind<'a>(sources: impl Iterator<Item = &'a Source>) -> Vec<Files> {
    let mut kinds: BTreeMap<Kind, Files> = BTreeMap::new();
    for source in sources {
        let none = || Files { kind: source.kind.describe(), files: 0, bytes: 0, first: vec![] };
        let files = kinds.entry(source.kind).or_insert_with(none);
        files.files += 1;
        files.bytes += source.bytes;
        if files.first.len() < NAMES {
            files.first.push(source.path.display().to_string());
        }
    }
    kinds.into_values().collect()
}
