//! Files that are there whole or not at all.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
    sync::{
        Mutex, MutexGuard,
        atomic::{AtomicU64, Ordering},
    },
};

use outgrow_failpoint::Point;

use super::sync;

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
    let mut new = NewFile::create(path)?;
    let value = write(&mut new.writer)?;
    new.finish()?;
    Ok(value)
}

/// Moves a file that is whole already to its place, synced likewise.
///
/// # Errors
/// If the disk refuses.
pub fn existing(from: &Path, path: &Path) -> io::Result<()> {
    Point::PublishSync.around(|| File::open(from)?.sync_all())?;
    Point::PublishRename.around(|| fs::rename(from, path))?;
    sync::place(path)
}

/// A file that has its name once it is finished; dropped before that, it is gone.
pub struct NewFile {
    writer: BufWriter<File>,
    aside: Aside,
    path: PathBuf,
}

impl NewFile {
    /// Begins a file that is to be at `path`.
    ///
    /// # Errors
    /// If nothing can be written beside `path`.
    pub fn create(path: &Path) -> io::Result<Self> {
        let (file, aside) = Aside::create(path)?;
        let writer = BufWriter::with_capacity(1 << 20, file);
        Ok(Self { writer, aside, path: path.to_owned() })
    }

    /// Gives the file its name.
    ///
    /// # Errors
    /// If the disk refuses; what was at the path is as it was then, unless it is the last sync that
    /// failed.
    pub fn finish(self) -> io::Result<()> {
        let Self { writer, aside, path } = self;
        let file = writer.into_inner().map_err(|error| error.into_error())?;
        Point::PublishSync.around(|| file.sync_all())?;
        Point::PublishRename.around(|| fs::rename(&aside.0, &path))?;
        aside.renamed();
        sync::place(&path)
    }
}

impl Write for NewFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.writer.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}

/// Removes the files that this process has begun and not finished: for one that ends at once, at a
/// signal. Their writers fail when they finish.
pub fn discard_unfinished() {
    for path in std::mem::take(&mut *unfinished()) {
        // They are litter, no more.
        let _ = fs::remove_file(path);
    }
}

/// The names aside that this process has in use.
fn unfinished() -> MutexGuard<'static, BTreeSet<PathBuf>> {
    static UNFINISHED: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());
    UNFINISHED.lock().expect("nobody panics with it")
}

/// The name of a file that is not finished; dropped, the file is removed.
struct Aside(PathBuf);

impl Aside {
    /// A new file beside `path`, under a name that no other writer takes.
    fn create(path: &Path) -> io::Result<(File, Self)> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        loop {
            let number = NUMBER.fetch_add(1, Ordering::Relaxed);
            let mut name = path.file_name().unwrap_or_default().to_owned();
            name.push(format!(".tmp-{}-{number}", std::process::id()));
            let aside = path.with_file_name(name);
            match File::create_new(&aside) {
                // Of a process that was killed and had the same number.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                file => {
                    let file = file?;
                    unfinished().insert(aside.clone());
                    return Ok((file, Self(aside)));
                }
            }
        }
    }

    fn renamed(self) {
        unfinished().remove(&self.0);
    }
}

impl Drop for Aside {
    fn drop(&mut self) {
        if unfinished().remove(&self.0) {
            // Best effort: the error at hand is the one to tell.
            let _ = fs::remove_file(&self.0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).expect("a folder");
        let names = entries.map(|entry| entry.expect("an entry").file_name());
        names.map(|name| name.to_string_lossy().into_owned()).collect()
    }

    #[test]
    fn a_file_has_its_name_when_it_is_whole() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.txt");
        fs::write(&path, "before").expect("written");
        let mut new = NewFile::create(&path).expect("created");
        new.write_all(b"after").expect("written");
        assert_eq!(fs::read(&path).expect("read"), b"before");
        new.finish().expect("finished");
        assert_eq!(fs::read(&path).expect("read"), b"after");
        drop(NewFile::create(&path).expect("created"));
        let failed = file(&path, |_| Err::<(), _>(io::Error::other("no")));
        assert_eq!(failed.expect_err("refused").to_string(), "no");
        assert_eq!(names(folder.path()), ["a.txt"], "nothing stays of what was not finished");
        assert_eq!(fs::read(&path).expect("read"), b"after");
    }
}
