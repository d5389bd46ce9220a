//! Documents in files: text, JSON lines and Parquet, each as it is or compressed by gzip or zstd.

use std::{
    fs::{self, File},
    io::{self, BufRead, BufReader, Read},
    path::{Path, PathBuf},
};

use arrow::{
    array::{Array, AsArray},
    datatypes::DataType,
};
use parquet::arrow::{ProjectionMask, arrow_reader::ParquetRecordBatchReaderBuilder};

use crate::corpus::CorpusError;

/// One document.
pub(crate) enum Document {
    /// A whole file of text: it is cut into training and validation text by its length.
    File(Vec<u8>),
    /// One of many in a file: it is wholly one or the other, by its hash.
    Entry(Vec<u8>),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Format {
    Text,
    JsonLines,
    Parquet,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Compression {
    None,
    Gzip,
    Zstd,
}

/// How a file is to be read, by the endings of its name.
fn kind(path: &Path) -> (Format, Compression) {
    let name = path.file_name().map(|name| name.to_string_lossy().to_lowercase()).unwrap_or_default();
    let (name, compression) = match (name.strip_suffix(".gz"), name.strip_suffix(".zst")) {
        (Some(name), _) => (name, Compression::Gzip),
        (_, Some(name)) => (name, Compression::Zstd),
        _ => (name.as_str(), Compression::None),
    };
    let format = match name.rsplit_once('.').map(|(_, ending)| ending) {
        Some("jsonl" | "ndjson") => Format::JsonLines,
        Some("parquet") => Format::Parquet,
        _ => Format::Text,
    };
    (format, compression)
}

/// Whether a file is more than plain text: compressed, or of several documents.
pub(crate) fn is_of_documents(path: &Path) -> bool {
    kind(path) != (Format::Text, Compression::None)
}

/// The files of some paths: folders in the order of the names in them, hidden entries left out.
///
/// # Errors
/// If one can't be read, or there is nothing in it.
pub fn sources(paths: &[String]) -> Result<Vec<PathBuf>, CorpusError> {
    let mut files = vec![];
    for path in paths {
        let before = files.len();
        collect(Path::new(path), &mut files)?;
        let bytes: u64 = files[before..].iter().filter_map(|file| fs::metadata(file).ok()).map(|m| m.len()).sum();
        if bytes == 0 {
            return Err(CorpusError::Empty(path.clone()));
        }
    }
    Ok(files)
}

fn collect(path: &Path, files: &mut Vec<PathBuf>) -> Result<(), CorpusError> {
    let metadata = fs::metadata(path).map_err(read_error(path))?;
    if !metadata.is_dir() {
        files.push(path.to_owned());
        return Ok(());
    }
    let entries = fs::read_dir(path).and_then(Iterator::collect::<io::Result<Vec<_>>>).map_err(read_error(path))?;
    let mut inner: Vec<PathBuf> = entries.into_iter().map(|entry| entry.path()).collect();
    inner.retain(|path| !path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.')));
    inner.sort();
    inner.iter().try_for_each(|path| collect(path, files))
}

pub(crate) fn read_error(path: &Path) -> impl Fn(io::Error) -> CorpusError {
    let path = path.display().to_string();
    move |error| CorpusError::Read { path: path.clone(), error }
}

/// Hands over each document of a file in turn. `field` is the name of the text in JSON lines and Parquet.
pub(crate) fn each(
    path: &Path,
    field: &str,
    take: &mut dyn FnMut(Document) -> Result<(), CorpusError>,
) -> Result<(), CorpusError> {
    match kind(path).0 {
        Format::Text => {
            let mut text = vec![];
            open(path)?.read_to_end(&mut text).map_err(read_error(path))?;
            take(Document::File(text))
        }
        Format::JsonLines => json_lines(path, field, take),
        Format::Parquet => columns(path, field, take),
    }
}

/// Hands over each text of a file in turn: its documents, or of a file of text its pieces, cut after lines.
///
/// # Errors
/// If the file is not what its name says, or `take` fails.
pub fn each_text(
    path: &Path,
    field: &str,
    take: &mut dyn FnMut(String) -> Result<(), CorpusError>,
) -> Result<(), CorpusError> {
    each(path, field, &mut |document| match document {
        Document::Entry(text) => take(String::from_utf8_lossy(&text).into_owned()),
        Document::File(text) => pieces(&text).try_for_each(|piece| take(String::from_utf8_lossy(piece).into_owned())),
    })
}

/// A file of text is tokenized in pieces of about this size.
const PIECE_BYTES: usize = 1 << 20;

/// A text in pieces, each cut after a line that another word follows, so that a tokenizer sees the same words.
pub(crate) fn pieces(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let ends = |at: &usize| {
            let at = *at;
            rest[at - 1] == b'\n' && !rest[at - 2].is_ascii_whitespace() && !rest[at].is_ascii_whitespace()
        };
        let (piece, left) = rest.split_at((PIECE_BYTES..rest.len()).find(ends).unwrap_or(rest.len()));
        rest = left;
        (!piece.is_empty()).then_some(piece)
    })
}

/// A file, unpacked.
fn open(path: &Path) -> Result<Box<dyn BufRead>, CorpusError> {
    let file = File::open(path).map_err(read_error(path))?;
    Ok(match kind(path).1 {
        Compression::None => Box::new(BufReader::new(file)),
        // Several members one after the other are one text, as gzip itself has it.
        Compression::Gzip => Box::new(BufReader::new(flate2::read::MultiGzDecoder::new(file))),
        Compression::Zstd => Box::new(BufReader::new(zstd::Decoder::new(file).map_err(read_error(path))?)),
    })
}

fn json_lines(
    path: &Path,
    field: &str,
    take: &mut dyn FnMut(Document) -> Result<(), CorpusError>,
) -> Result<(), CorpusError> {
    for (number, line) in open(path)?.split(b'\n').enumerate() {
        let line = line.map_err(read_error(path))?;
        if line.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        let place = || format!("{}, line {}", path.display(), number + 1);
        let value: serde_json::Value = serde_json::from_slice(&line)
            .map_err(|error| CorpusError::Document { place: place(), why: format!("it is no JSON: {error}") })?;
        let Some(text) = value.get(field).and_then(serde_json::Value::as_str) else {
            let why = format!("it has no text `{field}`; name the field of the text as data.field");
            return Err(CorpusError::Document { place: place(), why });
        };
        take(Document::Entry(text.as_bytes().to_vec()))?;
    }
    Ok(())
}

fn columns(
    path: &Path,
    field: &str,
    take: &mut dyn FnMut(Document) -> Result<(), CorpusError>,
) -> Result<(), CorpusError> {
    let document = |why: String| CorpusError::Document { place: path.display().to_string(), why };
    let file = File::open(path).map_err(read_error(path))?;
    let damaged = |error: &dyn std::fmt::Display| document(format!("it is no whole Parquet file: {error}"));
    let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(|error| damaged(&error))?;
    let names: Vec<&str> = builder.schema().fields().iter().map(|field| field.name().as_str()).collect();
    let Some(column) = names.iter().position(|name| *name == field) else {
        return Err(document(format!(
            "it has no column `{field}`, but {}; name that of the text as data.field",
            names.join(", ")
        )));
    };
    let mask = ProjectionMask::roots(builder.parquet_schema(), [column]);
    for batch in builder.with_projection(mask).build().map_err(|error| damaged(&error))? {
        let batch = batch.map_err(|error| damaged(&error))?;
        let column = batch.column(0);
        let texts: Box<dyn Iterator<Item = Option<&str>>> = match column.data_type() {
            DataType::Utf8 => Box::new(column.as_string::<i32>().iter()),
            DataType::LargeUtf8 => Box::new(column.as_string::<i64>().iter()),
            DataType::Utf8View => Box::new(column.as_string_view().iter()),
            other => return Err(document(format!("its column `{field}` is {other}, not text"))),
        };
        for text in texts.flatten() {
            take(Document::Entry(text.as_bytes().to_vec()))?;
        }
    }
    Ok(())
}
