//! Names and contents on the disk itself, for a loss of power.

use std::{
    fs::{self, File},
    io,
    path::Path,
};

use outgrow_failpoint::Point;

/// Syncs the folder that `path` lies in, and so its name.
pub(super) fn place(path: &Path) -> io::Result<()> {
    Point::PublishPlaceSync.around(|| folder_of(path))
}

/// Syncs the folder that `path` lies in, for callers that have failpoints of their own.
///
/// # Errors
/// If the disk refuses.
pub fn folder_of(path: &Path) -> io::Result<()> {
    let folder =
        path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}

/// Syncs a folder with all that is in it; links are names alone.
pub(super) fn tree(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        match entry.file_type()? {
            kind if kind.is_dir() => tree(&entry.path())?,
            kind if kind.is_file() => File::open(entry.path())?.sync_all()?,
            _ => {}
        }
    }
    File::open(folder)?.sync_all()
}
