//! Files of a database's own, which nobody else must open.

use std::{
    collections::HashSet,
    fs::{self, Metadata},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

/// Files and folders that belong to the database at hand. They are told by their names and by what
/// they are, and never opened: when a process closes a file of SQLite's, it loses its locks on it.
pub(super) struct Own {
    paths: Vec<PathBuf>,
    ids: HashSet<(u64, u64)>,
}

/// Why such a file is not read.
pub(super) const WHY: &str = "it belongs to this database";

impl Own {
    pub fn new(paths: &[PathBuf]) -> Self {
        let id = |path: &PathBuf| fs::metadata(path).ok().map(|file| (file.dev(), file.ino()));
        Self {
            paths: paths.iter().map(|path| real(path)).collect(),
            ids: paths.iter().filter_map(id).collect(),
        }
    }

    /// Whether a path leads to one of them, or into one.
    pub fn has(&self, path: &Path, metadata: &Metadata) -> bool {
        if self.paths.is_empty() {
            return false;
        }
        let there = real(path);
        self.ids.contains(&(metadata.dev(), metadata.ino()))
            || self.paths.iter().any(|own| there.starts_with(own))
    }
}

/// A path without links, as far as it is there.
fn real(path: &Path) -> PathBuf {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    match (path.canonicalize(), path.parent(), path.file_name()) {
        (Ok(real), ..) => real,
        (Err(_), Some(folder), Some(name)) => real(folder).join(name),
        _ => path,
    }
}
