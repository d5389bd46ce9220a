//! Text as tokens: bytes, for training and for validation, mapped into memory and shared by all workers.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};

use memmap2::Mmap;
use outgrow_core::{
    stream::{Stream, stream},
    sweep::DataSpec,
};
use rand::RngExt;
use thiserror::Error;

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
    /// A file or folder without a byte in it.
    #[error("data.paths: {0} is empty; name files with text in them")]
    Empty(String),
    /// Less text than one sequence and the token after it.
    #[error(
        "the {part} text has {bytes} bytes, but seq_len {seq_len} needs at least {}: give more text, a larger share, or a smaller seq_len",
        seq_len + 1
    )]
    Short {
        /// `training` or `validation`.
        part: &'static str,
        /// Its length.
        bytes: usize,
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
                digest: BUILT_IN_DIGEST.trim().to_owned(),
            },
            (Some(name), _) => return Err(CorpusError::Unknown(name.clone())),
            (None, paths) => {
                Sources::open(paths.as_deref().unwrap_or(&[]), spec.validation.unwrap_or(0.0))?.prepare(cache)?
            }
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
            let spec = DataSpec { corpus: Some(BUILT_IN.into()), paths: None, validation: None, seq_len };
            return Self::open(&spec, cache);
        }
        let map = |part: Part| {
            let path = prepared_path(cache, digest, part);
            let file = File::open(&path).map_err(|_| CorpusError::NotPrepared(path.display().to_string()))?;
            // SAFETY: the prepared file is written once and renamed into place, never changed.
            unsafe { Mmap::map(&file) }.map(Text::Mapped).map_err(read_error(&path))
        };
        let corpus = Self { train: map(Part::Train)?, validation: map(Part::Validation)?, digest: digest.to_owned() };
        corpus.check(seq_len)?;
        Ok(corpus)
    }

    /// The text's digest, without laying anything down: what planning needs.
    ///
    /// # Errors
    /// As [`Corpus::open`].
    pub fn digest_of(spec: &DataSpec) -> Result<String, CorpusError> {
        if spec.corpus.is_some() {
            return Self::open(spec, Path::new("")).map(|corpus| corpus.digest);
        }
        let sources = Sources::open(spec.paths.as_deref().unwrap_or(&[]), spec.validation.unwrap_or(0.0))?;
        let (train, validation) = (sources.len(Part::Train), sources.len(Part::Validation));
        check_length("training", train, spec.seq_len)?;
        check_length("validation", validation, spec.seq_len)?;
        Ok(sources.digest())
    }

    /// BLAKE3 of the training text, its length and the validation text: part of every trial's identity.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// Bytes of training and of validation text.
    pub fn sizes(&self) -> (usize, usize) {
        (self.train.bytes().len(), self.validation.bytes().len())
    }

    fn check(&self, seq_len: usize) -> Result<(), CorpusError> {
        check_length("training", self.train.bytes().len(), seq_len)?;
        check_length("validation", self.validation.bytes().len(), seq_len)
    }

    /// Training sequence number `number` of a seed: `seq_len + 1` tokens. A function of the seed and the number only, so
    /// every trial of a replicate sees the same tokens in the same order, whatever its architecture.
    pub fn sequence(&self, order: &Order, number: u64, seq_len: usize) -> &[u8] {
        let text = self.train.bytes();
        let start = order.draw(number, text.len() - seq_len);
        &text[start..start + seq_len + 1]
    }

    /// Validation windows of `seq_len + 1` tokens that together predict about `tokens` tokens, evenly spread over the text.
    pub fn validation(&self, tokens: u64, seq_len: usize) -> Vec<&[u8]> {
        let text = self.validation.bytes();
        let most = (text.len() - 1) / seq_len;
        let n = (tokens as usize).div_ceil(seq_len).clamp(1, most);
        let last = text.len() - seq_len - 1;
        let start = |i: usize| if n == 1 { 0 } else { (i as u128 * last as u128 / (n as u128 - 1)) as usize };
        (0..n).map(|i| &text[start(i)..start(i) + seq_len + 1]).collect()
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

fn check_length(part: &'static str, bytes: usize, seq_len: usize) -> Result<(), CorpusError> {
    if bytes > seq_len { Ok(()) } else { Err(CorpusError::Short { part, bytes, seq_len }) }
}

#[derive(Clone, Copy)]
enum Part {
    Train,
    Validation,
}

/// Where a part of a text of the user's is laid down.
fn prepared_path(cache: &Path, digest: &str, part: Part) -> PathBuf {
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
    fn open(paths: &[String], validation: f64) -> Result<Self, CorpusError> {
        let mut files = vec![];
        for path in paths {
            let before = files.len();
            collect(Path::new(path), &mut files)?;
            let bytes: u64 = files[before..].iter().filter_map(|file| fs::metadata(file).ok()).map(|m| m.len()).sum();
            if bytes == 0 {
                return Err(CorpusError::Empty(path.clone()));
            }
        }
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
        Ok(Corpus { train: lay(Part::Train)?, validation: lay(Part::Validation)?, digest })
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

fn read_error(path: &Path) -> impl Fn(io::Error) -> CorpusError {
    let path = path.display().to_string();
    move |error| CorpusError::Read { path: path.clone(), error }
}

/// The files of a path, folders in the order of their names, hidden entries left out.
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
