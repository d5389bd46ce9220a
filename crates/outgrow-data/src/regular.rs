//! Regular files that are read whole.

use std::{
    fs::{self, File, FileType},
    io::{self, Read},
    os::unix::fs::FileTypeExt,
    path::Path,
};

/// The whole of a regular file of at most so many bytes. A pipe would be waited for, and a device
/// may have no end: neither is opened.
///
/// # Errors
/// If it is no such file, or can't be read.
pub fn read_regular(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let refused = |why: String| Err(io::Error::new(io::ErrorKind::InvalidInput, why));
    let about = fs::metadata(path)?;
    if !about.is_file() {
        return refused(format!("it is {}, not a file", special(about.file_type())));
    }
    let mut bytes = vec![];
    // What grows meanwhile has an end here as well.
    File::open(path)?.take(most + 1).read_to_end(&mut bytes)?;
    match bytes.len() as u64 > most {
        true => refused(format!("it has {} bytes; at most {most} are read", about.len())),
        false => Ok(bytes),
    }
}

/// What is no regular file, in words.
pub(crate) fn special(kind: FileType) -> &'static str {
    match kind {
        kind if kind.is_dir() => "a folder",
        kind if kind.is_fifo() => "a pipe",
        kind if kind.is_socket() => "a socket",
        kind if kind.is_char_device() || kind.is_block_device() => "a device",
        _ => "something else",
    }
}
