//! Folders that are there whole or not at all, and take the place of others in one step.

use std::{
    fs::{self, OpenOptions, Permissions},
    io::{self, Write},
    os::unix::fs::PermissionsExt,
    path::{Component, Path, PathBuf, absolute},
};

use tempfile::TempDir;
use thiserror::Error;

use super::sync;

/// Why a folder is not written.
#[derive(Debug, Error)]
#[allow(missing_docs)]
pub enum FolderError {
    /// Something is at its place.
    #[error("{0} exists already; name a folder that does not, or an empty one")]
    Exists(String),
    /// What it is to replace is the working directory.
    #[error("cannot replace {0}: it is the folder that you are in; leave it, or name another one")]
    WorkingDirectory(String),
    /// What it is to replace is on another file system than what it lies in.
    #[error("cannot replace {0}: a disk is mounted there; name a folder within it")]
    MountPoint(String),
    /// The name of a file leads out of it.
    #[error("{name} is no name of a file in {folder}")]
    Name {
        /// The name.
        name: String,
        folder: String,
    },
    /// The disk refuses.
    #[error("cannot write {path}: {error}")]
    Write {
        /// The file or folder.
        path: String,
        error: io::Error,
    },
}

/// A folder under construction. It is this program's own and new, so that no link leads out of it;
/// dropped before it is put to its place, it is gone.
pub struct NewFolder {
    to: PathBuf,
    /// Within `to` where that is an empty folder already, perhaps a place where a disk is mounted;
    /// otherwise beside it.
    folder: TempDir,
    is_within: bool,
}

impl NewFolder {
    /// Begins a folder that is to be at `to`, where there must be nothing, or an empty folder.
    ///
    /// # Errors
    /// If there is something, or nothing can be written there.
    pub fn create(to: &Path) -> Result<Self, FolderError> {
        match Destination::of(to)? {
            Destination::Free => Self::beside(to),
            Destination::EmptyFolder => Self::within(to),
            Destination::Occupied => Err(FolderError::Exists(to.display().to_string())),
        }
    }

    /// Begins a folder that is to take the place of the one at `to`.
    ///
    /// # Errors
    /// If that is the working directory, or nothing can be written beside it.
    pub fn instead_of(to: &Path) -> Result<Self, FolderError> {
        let to = fs::canonicalize(to).map_err(failed(to))?;
        if std::env::current_dir().is_ok_and(|here| here.starts_with(&to)) {
            return Err(FolderError::WorkingDirectory(to.display().to_string()));
        }
        Self::beside(&to)
    }

    fn beside(to: &Path) -> Result<Self, FolderError> {
        let to = absolute(to).map_err(failed(to))?;
        let parent = to.parent().unwrap_or(&to);
        fs::create_dir_all(parent).map_err(failed(&to))?;
        let folder = temporary(parent).map_err(failed(&to))?;
        Ok(Self { to, folder, is_within: false })
    }

    fn within(to: &Path) -> Result<Self, FolderError> {
        let folder = temporary(to).map_err(failed(to))?;
        Ok(Self { to: to.to_owned(), folder, is_within: true })
    }

    /// Where a file of this name is to be written now; its folders are made.
    ///
    /// # Errors
    /// If the name leads out of the folder.
    pub fn file(&self, name: impl AsRef<Path>) -> Result<PathBuf, FolderError> {
        let name = name.as_ref();
        let is_inside = name.components().all(|part| matches!(part, Component::Normal(_)));
        if !is_inside || name.file_name().is_none() {
            let (name, folder) = (name.display().to_string(), self.to.display().to_string());
            return Err(FolderError::Name { name, folder });
        }
        let path = self.folder.path().join(name);
        let parent = path.parent().expect("it lies in a folder");
        fs::create_dir_all(parent).map_err(failed(&self.to.join(name)))?;
        Ok(path)
    }

    /// Writes a file, each once.
    ///
    /// # Errors
    /// If it can't be written, or is there.
    pub fn write(&self, name: impl AsRef<Path>, bytes: &[u8]) -> Result<(), FolderError> {
        let path = self.file(&name)?;
        let new = OpenOptions::new().write(true).create_new(true).open(path);
        new.and_then(|mut file| file.write_all(bytes)).map_err(failed(&self.to.join(name)))
    }

    /// Puts the folder to its place.
    ///
    /// # Errors
    /// If something came there meanwhile, or the disk refuses.
    pub fn finish(self) -> Result<(), FolderError> {
        self.put().map_err(failed(&self.to))
    }

    fn put(&self) -> io::Result<()> {
        sync::tree(self.folder.path())?;
        if self.is_within {
            for entry in fs::read_dir(self.folder.path())?.collect::<io::Result<Vec<_>>>()? {
                fs::rename(entry.path(), self.to.join(entry.file_name()))?;
            }
            return sync::folder_of(&self.to.join("any"));
        }
        fs::rename(self.folder.path(), &self.to)?;
        sync::folder_of(&self.to)
    }

    /// Puts the folder to the place of what is there, in one step. What was there is removed or, if
    /// it is to be kept, put beside: where is told.
    ///
    /// # Errors
    /// If they can't change places.
    pub fn replace(self, is_kept: bool) -> Result<Option<PathBuf>, FolderError> {
        sync::tree(self.folder.path()).map_err(failed(&self.to))?;
        exchange(self.folder.path(), &self.to).map_err(|error| match error.kind() {
            io::ErrorKind::ResourceBusy | io::ErrorKind::CrossesDevices => {
                FolderError::MountPoint(self.to.display().to_string())
            }
            _ => failed(&self.to)(error),
        })?;
        let kept = is_kept.then(|| free_name(&self.to));
        if let Some(kept) = &kept {
            fs::rename(self.folder.keep(), kept).map_err(failed(&self.to))?;
        }
        sync::folder_of(&self.to).map_err(failed(&self.to))?;
        Ok(kept)
    }
}

/// What is at a path that a folder is to have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Destination {
    /// Nothing.
    Free,
    /// A folder with nothing in it.
    EmptyFolder,
    /// Anything else; a link that leads nowhere, too.
    Occupied,
}

impl Destination {
    /// Looks.
    ///
    /// # Errors
    /// If it can't be seen.
    pub fn of(path: &Path) -> Result<Self, FolderError> {
        match fs::symlink_metadata(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::Free),
            Err(error) => Err(failed(path)(error)),
            Ok(_) => {
                let is_empty = fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_none());
                Ok(if is_empty { Self::EmptyFolder } else { Self::Occupied })
            }
        }
    }
}

fn failed(path: &Path) -> impl FnOnce(io::Error) -> FolderError {
    let path = path.display().to_string();
    move |error| FolderError::Write { path, error }
}

/// A folder that everybody may read whom the user's mask allows to.
fn temporary(parent: &Path) -> io::Result<TempDir> {
    tempfile::Builder::new()
        .prefix(".outgrow-")
        .permissions(Permissions::from_mode(0o777))
        .tempdir_in(parent)
}

/// `FOLDER.replaced-1`, or the first number that is free.
fn free_name(folder: &Path) -> PathBuf {
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    let numbered = |n: u32| folder.with_file_name(format!("{name}.replaced-{n}"));
    (1..)
        .map(numbered)
        .find(|name| fs::symlink_metadata(name).is_err())
        .expect("some number is free")
}

/// Lets two folders change places in one step, or in three where the file system can't.
fn exchange(one: &Path, other: &Path) -> io::Result<()> {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        use nix::fcntl::{AT_FDCWD, RenameFlags, renameat2};
        match renameat2(AT_FDCWD, one, AT_FDCWD, other, RenameFlags::RENAME_EXCHANGE) {
            Err(nix::Error::EINVAL | nix::Error::ENOSYS) => {}
            done => return Ok(done?),
        }
    }
    let between = one.with_extension("old");
    fs::rename(other, &between)?;
    fs::rename(one, other)?;
    fs::rename(between, one)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder)
            .expect("a folder")
            .map(|entry| entry.expect("an entry").file_name());
        let mut names: Vec<String> =
            entries.map(|name| name.to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_folder_comes_whole_or_not_at_all() {
        let desk = tempfile::tempdir().expect("a folder");
        let to = desk.path().join("deep/er/out");
        let new = NewFolder::create(&to).expect("free");
        new.write("a/b.txt", b"text").expect("written");
        assert!(!to.exists());
        new.finish().expect("finished");
        assert_eq!(fs::read(to.join("a/b.txt")).expect("read"), b"text");
        assert_eq!(names(to.parent().expect("a folder")), ["out"]);
        drop(NewFolder::create(&desk.path().join("other")).expect("free"));
        assert_eq!(names(desk.path()), ["deep"], "nothing stays of what was not finished");
        assert!(matches!(NewFolder::create(&to), Err(FolderError::Exists(_))));
    }

    #[test]
    fn an_empty_folder_is_filled() {
        let desk = tempfile::tempdir().expect("a folder");
        let new = NewFolder::create(desk.path()).expect("empty");
        new.write("a.txt", b"").expect("written");
        new.finish().expect("finished");
        assert_eq!(names(desk.path()), ["a.txt"]);
    }

    #[test]
    fn no_name_leads_out() {
        let desk = tempfile::tempdir().expect("a folder");
        let new = NewFolder::create(&desk.path().join("out")).expect("free");
        for name in ["../a", "/tmp/a", "a/../../b", "", ".", "..", "a/.."] {
            assert!(new.write(name, b"").is_err(), "{name}");
        }
        new.write("a", b"").expect("written");
        assert!(new.write("a", b"").is_err(), "a file is written once");
        std::os::unix::fs::symlink("/nowhere", desk.path().join("link")).expect("a link");
        assert!(matches!(
            NewFolder::create(&desk.path().join("link")),
            Err(FolderError::Exists(_))
        ));
    }

    #[test]
    fn what_is_replaced_can_be_kept() {
        let desk = tempfile::tempdir().expect("a folder");
        let to = desk.path().join("out");
        fs::create_dir(&to).and_then(|()| fs::write(to.join("old"), "")).expect("written");
        for (name, is_kept) in [("first", true), ("second", false), ("third", true)] {
            let new = NewFolder::instead_of(&to).expect("there");
            new.write(name, b"").expect("written");
            new.replace(is_kept).expect("replaced");
            assert_eq!(names(&to), [name]);
        }
        assert_eq!(names(desk.path()), ["out", "out.replaced-1", "out.replaced-2"]);
        assert_eq!(names(&desk.path().join("out.replaced-1")), ["old"]);
    }
}
