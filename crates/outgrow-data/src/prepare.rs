//! Documents laid down as tokens, once for all workers.
//!
//! Two files of token ids, `<digest>.train` and `<digest>.validation`, little-endian, one document after the other, each with the boundary token
//! behind it; and `<digest>.json`, written last, which says how wide an id is. The digest is one of what goes in: the files, the
//! tokenizer, and how they are cut.

use std::{
    fs::{self, File},
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};

use outgrow_core::sweep::DataSpec;
use serde::{Deserialize, Serialize};

use crate::{
    corpus::{CorpusError, Part, prepared_path},
    documents::{self, Document, pieces, read_error},
    tokenizer::Tokenizer,
    tokens::width,
};

/// What is said about prepared tokens.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub struct Head {
    format: String,
    /// Bytes of an id.
    pub width: usize,
    /// Of training and of validation documents.
    documents: [u64; 2],
    /// Of training and of validation text.
    pub tokens: [u64; 2],
}

/// Changes whenever other tokens would be made of the same files.
const FORMAT: &str = "outgrow-tokens-1";
/// In text without a tokenizer, a document ends with this byte, which no text has.
const BOUNDARY: u32 = 0;
/// Text that is tokenized at a time, on all cores.
const BATCH_BYTES: usize = 16 << 20;

/// Documents that are to be laid down.
pub struct Plan<'a> {
    files: Vec<PathBuf>,
    tokenizer: Option<Tokenizer>,
    spec: &'a DataSpec,
    validation: f64,
    pub digest: String,
}

impl<'a> Plan<'a> {
    /// What a sweep's data means.
    pub fn new(spec: &'a DataSpec, files: Vec<PathBuf>) -> Result<Self, CorpusError> {
        let tokenizer = spec.tokenizer.as_deref().map(|path| Tokenizer::read(Path::new(path))).transpose()?;
        let validation = spec.validation.unwrap_or(0.0);
        let mut hasher = blake3::Hasher::new();
        let mut say = |bytes: &[u8]| {
            hasher.update(&(bytes.len() as u64).to_le_bytes()).update(bytes);
        };
        say(FORMAT.as_bytes());
        say(tokenizer.as_ref().map_or(&[], Tokenizer::bytes));
        say(spec.end_of_text.as_deref().unwrap_or_default().as_bytes());
        say(spec.field.as_deref().unwrap_or_default().as_bytes());
        say(&validation.to_le_bytes());
        for file in &files {
            // By its ending it is known how to read it; its name is nobody's business.
            say(file.extension().unwrap_or_default().as_encoded_bytes());
            say(hash_of(file)?.as_bytes());
        }
        let digest = hasher.finalize().to_hex().to_string();
        Ok(Self { files, tokenizer, spec, validation, digest })
    }

    /// Lays the tokens down in `cache`, unless they are there.
    pub fn prepare(&self, cache: &Path) -> Result<Head, CorpusError> {
        if let Some(head) = head_of(cache, &self.digest) {
            return Ok(head);
        }
        fs::create_dir_all(cache).map_err(write_error(cache))?;
        let vocab_size = self.tokenizer.as_ref().map_or(256, Tokenizer::vocab_size);
        let boundary = match (&self.tokenizer, &self.spec.end_of_text) {
            (Some(tokenizer), Some(token)) => Some(tokenizer.id(token)?),
            (Some(_), None) => None,
            (None, _) => Some(BOUNDARY),
        };
        let out = |part: Part| Out::create(&prepared_path(cache, &self.digest, part), width(vocab_size), boundary);
        let mut laying =
            Laying { plan: self, out: [out(Part::Train)?, out(Part::Validation)?], waiting: vec![], bytes: 0 };
        for file in &self.files {
            let field = self.spec.field.as_deref().unwrap_or("text");
            documents::each(file, field, &mut |document| laying.take(document))?;
        }
        laying.flush()?;
        let [train, validation] = laying.out;
        let (train, validation) = (train.finish()?, validation.finish()?);
        let head = Head {
            format: FORMAT.into(),
            width: width(vocab_size),
            documents: [train.0, validation.0],
            tokens: [train.1, validation.1],
        };
        let path = head_path(cache, &self.digest);
        let aside = path.with_extension(format!("tmp-{}", std::process::id()));
        let text = serde_json::to_vec_pretty(&head).expect("plain data");
        fs::write(&aside, text).and_then(|()| fs::rename(&aside, &path)).map_err(write_error(&path))?;
        Ok(head)
    }
}

/// The head of prepared tokens, if they are there.
pub fn head_of(cache: &Path, digest: &str) -> Option<Head> {
    let head: Head = serde_json::from_slice(&fs::read(head_path(cache, digest)).ok()?).ok()?;
    let whole = |(part, tokens): (Part, u64)| {
        let file = fs::metadata(prepared_path(cache, digest, part));
        file.is_ok_and(|file| file.len() == tokens * head.width as u64)
    };
    let [train, validation] = head.tokens;
    (head.format == FORMAT && [(Part::Train, train), (Part::Validation, validation)].into_iter().all(whole))
        .then_some(head)
}

fn head_path(cache: &Path, digest: &str) -> PathBuf {
    cache.join(format!("{}.json", digest.get(..32).unwrap_or(digest)))
}

fn hash_of(file: &Path) -> Result<blake3::Hash, CorpusError> {
    let mut hasher = blake3::Hasher::new();
    hasher.update_mmap_rayon(file).map_err(read_error(file))?;
    Ok(hasher.finalize())
}

fn write_error(path: &Path) -> impl Fn(io::Error) -> CorpusError {
    let path = path.display().to_string();
    move |error| CorpusError::Write { path: path.clone(), error }
}

/// A piece of text that waits for its turn.
struct Piece {
    text: Vec<u8>,
    part: Part,
    /// Whether a document ends with it.
    ends: bool,
}

struct Laying<'a> {
    plan: &'a Plan<'a>,
    out: [Out; 2],
    waiting: Vec<Piece>,
    bytes: usize,
}

impl Laying<'_> {
    fn take(&mut self, document: Document) -> Result<(), CorpusError> {
        match document {
            Document::Entry(text) => {
                let hash = u64::from_le_bytes(blake3::hash(&text).as_bytes()[..8].try_into().expect("8 bytes"));
                let is_validation = (hash as f64) < self.plan.validation * 2f64.powi(64);
                self.wait(text, if is_validation { Part::Validation } else { Part::Train }, true)
            }
            Document::File(text) => {
                let cut = text.len() - (text.len() as f64 * self.plan.validation).round() as usize;
                // Not within a character, and where there are lines, not within a line.
                let cut = text[..cut]
                    .iter()
                    .rposition(|&byte| byte == b'\n')
                    .map_or(whole_character(&text, cut), |at| at + 1);
                for (text, part) in [(&text[..cut], Part::Train), (&text[cut..], Part::Validation)] {
                    let mut pieces = pieces(text).peekable();
                    while let Some(piece) = pieces.next() {
                        self.wait(piece.to_vec(), part, pieces.peek().is_none())?;
                    }
                }
                Ok(())
            }
        }
    }

    fn wait(&mut self, text: Vec<u8>, part: Part, ends: bool) -> Result<(), CorpusError> {
        self.bytes += text.len();
        self.waiting.push(Piece { text, part, ends });
        if self.bytes >= BATCH_BYTES { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), CorpusError> {
        let pieces = std::mem::take(&mut self.waiting);
        self.bytes = 0;
        match &self.plan.tokenizer {
            None => pieces.iter().try_for_each(|piece| {
                let ids = piece.text.iter().map(|&byte| u32::from(byte));
                self.out[piece.part as usize].write(ids, piece.ends)
            }),
            Some(tokenizer) => {
                let texts: Vec<_> = pieces.iter().map(|piece| String::from_utf8_lossy(&piece.text)).collect();
                let ids = tokenizer.encode(&texts.iter().map(|text| &**text).collect::<Vec<_>>())?;
                let each = pieces.iter().zip(ids);
                each.into_iter()
                    .try_for_each(|(piece, ids)| self.out[piece.part as usize].write(ids.into_iter(), piece.ends))
            }
        }
    }
}

/// The last place at or before `at` that is not within a character.
fn whole_character(text: &[u8], at: usize) -> usize {
    (0..=at).rev().find(|&at| text.get(at).is_none_or(|&byte| byte & 0xC0 != 0x80)).unwrap_or(0)
}

/// A file of tokens that is being written, aside.
struct Out {
    file: BufWriter<File>,
    aside: PathBuf,
    path: PathBuf,
    width: usize,
    boundary: Option<u32>,
    documents: u64,
    tokens: u64,
}

impl Out {
    fn create(path: &Path, width: usize, boundary: Option<u32>) -> Result<Self, CorpusError> {
        let mut aside = path.as_os_str().to_owned();
        aside.push(format!(".tmp-{}", std::process::id()));
        let aside = PathBuf::from(aside);
        let file = BufWriter::with_capacity(1 << 20, File::create(&aside).map_err(write_error(path))?);
        Ok(Self { file, aside, path: path.to_owned(), width, boundary, documents: 0, tokens: 0 })
    }

    fn write(&mut self, ids: impl Iterator<Item = u32>, ends: bool) -> Result<(), CorpusError> {
        let boundary = self.boundary.filter(|_| ends);
        self.documents += u64::from(ends);
        for id in ids.chain(boundary) {
            self.tokens += 1;
            self.file.write_all(&id.to_le_bytes()[..self.width]).map_err(write_error(&self.path))?;
        }
        Ok(())
    }

    /// Documents and tokens.
    fn finish(self) -> Result<(u64, u64), CorpusError> {
        let done = |file: BufWriter<File>| {
            file.into_inner()?.sync_all()?;
            fs::rename(&self.aside, &self.path)
        };
        done(self.file).map_err(write_error(&self.path))?;
        Ok((self.documents, self.tokens))
    }
}
