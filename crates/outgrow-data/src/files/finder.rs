//! Finding files in folders.

use std::{
    collections::{HashMap, HashSet},
    fs::{self, FileType},
    io,
    os::unix::fs::{FileTypeExt, MetadataExt},
    path::{Path, PathBuf},
};

use outgrow_core::sweep::TextFormat;

use super::{
    names::{is_about, is_named_data, name},
    own::{self, Own},
    source::{LeftOut, Source, Stamp, stamp},
};
use crate::{
    error::{CorpusError, read_error},
    formats::{Format, first_has, kind_of},
};

/// Finds files, each once, however many links lead to it.
pub(crate) struct Finder<'a> {
    field: &'a str,
    format: Option<TextFormat>,
    seen: HashMap<(u64, u64), PathBuf>,
    folders: HashSet<(u64, u64)>,
    /// How often something was found that had been found before.
    doubles: usize,
    own: Own,
    /// What was found and is not read.
    pub left_out: Vec<LeftOut>,
}

impl<'a> Finder<'a> {
    /// `field` is the name of the text in JSON and Parquet; a `format` of the user's stands above
    /// what files seem to be; `own` files and folders are never opened.
    pub fn new(field: &'a str, format: Option<TextFormat>, own: &[PathBuf]) -> Self {
        Self {
            field,
            format,
            seen: HashMap::new(),
            folders: HashSet::new(),
            doubles: 0,
            own: Own::new(own),
            left_out: vec![],
        }
    }

    /// The files of some paths: folders in the order of the names in them. Hidden entries are left
    /// out, and in folders with files of data what is none; so is what was found before.
    ///
    /// # Errors
    /// If one can't be read, is no file, holds what is not read, or there is nothing in it.
    pub fn find(&mut self, paths: &[String]) -> Result<Vec<Source>, CorpusError> {
        let mut sources = vec![];
        for path in paths {
            if path.is_empty() {
                return Err(CorpusError::Nameless);
            }
            let doubles = self.doubles;
            let mut found = vec![];
            let metadata = fs::metadata(path).map_err(read_error(Path::new(path)))?;
            if self.own.has(Path::new(path), &metadata) {
                let why = format!("{}; name files with text in them", own::WHY);
                return Err(CorpusError::document(Path::new(path), why));
            }
            self.collect(Path::new(path), &mut vec![], &mut found)?;
            if found.iter().all(|file| file.bytes == 0) && self.doubles == doubles {
                return Err(CorpusError::Empty(path.clone()));
            }
            let (full, empty): (Vec<_>, Vec<_>) =
                found.into_iter().partition(|file| file.bytes > 0);
            empty.iter().for_each(|file| self.leave_out(&file.path, "empty"));
            sources.extend(if Path::new(path).is_dir() {
                self.data_of(full)?
            } else {
                self.looked_at(full)?
            });
        }
        Ok(sources)
    }

    fn leave_out(&mut self, path: &Path, why: impl Into<String>) {
        self.left_out.push(LeftOut { path: path.display().to_string(), why: why.into() });
    }

    /// Walks; `above` are the folders on the way, as they are named without links.
    fn collect(
        &mut self,
        path: &Path,
        above: &mut Vec<PathBuf>,
        found: &mut Vec<Found>,
    ) -> Result<(), CorpusError> {
        let metadata = fs::metadata(path).map_err(read_error(path))?;
        if self.own.has(path, &metadata) {
            self.leave_out(path, own::WHY);
            return Ok(());
        }
        let id = (metadata.dev(), metadata.ino());
        if metadata.is_dir() {
            return self.folder(path, id, above, found);
        }
        if !metadata.is_file() {
            let kind = special(metadata.file_type());
            let why = format!("it is {kind}, not a file; write its text to a file and name that");
            return Err(CorpusError::document(path, why));
        }
        if let Some(other) = self.seen.get(&id) {
            let why = format!("it is read as {} already", other.display());
            self.doubles += 1;
            self.leave_out(path, why);
            return Ok(());
        }
        self.seen.insert(id, path.to_owned());
        found.push(Found { path: path.to_owned(), bytes: metadata.len(), stamp: stamp(&metadata) });
        Ok(())
    }

    fn folder(
        &mut self,
        path: &Path,
        id: (u64, u64),
        above: &mut Vec<PathBuf>,
        found: &mut Vec<Found>,
    ) -> Result<(), CorpusError> {
        let whole = fs::canonicalize(path).map_err(read_error(path))?;
        if above.iter().any(|folder| folder.starts_with(&whole)) {
            let why =
                "this link leads back to a folder that it lies in; remove it, or name the files";
            return Err(CorpusError::document(path, why));
        }
        if !self.folders.insert(id) {
            self.doubles += 1;
            self.leave_out(path, "this folder is read by another name already");
            return Ok(());
        }
        above.push(whole);
        let walked =
            self.entries(path)?.iter().try_for_each(|entry| self.collect(entry, above, found));
        above.pop();
        walked
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

    fn looked_at(&self, found: Vec<Found>) -> Result<Vec<Source>, CorpusError> {
        found.into_iter().map(|found| found.look(self.format)).collect()
    }

    /// The files of a folder; where there are any of data, texts and nothing else beside them.
    fn data_of(&mut self, found: Vec<Found>) -> Result<Vec<Source>, CorpusError> {
        if self.format == Some(TextFormat::Text) {
            return self.looked_at(found);
        }
        // What can't be read matters only if it is to be read.
        let looked = found.into_iter().map(|found| {
            let path = found.path.clone();
            let source = found.look(self.format);
            let is_data = source.as_ref().is_ok_and(|source| is_data(source, self.field));
            (path, source, is_data)
        });
        let looked: Vec<(PathBuf, Result<Source, CorpusError>, bool)> = looked.collect();
        let has_data = looked.iter().any(|(path, _, is_data)| *is_data && !is_about(path));
        let has_text = looked.iter().any(|(path, source, _)| {
            source.as_ref().is_ok_and(|source| source.kind.format == Format::Text)
                && !is_about(path)
        });
        let mut sources = vec![];
        for (path, source, is_data) in looked {
            if has_data && is_about(&path) {
                self.leave_out(&path, "it is about the data");
            } else if has_data && !is_data && !is_named_data(&path) {
                self.leave_out(&path, "beside files of data");
            } else {
                let mut source = source?;
                // Settings among source code and the like: one object that is no document.
                if !is_data && has_text && source.kind.format == Format::Objects {
                    source.kind.format = Format::Text;
                }
                sources.push(source);
            }
        }
        Ok(sources)
    }
}

struct Found {
    path: PathBuf,
    bytes: u64,
    stamp: Stamp,
}

impl Found {
    fn look(self, format: Option<TextFormat>) -> Result<Source, CorpusError> {
        let (kind, mark) = kind_of(&self.path, format)?;
        Ok(Source { path: self.path, kind, bytes: self.bytes, mark, stamp: self.stamp })
    }
}

fn special(kind: FileType) -> &'static str {
    match kind {
        kind if kind.is_fifo() => "a pipe",
        kind if kind.is_socket() => "a socket",
        kind if kind.is_char_device() || kind.is_block_device() => "a device",
        _ => "something else",
    }
}

/// Whether a file holds documents with a text of this name.
fn is_data(source: &Source, field: &str) -> bool {
    match source.kind.format {
        Format::Text => false,
        Format::Parquet => true,
        Format::Lines
            if name(&source.path).contains(".jsonl") || name(&source.path).contains(".ndjson") =>
        {
            true
        }
        Format::Lines | Format::Array | Format::Objects => {
            first_has(&source.path, source.kind.packing, field).unwrap_or(true)
        }
    }
}
