//! Text written as tokens, once for all workers.
//!
//! Two files of token ids, `<digest>.train` and `<digest>.validation`, little-endian, one document
//! after the other, each with its end behind it; and `<digest>.json`, written last, which says how
//! wide an id is and what the files' digests are. Raw text, which is bytes as they are, has no
//! third file: its name is its digest.

use std::{
    fs::{self, File},
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use crate::{
    documents::Part,
    error::{CorpusError, write_error},
    listener::Listener,
    publish,
    reading::Reading,
    summary::Counts,
};

/// What is said about prepared tokens.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Head {
    format: String,
    /// Bytes of an id.
    pub width: usize,
    /// BLAKE3 of the files of training and of validation text.
    pub digests: [String; 2],
    /// What was read.
    pub counts: Counts,
}

const FORMAT: &str = "outgrow-prepared-2";

/// The head of prepared tokens, if they are there.
pub(crate) fn head_of(cache: &Path, digest: &str) -> Option<Head> {
    let head: Head = serde_json::from_slice(&fs::read(head_path(cache, digest)).ok()?).ok()?;
    let whole = |part: Part| {
        let file = fs::metadata(part_path(cache, digest, part));
        let bytes = head.counts.tokens[part as usize].checked_mul(head.width as u64);
        file.is_ok_and(|file| Some(file.len()) == bytes)
    };
    let is_known = head.format == FORMAT && [1, 2, 4].contains(&head.width);
    (is_known && whole(Part::Train) && whole(Part::Validation)).then_some(head)
}

fn head_path(cache: &Path, digest: &str) -> PathBuf {
    cache.join(format!("{}.json", digest.get(..32).unwrap_or(digest)))
}

/// Where a part of a text is written.
pub(crate) fn part_path(cache: &Path, digest: &str, part: Part) -> PathBuf {
    let suffix = match part {
        Part::Train => "train",
        Part::Validation => "validation",
    };
    cache.join(format!("{}.{suffix}", digest.get(..32).unwrap_or(digest)))
}

/// Writes the text of `digest` to `cache`, in place of what is there.
pub(crate) fn write(
    reading: &Reading,
    digest: &str,
    cache: &Path,
    listener: &dyn Listener,
) -> Result<(), CorpusError> {
    fs::create_dir_all(cache).map_err(write_error(cache))?;
    let path = |part: Part| part_path(cache, digest, part);
    let written = publish::file(&path(Part::Train), |train| {
        publish::file(&path(Part::Validation), |validation| {
            let new = |file, part| Out { file, path: path(part), hasher: blake3::Hasher::new() };
            let mut out = [new(train, Part::Train), new(validation, Part::Validation)];
            let counts = match reading.is_raw() {
                true => raw(reading, &mut out, listener)?,
                false => tokens(reading, &mut out, listener)?,
            };
            Ok::<_, Failed>(Head {
                format: FORMAT.into(),
                width: reading.encoding().width,
                digests: out.map(|out| out.hasher.finalize().to_hex().to_string()),
                counts,
            })
        })
    });
    let failed = |failed: Failed| match failed {
        Failed::Text(error) => error,
        Failed::Disk(error) => write_error(cache)(error),
    };
    let head = written.map_err(failed)?;
    if !reading.is_raw() {
        let path = head_path(cache, digest);
        let text = serde_json::to_vec_pretty(&head).expect("plain data");
        publish::file(&path, |file| file.write_all(&text)).map_err(write_error(&path))?;
    }
    Ok(())
}

fn raw(
    reading: &Reading,
    out: &mut [Out; 2],
    listener: &dyn Listener,
) -> Result<Counts, CorpusError> {
    for part in [Part::Train, Part::Validation] {
        reading.each_raw(part, listener, &mut |bytes| out[part as usize].keep(bytes))?;
    }
    Ok(Counts::default())
}

fn tokens(
    reading: &Reading,
    out: &mut [Out; 2],
    listener: &dyn Listener,
) -> Result<Counts, CorpusError> {
    let tokens =
        reading.each_token(false, listener, &mut |part, bytes| out[part as usize].keep(bytes));
    tokens.map(|(counts, _)| counts)
}

/// Takes away what was written.
pub(crate) fn discard(digest: &str, cache: &Path) {
    let parts = [Part::Train, Part::Validation].map(|part| part_path(cache, digest, part));
    for path in [head_path(cache, digest)].iter().chain(&parts) {
        let _ = fs::remove_file(path);
    }
    // Only if nothing else is in it.
    let _ = fs::remove_dir(cache);
}

/// Why text was not written: what it is made of, or the disk.
enum Failed {
    Text(CorpusError),
    Disk(io::Error),
}

impl From<io::Error> for Failed {
    fn from(error: io::Error) -> Self {
        Failed::Disk(error)
    }
}

impl From<CorpusError> for Failed {
    fn from(error: CorpusError) -> Self {
        Failed::Text(error)
    }
}

/// A file that is being written, and its digest.
struct Out<'a> {
    file: &'a mut BufWriter<File>,
    path: PathBuf,
    hasher: blake3::Hasher,
}

impl Out<'_> {
    fn keep(&mut self, bytes: &[u8]) -> Result<(), CorpusError> {
        self.hasher.update(bytes);
        self.file.write_all(bytes).map_err(write_error(&self.path))
    }
}
