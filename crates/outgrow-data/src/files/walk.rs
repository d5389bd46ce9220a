//! Finding files in folders.

use std::{
    collections::HashMap,
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use super::{
    looked::File,
    names::name,
    own::{self, Own},
    source::{LeftOut, stamp},
};
use crate::{
    error::{CorpusError, missing_error, read_error},
    regular::special,
};

/// Device and number of a file or folder.
type Id = (u64, u64);

/// All files that some paths lead to, each once.
pub(super) struct Walk {
    pub files: Vec<File>,
    /// Other paths to some of them.
    pub doubles: Vec<(PathBuf, usize)>,
    /// What was found and is never read.
    pub left_out: Vec<LeftOut>,
    own: Own,
    seen: HashMap<Id, usize>,
    /// The files of each folder.
    folders: HashMap<Id, Vec<usize>>,
}

impl Walk {
    /// `own` files and folders are never opened.
    pub fn new(own: &[PathBuf]) -> Self {
        Self {
            files: vec![],
            doubles: vec![],
            left_out: vec![],
            own: Own::new(own),
            seen: HashMap::new(),
            folders: HashMap::new(),
        }
    }

    /// The files of a path of the user's, by their numbers, and whether it is a folder.
    ///
    /// # Errors
    /// If it is nothing that is read, or holds nothing.
    pub fn named(&mut self, path: &str) -> Result<(bool, Vec<usize>), CorpusError> {
        if path.is_empty() {
            return Err(CorpusError::Nameless);
        }
        let place = Path::new(path);
        let metadata = fs::metadata(place).map_err(missing_error(place))?;
        if self.own.has(place, &metadata) {
            let why = format!("{}; name files with text in them", own::WHY);
            return Err(CorpusError::document(place, why));
        }
        let before = self.left_out.len();
        let files = self.collect(place, &mut vec![])?;
        if files.iter().any(|&n| self.files[n].bytes > 0) {
            return Ok((metadata.is_dir(), files));
        }
        Err(match self.left_out.get(before) {
            Some(LeftOut { path: other, why }) if files.is_empty() => {
                let n = self.left_out.len() - before;
                let more = if n > 1 { format!(" and {} more", n - 1) } else { String::new() };
                let why = format!(
                    "nothing in it is read: {other} ({why}){more}; name files with text in them"
                );
                CorpusError::document(place, why)
            }
            _ => CorpusError::Empty(path.to_owned()),
        })
    }

    fn leave_out(&mut self, path: &Path, why: &str) {
        self.left_out.push(LeftOut::new(path, why));
    }

    /// Walks; `above` are the folders on the way, as they are named without links.
    fn collect(
        &mut self,
        path: &Path,
        above: &mut Vec<PathBuf>,
    ) -> Result<Vec<usize>, CorpusError> {
        let metadata = fs::metadata(path).map_err(missing_error(path))?;
        if self.own.has(path, &metadata) {
            self.leave_out(path, own::WHY);
            return Ok(vec![]);
        }
        let id = (metadata.dev(), metadata.ino());
        if metadata.is_dir() {
            return self.folder(path, id, above);
        }
        if !metadata.is_file() {
            let kind = special(metadata.file_type());
            let why = format!("it is {kind}, not a file; write its text to a file and name that");
            return Err(CorpusError::document(path, why));
        }
        if let Some(&known) = self.seen.get(&id) {
            self.doubles.push((path.to_owned(), known));
            return Ok(vec![known]);
        }
        let number = self.files.len();
        self.seen.insert(id, number);
        let (path, bytes) = (path.to_owned(), metadata.len());
        self.files.push(File { path, bytes, stamp: stamp(&metadata) });
        Ok(vec![number])
    }

    fn folder(
        &mut self,
        path: &Path,
        id: Id,
        above: &mut Vec<PathBuf>,
    ) -> Result<Vec<usize>, CorpusError> {
        let whole = fs::canonicalize(path).map_err(read_error(path))?;
        if above.iter().any(|folder| folder.starts_with(&whole)) {
            let why =
                "this link leads back to a folder that it lies in; remove it, or name the files";
            return Err(CorpusError::document(path, why));
        }
        if let Some(files) = self.folders.get(&id).cloned() {
            self.leave_out(path, "the files of this folder were found already");
            return Ok(files);
        }
        above.push(whole);
        let mut files = vec![];
        for entry in self.entries(path)? {
            files.extend(self.collect(&entry, above)?);
        }
        above.pop();
        self.folders.insert(id, files.clone());
        Ok(files)
    }

    fn entries(&mut self, path: &Path) -> Result<Vec<PathBuf>, CorpusError> {
        let entries = fs::read_dir(path)
            .and_then(Iterator::collect::<io::Result<Vec<_>>>)
            .map_err(read_error(path))?;
        let mut inner: Vec<PathBuf> = entries.into_iter().map(|entry| entry.path()).collect();
        inner.sort();
        let (hidden, inner): (Vec<_>, Vec<_>) =
            inner.into_iter().partition(|path| name(path).starts_with('.'));
        hidden.iter().for_each(|path| self.leave_out(path, "hidden"));
        Ok(inner)
    }
}
