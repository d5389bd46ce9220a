//! Training and validation text as tokens, mapped into memory and shared by all workers.

use std::{
    fs::{self, File},
    io::{self, Write},
    ops::Range,
    path::{Path, PathBuf},
};

use memmap2::Mmap;
use outgrow_core::{
    stream::{Stream, stream},
    sweep::DataSpec,
};
use rand::RngExt;
use thiserror::Error;

use crate::{
    documents::{is_of_documents, read_error, sources},
    prepare::{Plan, head_of},
    tokens::{Tokens, tokens},
};

/// The built-in corpus: Rust sources of pinned dependencies, found and digest-checked when this crate was built.
pub const BUILT_IN: &str = "rust-crates";
static BUILT_IN_TRAIN: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/corpus.train"));
static BUILT_IN_VALIDATION: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/corpus.validation"));
const BUILT_IN_DIGEST: &str = include_str!("../corpus.digest");

/// Training and validation text.
#[derive(Debug)]
pub struct Corpus {
    train: Text,
    validation: Text,
    /// Bytes of a token.
    width: usize,
    digest: String,
}

#[derive(Debug)]
enum Text {
    Static(&'static [u8]),
    Mapped(Mmap),
}

impl Text {
    fn bytes(&self) -> &[u8] {
        match self {
            Text::Static(bytes) => bytes,
            Text::Mapped(map) => map,
        }
    }
}

/// Why there is no text.
#[derive(Debug, Error)]
pub enum CorpusError {
    /// No built-in corpus of that name.
    #[error(
        "there is no built-in corpus `{0}`; there is `{BUILT_IN}`, and `paths` takes files and folders of your own"
    )]
    Unknown(String),
    /// A file or folder can't be read.
    #[error("data.paths: cannot read {path}: {error}")]
    Read {
        /// Which.
        path: String,
        /// Why not.
        error: io::Error,
    },
    /// A file that is read as documents, and holds none, or not such.
    #[error("data.paths: {place}: {why}")]
    Document {
        /// The file, and where in it.
        place: String,
        /// What is wrong, and what is allowed.
        why: String,
    },
    /// No tokenizer, or not one that can do what is asked.
    #[error("{path}: {why}")]
    Tokenizer {
        /// Of the tokenizer.
        path: String,
        /// What is wrong, and what is allowed.
        why: String,
    },
    /// A file or folder without a byte in it.
    #[error("data.paths: {0} is empty; name files with text in them")]
    Empty(String),
    /// Less text than one sequence and the token after it.
    #[error(
        "the {part} text has {tokens} tokens, but seq_len {seq_len} needs at least {}: give more text, a larger share, or a smaller seq_len",
        seq_len + 1
    )]
    Short {
        /// `training` or `validation`.
        part: &'static str,
        /// Its length.
        tokens: usize,
        /// What a sequence needs.
        seq_len: usize,
    },
    /// The text can't be laid down for the workers.
    #[error("cannot write the prepared text to {path}: {error}")]
    Write {
        /// Where.
        path: String,
        /// Why not.
        error: io::Error,
    },
    /// The prepared text is gone.
    #[error("the prepared text {0} is not there; run the sweep file again, which prepares it")]
    NotPrepared(String),
}

impl Corpus {
    /// Opens the text of a sweep. Files of the user's are cut into training and validation text and laid down once in
    /// `cache`, from where every process maps them.
    ///
    /// # Errors
    /// If something is missing, empty, or shorter than a sequence.
    pub fn open(spec: &DataSpec, cache: &Path) -> Result<Self, CorpusError> {
        let corpus = match (&spec.corpus, &spec.paths) {
            (Some(name), _) if name == BUILT_IN => Self {
                train: Text::Static(BUILT_IN_TRAIN),
                validation: Text::Static(BUILT_IN_VALIDATION),
                width: 1,
                digest: BUILT_IN_DIGEST.trim().to_owned(),
            },
            (Some(name), _) => return Err(CorpusError::Unknown(name.clone())),
            (None, _) => match Given::of(spec)? {
                Given::Documents(plan) => {
                    let head = plan.prepare(cache)?;
                    Self::mapped(&plan.digest, cache, head.width)?
                }
                Given::Bytes(sources) => sources.prepare(cache)?,
            },
        };
        corpus.check(spec.seq_len)?;
        Ok(corpus)
    }

    /// The text of this digest, which [`Corpus::open`] laid down in `cache` before: what a worker needs.
    ///
    /// # Errors
    /// If it is not there, or shorter than a sequence.
    pub fn prepared(digest: &str, cache: &Path, seq_len: usize) -> Result<Self, CorpusError> {
        if digest == BUILT_IN_DIGEST.trim() {
            let spec = DataSpec { corpus: Some(BUILT_IN.into()), ..DataSpec::of_paths(seq_len) };
            return Self::open(&spec, cache);
        }
        let width = head_of(cache, digest).map_or(1, |head| head.width);
        let corpus = Self::mapped(digest, cache, width)?;
        corpus.check(seq_len)?;
        Ok(corpus)
    }

    fn mapped(digest: &str, cache: &Path, width: usize) -> Result<Self, CorpusError> {
        let map = |part: Part| {
            let path = prepared_path(cache, digest, part);
            let file = File::open(&path).map_err(|_| CorpusError::NotPrepared(path.display().to_string()))?;
            // SAFETY: the prepared file is written once and renamed into place, never changed.
            unsafe { Mmap::map(&file) }.map(Text::Mapped).map_err(read_error(&path))
        };
        Ok(Self { train: map(Part::Train)?, validation: map(Part::Validation)?, width, digest: digest.to_owned() })
    }

    /// The text's digest, without laying anything down: what planning needs.
    ///
    /// # Errors
    /// As [`Corpus::open`].
    pub fn digest_of(spec: &DataSpec) -> Result<String, CorpusError> {
        if spec.corpus.is_some() {
            return Self::open(spec, Path::new("")).map(|corpus| corpus.digest);
        }
        let sources = match Given::of(spec)? {
            // How many tokens it will be is known when it has been tokenized.
            Given::Documents(plan) => return Ok(plan.digest),
            Given::Bytes(sources) => sources,
        };
        let (train, validation) = (sources.len(Part::Train), sources.len(Part::Validation));
        check_length("training", train, spec.seq_len)?;
        check_length("validation", validation, spec.seq_len)?;
        Ok(sources.digest())
    }

    /// BLAKE3 of the training text, its length and the validation text, or of what tokens are made of: part of every trial's identity.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// Tokens of training and of validation text.
    pub fn sizes(&self) -> (usize, usize) {
        (self.train().len(), self.validation_text().len())
    }

    fn train(&self) -> Tokens<'_> {
        tokens(self.train.bytes(), self.width)
    }

    fn validation_text(&self) -> Tokens<'_> {
        tokens(self.validation.bytes(), self.width)
    }

    fn check(&self, seq_len: usize) -> Result<(), CorpusError> {
        check_length("training", self.train().len(), seq_len)?;
        check_length("validation", self.validation_text().len(), seq_len)
    }

    /// Training sequence number `number` of a seed: `seq_len + 1` tokens. A function of the seed and the number only, so
    /// every trial of a replicate sees the same tokens in the same order, whatever its architecture.
    pub fn sequence(&self, order: &Order, number: u64, seq_len: usize) -> Tokens<'_> {
        let text = self.train();
        let start = order.draw(number, text.len() - seq_len);
        text.range(window(start, seq_len))
    }

    /// Validation windows of `seq_len + 1` tokens that together predict about `tokens` tokens, evenly spread over the text.
    pub fn validation(&self, tokens: u64, seq_len: usize) -> Vec<Tokens<'_>> {
        let text = self.validation_text();
        let most = (text.len() - 1) / seq_len;
        let n = (tokens as usize).div_ceil(seq_len).clamp(1, most);
        let last = text.len() - seq_len - 1;
        let start = |i: usize| if n == 1 { 0 } else { (i as u128 * last as u128 / (n as u128 - 1)) as usize };
        (0..n).map(|i| text.range(window(start(i), seq_len))).collect()
    }
}

fn window(start: usize, seq_len: usize) -> Range<usize> {
    start..start + seq_len + 1
}

/// The user's files.
enum Given<'a> {
    /// Bytes one after the other.
    Bytes(Sources),
    /// More than that: to be tokenized, compressed, or of several documents.
    Documents(Box<Plan<'a>>),
}

impl<'a> Given<'a> {
    fn of(spec: &'a DataSpec) -> Result<Self, CorpusError> {
        let files = sources(spec.paths.as_deref().unwrap_or(&[]))?;
        match spec.tokenizer.is_some() || files.iter().any(|file| is_of_documents(file)) {
            true => Plan::new(spec, files).map(|plan| Given::Documents(Box::new(plan))),
            false => Sources::open(files, spec.validation.unwrap_or(0.0)).map(Given::Bytes),
        }
    }
}

/// The random order of training sequences of one seed, at any position.
pub struct Order(Stream);

impl Order {
    /// The order of a trial's seed.
    pub fn new(seed: u64) -> Self {
        Self(stream(seed, "data"))
    }

    /// A draw below `bound` for sequence `number`: each number has 16 words of the stream to itself.
    fn draw(&self, number: u64, bound: usize) -> usize {
        let mut stream = self.0.clone();
        stream.set_word_pos(u128::from(number) * 16);
        stream.random_range(0..bound as u64) as usize
    }
}

fn check_length(part: &'static str, tokens: usize, seq_len: usize) -> Result<(), CorpusError> {
    if tokens > seq_len { Ok(()) } else { Err(CorpusError::Short { part, tokens, seq_len }) }
}

#[derive(Clone, Copy)]
pub(crate) enum Part {
    Train,
    Validation,
}

/// Where a part of a text of the user's is laid down.
pub(crate) fn prepared_path(cache: &Path, digest: &str, part: Part) -> PathBuf {
    let suffix = match part {
        Part::Train => "train",
        Part::Validation => "validation",
    };
    cache.join(format!("{}.{suffix}", digest.get(..32).unwrap_or(digest)))
}

/// The user's files, mapped, in the order of their names.
struct Sources {
    maps: Vec<Mmap>,
    validation: f64,
}

impl Sources {
    fn open(files: Vec<PathBuf>, validation: f64) -> Result<Self, CorpusError> {
        let map = |path: PathBuf| {
            let file = File::open(&path).map_err(read_error(&path))?;
            // SAFETY: the map is read only; a file that shrinks meanwhile would raise a bus error, as for any reader by map.
            unsafe { Mmap::map(&file) }.map_err(read_error(&path))
        };
        let full = files.into_iter().filter(|file| fs::metadata(file).is_ok_and(|m| m.len() > 0));
        Ok(Self { maps: full.map(map).collect::<Result<_, _>>()?, validation })
    }

    /// The parts of all files: the last share of each is validation text.
    fn parts(&self, part: Part) -> impl Iterator<Item = &[u8]> {
        self.maps.iter().map(move |map| {
            let cut = map.len() - (map.len() as f64 * self.validation).round() as usize;
            match part {
                Part::Train => &map[..cut],
                Part::Validation => &map[cut..],
            }
        })
    }

    fn len(&self, part: Part) -> usize {
        self.parts(part).map(<[u8]>::len).sum()
    }

    fn digest(&self) -> String {
        let mut hasher = blake3::Hasher::new();
        for bytes in self.parts(Part::Train) {
            hasher.update(bytes);
        }
        hasher.update(&(self.len(Part::Train) as u64).to_le_bytes());
        for bytes in self.parts(Part::Validation) {
            hasher.update(bytes);
        }
        hasher.finalize().to_hex().to_string()
    }

    fn prepare(&self, cache: &Path) -> Result<Corpus, CorpusError> {
        let digest = self.digest();
        let lay = |part: Part| {
            let path = prepared_path(cache, &digest, part);
            let failed = |error| CorpusError::Write { path: path.display().to_string(), error };
            if !fs::metadata(&path).is_ok_and(|m| m.len() == self.len(part) as u64) {
                self.write(part, cache, &path).map_err(failed)?;
            }
            let file = File::open(&path).map_err(failed)?;
            // SAFETY: the prepared file is written once and renamed into place, never changed.
            unsafe { Mmap::map(&file) }.map(Text::Mapped).map_err(failed)
        };
        Ok(Corpus { train: lay(Part::Train)?, validation: lay(Part::Validation)?, width: 1, digest })
    }

    /// Written aside and renamed, so that another process never sees half a file.
    fn write(&self, part: Part, cache: &Path, path: &Path) -> io::Result<()> {
        fs::create_dir_all(cache)?;
        let aside = path.with_extension(format!("tmp-{}", std::process::id()));
        let mut file = io::BufWriter::new(File::create(&aside)?);
        self.parts(part).try_for_each(|bytes| file.write_all(bytes))?;
        file.into_inner()?.sync_all()?;
        fs::rename(aside, path)
    }
}
