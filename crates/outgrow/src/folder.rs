//! Folders that commands write: made aside, moved to their place as a whole, never over what is
//! there already.

use std::{
    fs::{self, File, OpenOptions, Permissions},
    io,
    os::unix::fs::PermissionsExt,
    path::{Component, Path, PathBuf, absolute},
};

use tempfile::TempDir;

use crate::error::Error;

/// A folder under construction. It is this program's own and new, so that no link leads out of it;
/// dropped before it is put to its place, it is gone.
pub struct Aside {
    to: PathBuf,
    /// Within `to` where that is an empty folder already, perhaps a place where a disk is mounted;
    /// otherwise beside it.
    folder: TempDir,
    is_within: bool,
}

impl Aside {
    /// Begins a folder that is to be at `to`, where there must be nothing, or an empty folder.
    ///
    /// # Errors
    /// If there is something, or nothing can be written there.
    pub fn new(to: &Path) -> Result<Self, Error> {
        match is_there(to)? {
            There::Nothing => Self::beside(to),
            There::Empty => Self::within(to),
            There::Something => Err(Error::Input(format!(
                "{} exists already; name a folder that does not, or an empty one",
                to.display()
            ))),
        }
    }

    /// Begins a folder that is to take the place of the one at `to`.
    pub fn instead_of(to: &Path) -> Result<Self, Error> {
        let to = fs::canonicalize(to).map_err(failed(to))?;
        if std::env::current_dir().is_ok_and(|here| here.starts_with(&to)) {
            let why = "it is the folder that you are in; leave it, or name another one";
            return Err(Error::Input(format!("cannot replace {}: {why}", to.display())));
        }
        Self::beside(&to)
    }

    fn beside(to: &Path) -> Result<Self, Error> {
        let to = absolute(to).map_err(failed(to))?;
        let parent = to.parent().unwrap_or(&to);
        fs::create_dir_all(parent).map_err(failed(&to))?;
        let folder = temporary(parent).map_err(failed(&to))?;
        Ok(Self { to, folder, is_within: false })
    }

    fn within(to: &Path) -> Result<Self, Error> {
        let folder = temporary(to).map_err(failed(to))?;
        Ok(Self { to: to.to_owned(), folder, is_within: true })
    }

    /// Where a file of this name is to be written now; its folders are made.
    ///
    /// # Errors
    /// If the name leads out of the folder.
    pub fn file(&self, name: impl AsRef<Path>) -> Result<PathBuf, Error> {
        let name = name.as_ref();
        let is_inside = name.components().all(|part| matches!(part, Component::Normal(_)));
        if !is_inside || name.file_name().is_none() {
            return Err(Error::Environment(format!(
                "{} is no name of a file in {}",
                name.display(),
                self.to.display()
            )));
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
    pub fn write(&self, name: impl AsRef<Path>, bytes: &[u8]) -> Result<(), Error> {
        let path = self.file(&name)?;
        let new = OpenOptions::new().write(true).create_new(true).open(path);
        let written = new.and_then(|mut file: File| io::Write::write_all(&mut file, bytes));
        written.map_err(failed(&self.to.join(name)))
    }

    /// Puts the folder to its place.
    ///
    /// # Errors
    /// If something came there meanwhile.
    pub fn put(self) -> Result<(), Error> {
        if self.is_within {
            let entries: Vec<_> = fs::read_dir(self.folder.path())
                .and_then(Iterator::collect)
                .map_err(failed(&self.to))?;
            let up =
                |entry: &fs::DirEntry| fs::rename(entry.path(), self.to.join(entry.file_name()));
            return entries.iter().try_for_each(up).map_err(failed(&self.to));
        }
        fs::rename(self.folder.path(), &self.to).map_err(failed(&self.to))
    }

    /// Puts the folder to the place of what is there, in one step. What was there is removed or, if
    /// it is to be kept, put beside: where is told.
    ///
    /// # Errors
    /// If they can't change places.
    pub fn replace(self, is_kept: bool) -> Result<Option<PathBuf>, Error> {
        exchange(self.folder.path(), &self.to).map_err(|error| match error.kind() {
            io::ErrorKind::ResourceBusy | io::ErrorKind::CrossesDevices => {
                let why = "a disk is mounted there; name a folder within it";
                Error::Environment(format!("cannot replace {}: {why}", self.to.display()))
            }
            _ => failed(&self.to)(error),
        })?;
        if !is_kept {
            return Ok(None);
        }
        let kept = free_name(&self.to);
        let folder = self.folder.keep();
        fs::rename(folder, &kept).map(|()| Some(kept)).map_err(failed(&self.to))
    }
}

/// What is at a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum There {
    /// Nothing, or a link to nothing.
    Nothing,
    /// An empty folder.
    Empty,
    /// Anything else.
    Something,
}

/// What is there; a link that leads nowhere is something.
pub fn is_there(place: &Path) -> Result<There, Error> {
    match fs::symlink_metadata(place) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(There::Nothing),
        Err(error) => Err(failed(place)(error)),
        Ok(_) => {
            let is_empty = fs::read_dir(place).is_ok_and(|mut entries| entries.next().is_none());
            Ok(if is_empty { There::Empty } else { There::Something })
        }
    }
}

fn failed(place: &Path) -> impl FnOnce(io::Error) -> Error {
    Error::environment(format!("cannot write {}", place.display()))
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
        let aside = Aside::new(&to).expect("free");
        aside.write("a/b.txt", b"text").expect("written");
        assert!(!to.exists());
        aside.put().expect("put");
        assert_eq!(fs::read(to.join("a/b.txt")).expect("read"), b"text");
        assert_eq!(names(to.parent().expect("a folder")), ["out"]);
        drop(Aside::new(&desk.path().join("other")).expect("free"));
        assert_eq!(names(desk.path()), ["deep"], "nothing stays of what was not put");
        assert!(matches!(Aside::new(&to), Err(Error::Input(_))));
    }

    #[test]
    fn an_empty_folder_is_filled() {
        let desk = tempfile::tempdir().expect("a folder");
        let aside = Aside::new(desk.path()).expect("empty");
        aside.write("a.txt", b"").expect("written");
        aside.put().expect("put");
        assert_eq!(names(desk.path()), ["a.txt"]);
    }

    #[test]
    fn no_name_leads_out() {
        let desk = tempfile::tempdir().expect("a folder");
        let aside = Aside::new(&desk.path().join("out")).expect("free");
        for name in ["../a", "/tmp/a", "a/../../b", "", ".", "..", "a/.."] {
            assert!(aside.write(name, b"").is_err(), "{name}");
        }
        aside.write("a", b"").expect("written");
        assert!(aside.write("a", b"").is_err(), "a file is written once");
        std::os::unix::fs::symlink("/nowhere", desk.path().join("link")).expect("a link");
        assert!(matches!(Aside::new(&desk.path().join("link")), Err(Error::Input(_))));
    }

    #[test]
    fn what_is_replaced_can_be_kept() {
        let desk = tempfile::tempdir().expect("a folder");
        let to = desk.path().join("out");
        fs::create_dir(&to).and_then(|()| fs::write(to.join("old"), "")).expect("written");
        for (new, is_kept) in [("first", true), ("second", false), ("third", true)] {
            let aside = Aside::instead_of(&to).expect("there");
            aside.write(new, b"").expect("written");
            aside.replace(is_kept).expect("replaced");
            assert_eq!(names(&to), [new]);
        }
        assert_eq!(names(desk.path()), ["out", "out.replaced-1", "out.replaced-2"]);
        assert_eq!(names(&desk.path().join("out.replaced-1")), ["old"]);
    }
}
