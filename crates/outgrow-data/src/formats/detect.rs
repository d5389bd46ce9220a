//! What a file is: by what stands in it and by the ending of its name, which must not contradict
//! each other.

use std::{
    fs::File,
    io::{BufRead, Read},
    path::Path,
};

use outgrow_core::sweep::TextFormat;

use super::{
    json,
    kind::{Format, Kind, Packing},
    unpack::{MARK, unpacked},
};
use crate::error::{CorpusError, read_error};

/// So much of a file is looked at.
const HEAD: usize = 16 << 10;

/// What begins with these bytes, at this offset, is none of the formats that are read: what it is,
/// and what to do with it.
const FOREIGN: &[(usize, &[u8], &str, &str)] = &[
    (4, b"1AY&SY", "compressed by bzip2", UNPACK),
    (0, b"\xfd7zXZ\0", "compressed by xz", UNPACK),
    (0, b"\x5d\0\0", "compressed by lzma", UNPACK),
    (0, b"\x04\x22\x4d\x18", "compressed by lz4", UNPACK),
    (0, b"\x02\x21\x4c\x18", "compressed by lz4", UNPACK),
    (0, b"\xff\x06\0\0sNaPpY", "compressed by snappy", UNPACK),
    (0, b"LZIP\x01", "compressed by lzip", UNPACK),
    (0, b"\x1f\x9d", "compressed by compress", UNPACK),
    (0, b"PK\x03\x04", "a zip archive", UNPACK),
    (0, b"PK\x05\x06", "a zip archive", UNPACK),
    (0, b"7z\xbc\xaf\x27\x1c", "a 7z archive", UNPACK),
    (0, b"Rar!\x1a\x07", "a rar archive", UNPACK),
    (257, b"ustar", "a tar archive", UNPACK),
    (0, b"ARROW1", "an Arrow file", CONVERT),
    (0, b"\xff\xff\xff\xff", "an Arrow stream", CONVERT),
    (0, b"ORC\x11", "an ORC file", CONVERT),
    (0, b"ORC\x0a", "an ORC file", CONVERT),
    (0, b"Obj\x01", "an Avro file", CONVERT),
    (0, b"\x89HDF\r\n", "an HDF5 file", CONVERT),
    (0, b"\x93NUMPY", "a NumPy array", CONVERT),
    (0, b"SQLite format 3\0", "an SQLite database", CONVERT),
    (0, b"\x80\x02", "a Python pickle", CONVERT),
    (0, b"\x80\x03", "a Python pickle", CONVERT),
    (0, b"\x80\x04", "a Python pickle", CONVERT),
    (0, b"\x80\x05", "a Python pickle", CONVERT),
    (0, b"%PDF-", "a PDF document", CONVERT),
    (0, b"\x89PNG\r\n", "a picture", OTHER),
    (0, b"\xff\xd8\xff", "a picture", OTHER),
    (0, b"GIF89a", "a picture", OTHER),
    (0, b"GIF87a", "a picture", OTHER),
    (0, b"\x7fELF", "a program", OTHER),
    (0, b"OggS\0", "a recording", OTHER),
    (4, b"ftyp", "a film", OTHER),
    (0, b"\xd0\xcf\x11\xe0\xa1\xb1", "an Office document", CONVERT),
    (
        0,
        b"version https://git-lfs.github.com/",
        "a pointer of Git LFS and not the file itself",
        "fetch it: git lfs pull",
    ),
    (
        0,
        b"/annex/objects/",
        "a pointer of git-annex and not the file itself",
        "fetch it: git annex get",
    ),
];

const UNPACK: &str = "unpack it first; gzip and zstd are read as they are";

const CONVERT: &str = "convert it to JSON lines or Parquet first";

const OTHER: &str = "name files with text in them";

/// Marks of encodings other than UTF-8; the longer ones first.
const ENCODINGS: [(&[u8], &str); 4] = [
    (b"\xff\xfe\0\0", "UTF-32"),
    (b"\0\0\xfe\xff", "UTF-32"),
    (b"\xff\xfe", "UTF-16"),
    (b"\xfe\xff", "UTF-16"),
];

/// Looks at a file. A `format` of the user's stands above what it seems to be. Gives the bytes of
/// its mark of UTF-8, too, if it is not compressed.
///
/// # Errors
/// If it can't be read, or is nothing that is read, which is named with what to do.
pub(crate) fn kind_of(path: &Path, format: Option<TextFormat>) -> Result<(Kind, u64), CorpusError> {
    let refused = |why: String| CorpusError::document(path, why);
    let mut head = vec![];
    File::open(path)
        .and_then(|file| file.take(HEAD as u64).read_to_end(&mut head))
        .map_err(read_error(path))?;
    let ending = Ending::of(path);
    let packing = match packing(&head) {
        Packing::Plain => ending.packing.map_or(Ok(Packing::Plain), |named| {
            Err(refused(format!(
                "its name says {named}, and it is not; give it the name of what it is"
            )))
        })?,
        packed => packed,
    };
    if packing != Packing::Plain {
        head.clear();
        unpacked(path, packing, &())?
            .take(HEAD as u64)
            .read_to_end(&mut head)
            .map_err(read_error(path))?;
    }
    foreign(&head)
        .map_or(Ok(()), |(what, remedy)| Err(refused(format!("it is {what}; {remedy}"))))?;
    if packing != Packing::Plain && self::packing(&head) != Packing::Plain {
        return Err(refused("it is compressed twice; unpack it once".into()));
    }
    let format = match format {
        Some(format) => chosen(format, &head).ok_or_else(|| {
            refused(
                "it is Parquet, whatever data.format says; leave that out, or name other files"
                    .into(),
            )
        })?,
        None => guessed(path, &ending.format, packing, &head)?,
    };
    match (format, packing) {
        (Format::Parquet, Packing::Gzip | Packing::Zstd) => {
            Err(refused("it is Parquet that was compressed again; unpack it first".into()))
        }
        _ => {
            let is_marked = packing == Packing::Plain && head.starts_with(MARK);
            Ok((Kind { format, packing }, if is_marked { MARK.len() as u64 } else { 0 }))
        }
    }
}

/// What a name says.
struct Ending {
    packing: Option<&'static str>,
    format: String,
}

impl Ending {
    fn of(path: &Path) -> Self {
        let name =
            path.file_name().map(|name| name.to_string_lossy().to_lowercase()).unwrap_or_default();
        let packings = [(".gz", "gzip"), (".zst", "zstd"), (".zstd", "zstd")];
        let packed = packings
            .into_iter()
            .find_map(|(ending, says)| Some((name.strip_suffix(ending)?, says)));
        let (name, packing) =
            packed.map_or((name.as_str(), None), |(name, says)| (name, Some(says)));
        let format = name.rsplit_once('.').map(|(_, ending)| ending.to_owned()).unwrap_or_default();
        // An empty file is of no format, and no contradiction to any name.
        let packing = packing.filter(|_| path.metadata().is_ok_and(|file| file.len() > 0));
        Self { packing, format }
    }
}

fn packing(head: &[u8]) -> Packing {
    match head {
        [0x1f, 0x8b, ..] => Packing::Gzip,
        [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Packing::Zstd,
        _ => Packing::Plain,
    }
}

fn foreign(head: &[u8]) -> Option<(String, &'static str)> {
    let known = FOREIGN
        .iter()
        .find(|(at, magic, ..)| head.get(*at..).is_some_and(|rest| rest.starts_with(magic)));
    if let Some((_, _, what, remedy)) = known {
        return Some(((*what).into(), remedy));
    }
    let (_, name) = ENCODINGS.iter().find(|(mark, _)| head.starts_with(mark))?;
    Some((
        format!("text in {name}"),
        "write it as UTF-8, for example by `iconv -f UTF-16 -t UTF-8` (or UTF-32)",
    ))
}

/// The format that the user named; Parquet is nothing else, and nothing else is Parquet.
fn chosen(format: TextFormat, head: &[u8]) -> Option<Format> {
    match (format, head.starts_with(b"PAR1")) {
        (TextFormat::Parquet, _) => Some(Format::Parquet),
        (_, true) => None,
        (TextFormat::Text, _) => Some(Format::Text),
        (TextFormat::Json, _) if head.trim_ascii_start().starts_with(b"[") => Some(Format::Array),
        (TextFormat::Json, _) => Some(Format::Lines),
    }
}

fn guessed(
    path: &Path,
    ending: &str,
    packing: Packing,
    head: &[u8],
) -> Result<Format, CorpusError> {
    let text = head.strip_prefix(MARK).unwrap_or(head).trim_ascii_start();
    let is_array =
        text.strip_prefix(b"[").is_some_and(|rest| rest.trim_ascii_start().starts_with(b"{"));
    let lines = || object_lines(path, packing);
    match ending {
        _ if head.starts_with(b"PAR1") => Ok(Format::Parquet),
        "parquet" if head.is_empty() => Ok(Format::Text),
        "parquet" => Err(CorpusError::document(path, "its name says Parquet, and it is not")),
        "csv" | "tsv" => Err(CorpusError::document(
            path,
            "tables of this kind are not read; convert it to JSON lines or Parquet, or say format \
             = \"text\" to read it as it stands",
        )),
        "ipynb" => Err(CorpusError::document(
            path,
            "notebooks are not read; convert it, for example by `jupyter nbconvert --to script`, \
             or say format = \"text\" \
             to read it as it stands",
        )),
        "jsonl" | "ndjson" | "jsonlines" => {
            Ok(if is_array { Format::Array } else { Format::Lines })
        }
        "json" if text.is_empty() => Ok(Format::Text),
        "json" if text.starts_with(b"{") => {
            Ok(if lines()? > 1 { Format::Lines } else { Format::Objects })
        }
        "json" if text.starts_with(b"[") => Ok(Format::Array),
        "json" => Err(CorpusError::document(
            path,
            "its name says JSON, and it begins with neither \
             { nor [; say format = \"text\" to read it as it stands",
        )),
        _ if is_array && text.strip_prefix(b"[").is_some_and(begins_an_object) => Ok(Format::Array),
        _ if begins_an_object(text) && lines()? > 0 => Ok(Format::Lines),
        _ => Ok(Format::Text),
    }
}

/// `{"`, as JSON has it and prose has not.
fn begins_an_object(text: &[u8]) -> bool {
    let inner = text.trim_ascii_start().strip_prefix(b"{").map(<[u8]>::trim_ascii_start);
    inner.is_some_and(|inner| inner.starts_with(b"\"") || inner.starts_with(b"}"))
}

/// How many of a file's first two lines are JSON objects; none, if one is something else.
fn object_lines(path: &Path, packing: Packing) -> Result<usize, CorpusError> {
    let mut reader = unpacked(path, packing, &())?;
    let (mut found, mut line) = (0, vec![]);
    while found < 2 {
        line.clear();
        let limit = json::MOST_BYTES as u64;
        let read =
            (&mut reader).take(limit).read_until(b'\n', &mut line).map_err(read_error(path))?;
        match line.strip_prefix(MARK).filter(|_| found == 0).unwrap_or(&line).trim_ascii() {
            [] if read == 0 => break,
            [] => {}
            text if json::is_object(text) => found += 1,
            _ => return Ok(0),
        }
    }
    Ok(found)
}
