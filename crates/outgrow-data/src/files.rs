//! Which files text is read from.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    fs::{self, FileType, Metadata},
    io,
    os::unix::fs::{FileTypeExt, MetadataExt},
    path::{Path, PathBuf},
};

use outgrow_core::sweep::TextFormat;
use serde::Serialize;

use crate::{
    error::{CorpusError, read_error},
    formats::{Format, Kind, first_has, kind_of},
};

/// A file that is read.
#[derive(Debug)]
pub(crate) struct Source {
    pub path: PathBuf,
    pub kind: Kind,
    pub bytes: u64,
    /// Bytes of its mark of UTF-8, which is no part of the text.
    pub mark: u64,
    stamp: Stamp,
}

/// What changes when a file does.
type Stamp = (u64, u64, i64, i64);

impl Source {
    /// Refuses a file that is no longer the one that was looked at.
    pub fn is_unchanged(&self) -> Result<(), CorpusError> {
        let metadata = fs::metadata(&self.path).map_err(read_error(&self.path))?;
        match stamp(&metadata) == self.stamp {
            true => Ok(()),
            false => Err(CorpusError::document(
                &self.path,
                "it changed while it was read; run again when it is at rest",
            )),
        }
    }
}

fn stamp(metadata: &Metadata) -> Stamp {
    (metadata.ino(), metadata.len(), metadata.mtime(), metadata.mtime_nsec())
}

/// A file or folder that was found and is not read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LeftOut {
    /// Which.
    pub path: String,
    /// Why.
    pub why: String,
}

/// Files of one kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Files {
    /// What they hold, and how they are compressed.
    pub kind: String,
    /// How many.
    pub files: u64,
    /// As they lie on the disk.
    pub bytes: u64,
    /// The first of them.
    pub first: Vec<String>,
}

/// So many names are told.
const NAMES: usize = 3;

/// Files of one kind each, for people.
pub(crate) fn by_kind<'a>(sources: impl Iterator<Item = &'a Source>) -> Vec<Files> {
    let mut kinds: BTreeMap<Kind, Files> = BTreeMap::new();
    for source in sources {
        let none = || Files { kind: source.kind.describe(), files: 0, bytes: 0, first: vec![] };
        let files = kinds.entry(source.kind).or_insert_with(none);
        files.files += 1;
        files.bytes += source.bytes;
        if files.first.len() < NAMES {
            files.first.push(source.path.display().to_string());
        }
    }
    kinds.into_values().collect()
}

/// Finds files, each once, however many links lead to it.
pub(crate) struct Finder<'a> {
    field: &'a str,
    format: Option<TextFormat>,
    seen: HashMap<(u64, u64), PathBuf>,
    folders: HashSet<(u64, u64)>,
    /// How often something was found that had been found before.
    doubles: usize,
    /// What was found and is not read.
    pub left_out: Vec<LeftOut>,
}

impl<'a> Finder<'a> {
    /// `field` is the name of the text in JSON and Parquet; a `format` of the user's stands above
    /// what files seem to be.
    pub fn new(field: &'a str, format: Option<TextFormat>) -> Self {
        Self {
            field,
            format,
            seen: HashMap::new(),
            folders: HashSet::new(),
            doubles: 0,
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
            let doubles = self.doubles;
            let mut found = vec![];
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

/// A file's name in small letters.
fn name(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().to_lowercase()).unwrap_or_default()
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

/// Whether a name says that a file is data or text, so that it is never left out beside others.
fn is_named_data(path: &Path) -> bool {
    let name = name(path);
    let endings =
        [".txt", ".text", ".jsonl", ".ndjson", ".parquet", ".arrow", ".csv", ".tsv", ".json."];
    endings.iter().any(|ending| name.contains(ending))
}

/// Whether a name says that a file is about the data beside it.
fn is_about(path: &Path) -> bool {
    let name = name(path);
    let stem = name.split('.').next().unwrap_or_default();
    const STEMS: [&str; 14] = [
        "readme",
        "license",
        "licence",
        "copying",
        "notice",
        "citation",
        "changelog",
        "contributing",
        "authors",
        "requirements",
        "cmakelists",
        "sha256sums",
        "md5sums",
        "checksums",
    ];
    const NAMES: [&str; 9] = [
        "dataset_infos.json",
        "dataset_info.json",
        "dataset_dict.json",
        "state.json",
        "metadata.json",
        "croissant.json",
        "_success",
        "_metadata",
        "_common_metadata",
    ];
    STEMS.contains(&stem) || NAMES.contains(&&*name)
}
