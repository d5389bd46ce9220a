//! Files that are there whole or not at all.

use std::{
    fs::{self, File},
    io::{self, BufWriter},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

use outgrow_failpoint::Point;

/// Writes a file: aside, synced, renamed, and its folder synced, so that whoever opens `path` sees
/// the whole file or the one before, after a loss of power too. What `write` gives is handed
/// through.
///
/// # Errors
/// If `write` fails or the disk does; what was written aside is removed, and what was at `path` is
/// as it was.
pub fn file<T, E: From<io::Error>>(
    path: &Path,
    write: impl FnOnce(&mut BufWriter<File>) -> Result<T, E>,
) -> Result<T, E> {
    let aside = aside(path);
    let written = write_aside(&aside, write).and_then(|value| {
        Point::PublishRename.around(|| fs::rename(&aside, path))?;
        Ok(value)
    });
    match written {
        Ok(value) => {
            sync_folder(path)?;
            Ok(value)
        }
        Err(error) => {
            // Best effort: the error at hand is the one to tell.
            let _ = fs::remove_file(&aside);
            Err(error)
        }
    }
}

/// Moves a file that is whole already to its place, synced likewise.
///
/// # Errors
/// If the disk refuses.
pub fn existing(from: &Path, path: &Path) -> io::Result<()> {
    Point::PublishSync.around(|| File::open(from)?.sync_all())?;
    Point::PublishRename.around(|| fs::rename(from, path))?;
    sync_folder(path)
}

fn write_aside<T, E: From<io::Error>>(
    aside: &Path,
    write: impl FnOnce(&mut BufWriter<File>) -> Result<T, E>,
) -> Result<T, E> {
    let mut file = BufWriter::with_capacity(1 << 20, File::create(aside)?);
    let value = write(&mut file)?;
    let file = file.into_inner().map_err(|error| error.into_error())?;
    Point::PublishSync.around(|| file.sync_all())?;
    Ok(value)
}

/// A name beside `path` that no other writer takes.
fn aside(path: &Path) -> PathBuf {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".tmp-{}-{number}", std::process::id()));
    PathBuf::from(name)
}

fn sync_folder(path: &Path) -> io::Result<()> {
    let folder =
        path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    Point::PublishPlaceSync.around(|| File::open(folder)?.sync_all())
}
