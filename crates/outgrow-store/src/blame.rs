//! Which of a database's files, or which disk, is to blame where SQLite was refused.

use std::path::Path;

use nix::{
    sys::statvfs::{FsFlags, Statvfs, statvfs},
    unistd::{AccessFlags, access},
};

use crate::{
    identity::{beside, log_bytes},
    refusal::{FREE, is_full, is_refusal},
};

/// What of a file that the system refused is to blame, as `; it is ...`; nothing if that can't be
/// told.
pub(crate) fn why(path: &str, error: &sqlx::Error) -> String {
    if !is_refusal(error) {
        return String::new();
    }
    match beside(path).iter().find_map(|file| blame(file, path)) {
        Some(named) => format!("; {named}"),
        None if file_system(path).is_some_and(|it| it.flags().contains(FsFlags::ST_RDONLY)) => {
            "; its file system is read-only".into()
        }
        None if has_no_room(path, error) => {
            let free = free(path).unwrap_or(0);
            format!("; the disk is full ({free} bytes are free): {FREE}")
        }
        None => String::new(),
    }
}

/// Bytes that are free where a file lies.
fn free(path: &str) -> Option<u64> {
    let found = file_system(path)?;
    Some(found.blocks_available() * found.fragment_size())
}

/// Of the folder that a file lies in.
fn file_system(path: &str) -> Option<Statvfs> {
    let folder = Path::new(path).parent().filter(|folder| !folder.as_os_str().is_empty());
    statvfs(folder.unwrap_or(Path::new("."))).ok()
}

/// What SQLite makes beside a file takes that much.
const ROOM: u64 = 1 << 17;

/// Whether an error is one of a disk that has no room for what is written beside a file.
pub(crate) fn has_no_room(path: &str, error: &sqlx::Error) -> bool {
    is_full(error) || is_refusal(error) && free(path).is_some_and(|bytes| bytes < ROOM)
}

/// Why one of a database's files can't be had.
fn blame(file: &Path, path: &str) -> Option<String> {
    let shown = file.display();
    match file.metadata() {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => Some(format!("{shown}: {error}")),
        Ok(found) if !found.is_file() => {
            Some(format!("{shown} is no regular file, and must be one or not be there"))
        }
        Ok(_) if access(file, AccessFlags::R_OK).is_err() => {
            Some(format!("you may not read {shown}"))
        }
        Ok(_)
            if log_bytes(path).is_some_and(|bytes| bytes > 0)
                && access(file, AccessFlags::W_OK).is_err() =>
        {
            Some(format!("you may not write {shown}, which reading the log beside it needs"))
        }
        Ok(_) => None,
    }
}
