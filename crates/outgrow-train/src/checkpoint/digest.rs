//! BLAKE3 of files.

use std::{fs::File, io, path::Path};

use memmap2::MmapOptions;

use super::error::{CheckpointError, damaged};

/// The digest and size of a file that nobody writes. What is mapped counts as this process's
/// memory, so only a window of it is at a time.
pub(crate) fn digest_of(file: &File) -> io::Result<(String, u64)> {
    let (mut hasher, size) = (blake3::Hasher::new(), file.metadata()?.len());
    for at in (0..size).step_by(WINDOW) {
        // SAFETY: read only; the file is not changed while it is mapped.
        let window = unsafe {
            MmapOptions::new().offset(at).len(WINDOW.min((size - at) as usize)).map(file)
        }?;
        hasher.update_rayon(&window);
    }
    Ok((hasher.finalize().to_hex().to_string(), size))
}

/// Bytes that are hashed at a time: enough for all cores.
const WINDOW: usize = 32 << 20;

pub(super) fn digest(bytes: &[u8]) -> String {
    blake3::Hasher::new().update_rayon(bytes).finalize().to_hex().to_string()
}

pub(super) fn expect_digest(
    path: &Path,
    found: &str,
    expected: &str,
) -> Result<(), CheckpointError> {
    if found.eq_ignore_ascii_case(expected) {
        return Ok(());
    }
    let why = format!("its digest is {found}, but {expected} was written");
    Err(damaged(path, why))
}
