//! Writing prepared text.

use std::{
    fs::{self, File},
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};

use super::head::{FORMAT, Head, head_path, lengths_path, part_path, tokenizer_path};
use crate::{
    documents::Part,
    error::{CorpusError, write_error},
    listener::Listener,
    publish::{self, NewFile},
    reading::Reading,
    summary::{Counts, check_length},
};

/// Writes the text of `digest` to `cache`, in place of what is there. Text that is refused, as that
/// is which is shorter than a sequence, leaves nothing, and what is there as it is.
pub(crate) fn write(
    reading: &Reading,
    digest: &str,
    cache: &Path,
    seq_len: usize,
    listener: &dyn Listener,
) -> Result<(), CorpusError> {
    fs::create_dir_all(cache).map_err(write_error(cache))?;
    write_parts(reading, digest, cache, seq_len, listener).inspect_err(|_| {
        // Only if nothing else is in it.
        let _ = fs::remove_dir(cache);
    })
}

fn write_parts(
    reading: &Reading,
    digest: &str,
    cache: &Path,
    seq_len: usize,
    listener: &dyn Listener,
) -> Result<(), CorpusError> {
    let path = |part: Part| part_path(cache, digest, part);
    let written = publish::file(&path(Part::Train), |train| {
        publish::file(&path(Part::Validation), |validation| {
            let new = |file, part| Out {
                file,
                path: path(part),
                bytes: 0,
                hasher: blake3::Hasher::new(),
            };
            let mut out = [new(train, Part::Train), new(validation, Part::Validation)];
            let mut lengths = Lengths::create(reading, &lengths_path(cache, digest))?;
            let counts = match &mut lengths {
                None => raw(reading, &mut out, listener)?,
                Some(lengths) => tokens(reading, &mut out, lengths, listener)?,
            };
            let tokens = |part: Part| out[part as usize].bytes / reading.encoding().width as u64;
            check_length("training", tokens(Part::Train) as usize, seq_len)?;
            check_length("validation", tokens(Part::Validation) as usize, seq_len)?;
            Ok::<_, Failed>(Head {
                format: FORMAT.into(),
                width: reading.encoding().width,
                digests: out.map(|out| out.hasher.finalize().to_hex().to_string()),
                lengths_digest: lengths.map_or(Ok(String::new()), Lengths::finish)?,
                counts,
            })
        })
    });
    let failed = |failed: Failed| match failed {
        Failed::Text(error) => error,
        Failed::Disk(error) => write_error(cache)(error),
    };
    let head = written.map_err(failed)?;
    if let Some(tokenizer) = &reading.tokenizer {
        let path = tokenizer_path(cache, digest);
        publish::file(&path, |file| file.write_all(tokenizer.identity()))
            .map_err(write_error(&path))?;
    }
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
    lengths: &mut Lengths,
    listener: &dyn Listener,
) -> Result<Counts, CorpusError> {
    let (counts, _) = reading.each_token(false, listener, &mut |part, ids, bytes| {
        lengths.keep(bytes)?;
        out[part as usize].keep(ids)
    })?;
    Ok(counts)
}

/// The bytes that tokens of validation text stand for, as they are written.
struct Lengths {
    file: NewFile,
    path: PathBuf,
    hasher: blake3::Hasher,
}

impl Lengths {
    /// None of raw text, whose tokens are bytes.
    fn create(reading: &Reading, path: &Path) -> Result<Option<Self>, CorpusError> {
        if reading.is_raw() {
            return Ok(None);
        }
        let file = NewFile::create(path).map_err(write_error(path))?;
        Ok(Some(Self { file, path: path.to_owned(), hasher: blake3::Hasher::new() }))
    }

    fn keep(&mut self, bytes: &[u32]) -> Result<(), CorpusError> {
        let bytes: Vec<u8> = bytes.iter().flat_map(|bytes| bytes.to_le_bytes()).collect();
        self.hasher.update(&bytes);
        self.file.write_all(&bytes).map_err(write_error(&self.path))
    }

    /// Gives the file its name. Gives its digest.
    fn finish(self) -> Result<String, CorpusError> {
        self.file.finish().map_err(write_error(&self.path))?;
        Ok(self.hasher.finalize().to_hex().to_string())
    }
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
    bytes: u64,
    hasher: blake3::Hasher,
}

impl Out<'_> {
    fn keep(&mut self, bytes: &[u8]) -> Result<(), CorpusError> {
        self.hasher.update(bytes);
        self.bytes += bytes.len() as u64;
        self.file.write_all(bytes).map_err(write_error(&self.path))
    }
}
