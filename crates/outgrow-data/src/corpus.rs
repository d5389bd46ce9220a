//! Training and validation text as tokens, mapped into memory and shared by all workers.

use std::{
    fs::File,
    ops::Range,
    path::{Path, PathBuf},
};

use memmap2::Mmap;
use outgrow_core::{rows::Evaluated, sweep::DataSpec};

use crate::{
    built_in::{self, BUILT_IN},
    documents::Part,
    error::{CorpusError, read_error},
    listener::Listener,
    order::Order,
    prepared::{self, Head, head_of, part_path},
    reading::Reading,
    summary::{Counts, Summary, check_length},
    tokens::{Tokens, tokens},
};

/// Training and validation text.
#[derive(Debug)]
pub struct Corpus {
    train: Text,
    validation: Text,
    /// Bytes of a token.
    width: usize,
    /// How many bytes of text each token of validation text stands for, as numbers of four bytes;
    /// one each without it.
    lengths: Option<Mmap>,
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

impl Corpus {
    /// Opens the text of a sweep. Files of the user's are divided into training and validation text
    /// and written once to `cache`, from where every process maps them.
    ///
    /// # Errors
    /// If something is missing, empty, no text, or shorter than a sequence.
    pub fn open(spec: &DataSpec, cache: &Path) -> Result<Self, CorpusError> {
        Self::open_told(spec, cache, &[], &()).map(|(corpus, _)| corpus)
    }

    /// As [`Corpus::open`], and gives what was read. `own` are files and folders of the database at
    /// hand, which are left out and never opened. `listener` is told of progress, and of prepared
    /// text that was found changed.
    ///
    /// # Errors
    /// As [`Corpus::open`].
    pub fn open_told(
        spec: &DataSpec,
        cache: &Path,
        own: &[PathBuf],
        listener: &dyn Listener,
    ) -> Result<(Self, Summary), CorpusError> {
        if let Some(name) = &spec.corpus {
            let corpus = built_in(name)?;
            corpus.check(spec.seq_len)?;
            let summary = corpus.built_in_summary(name);
            return Ok((corpus, summary));
        }
        let reading = Reading::of(spec, own)?;
        let digest = reading.digest(listener)?;
        if reading.is_raw() {
            reading.summary(digest.clone(), reading.raw_counts()?, 0.0).check(spec.seq_len)?;
        }
        let (corpus, head) = match Self::verified(&digest, cache) {
            Ok(found) => found,
            Err(error) => {
                if let CorpusError::Damaged(path) = error {
                    listener.note(&format!(
                        "the prepared text {path} has changed since it was made; it is made anew"
                    ));
                }
                prepared::write(&reading, &digest, cache, spec.seq_len, listener)?;
                Self::verified(&digest, cache)?
            }
        };
        corpus.check(spec.seq_len)?;
        let counts = head.map_or_else(|| reading.raw_counts(), |head| Ok(head.counts))?;
        Ok((corpus, reading.summary(digest, counts, 0.0)))
    }

    /// The text of this digest, which [`Corpus::open`] wrote to `cache` before: what a worker
    /// needs.
    ///
    /// # Errors
    /// If it is not there, has changed, or is shorter than a sequence.
    pub fn prepared(digest: &str, cache: &Path, seq_len: usize) -> Result<Self, CorpusError> {
        let corpus = match digest == built_in::DIGEST.trim() {
            true => built_in(BUILT_IN)?,
            false => Self::verified(digest, cache)?.0,
        };
        corpus.check(seq_len)?;
        Ok(corpus)
    }

    /// Maps prepared text whose bytes are those that were written.
    fn verified(digest: &str, cache: &Path) -> Result<(Self, Option<Head>), CorpusError> {
        let head = head_of(cache, digest);
        let map = |part: Part| {
            let path = part_path(cache, digest, part);
            let file = File::open(&path)
                .map_err(|_| CorpusError::NotPrepared(path.display().to_string()))?;
            // SAFETY: the prepared file is written once and renamed into place, never changed.
            unsafe { Mmap::map(&file) }.map_err(read_error(&path))
        };
        let (train, validation) = (map(Part::Train)?, map(Part::Validation)?);
        let damaged =
            |part| Err(CorpusError::Damaged(part_path(cache, digest, part).display().to_string()));
        match &head {
            Some(Head { digests, .. }) => {
                for (part, map, expected) in [
                    (Part::Train, &train, &digests[0]),
                    (Part::Validation, &validation, &digests[1]),
                ] {
                    if hash(&[&map[..]]) != *expected {
                        return damaged(part);
                    }
                }
            }
            None if hash(&[&train[..], &(train.len() as u64).to_le_bytes(), &validation[..]])
                != digest =>
            {
                return damaged(Part::Train);
            }
            None => {}
        }
        let lengths = head.as_ref().map(|head| lengths(cache, digest, head)).transpose()?;
        let width = head.as_ref().map_or(1, |head| head.width);
        let (train, validation) = (Text::Mapped(train), Text::Mapped(validation));
        Ok((Self { train, validation, width, lengths, digest: digest.to_owned() }, head))
    }

    /// What a built-in corpus is.
    pub(crate) fn built_in_summary(&self, name: &str) -> Summary {
        let tokens = [self.train().len() as u64, self.validation_text().len() as u64];
        Summary {
            digest: self.digest.clone(),
            corpus: Some(name.to_owned()),
            files: vec![],
            validation_files: vec![],
            left_out: vec![],
            counts: Counts { documents: [1, 1], bytes: tokens, tokens, ..Counts::default() },
            is_bytes: true,
            tokenizer_digest: None,
            end_of_text: None,
            notes: vec![],
            seconds: 0.0,
        }
    }

    /// BLAKE3 of the training text, its length and the validation text, or of what tokens are made
    /// of: part of every trial's identity.
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

    /// Training sequence number `number` of a seed: `seq_len + 1` tokens. A function of the seed
    /// and the number only, so every trial of a replicate sees the same tokens in the same order,
    /// whatever its architecture. No sequence comes twice before the whole text was read.
    pub fn sequence(&self, order: &Order, number: u64, seq_len: usize) -> Tokens<'_> {
        let text = self.train();
        text.range(window(order.start(number, text.len(), seq_len), seq_len))
    }

    /// Validation windows of `seq_len + 1` tokens that together predict about `tokens` tokens,
    /// evenly spread over the text.
    pub fn validation(&self, tokens: u64, seq_len: usize) -> Vec<Tokens<'_>> {
        let text = self.validation_text();
        self.windows(tokens, seq_len).into_iter().map(|window| text.range(window)).collect()
    }

    /// How many tokens [`Corpus::validation`] predicts, and how many bytes of text.
    pub fn evaluated(&self, tokens: u64, seq_len: usize) -> Evaluated {
        let lengths = self.lengths.as_ref().map(|map| crate::tokens::tokens(map, 4));
        let bytes = |Range { start, end }: Range<usize>| match lengths {
            Some(lengths) => lengths.range(start + 1..end).sum(),
            None => (end - start - 1) as u64,
        };
        let windows = self.windows(tokens, seq_len);
        Evaluated {
            tokens: (windows.len() * seq_len) as u64,
            bytes: windows.into_iter().map(bytes).sum(),
        }
    }

    fn windows(&self, tokens: u64, seq_len: usize) -> Vec<Range<usize>> {
        let length = self.validation_text().len();
        let most = (length - 1) / seq_len;
        let n = (tokens as usize).div_ceil(seq_len).clamp(1, most);
        let last = length - seq_len - 1;
        let start = |i: usize| {
            if n == 1 { 0 } else { (i as u128 * last as u128 / (n as u128 - 1)) as usize }
        };
        (0..n).map(|i| window(start(i), seq_len)).collect()
    }

    /// Where the tokenizer of a text that was prepared in `cache` is kept, if it has one.
    pub fn kept_tokenizer(cache: &Path, digest: &str) -> Option<PathBuf> {
        Some(prepared::tokenizer_path(cache, digest)).filter(|path| path.is_file())
    }
}

/// Maps the bytes of tokens, which are those that were written.
fn lengths(cache: &Path, digest: &str, head: &Head) -> Result<Mmap, CorpusError> {
    let path = prepared::lengths_path(cache, digest);
    let shown = || path.display().to_string();
    let file = File::open(&path).map_err(|_| CorpusError::NotPrepared(shown()))?;
    // SAFETY: the prepared file is written once and renamed into place, never changed.
    let map = unsafe { Mmap::map(&file) }.map_err(read_error(&path))?;
    if hash(&[&map[..]]) == head.lengths_digest {
        Ok(map)
    } else {
        Err(CorpusError::Damaged(shown()))
    }
}

fn window(start: usize, seq_len: usize) -> Range<usize> {
    start..start + seq_len + 1
}

/// The built-in corpus of a name.
pub(crate) fn built_in(name: &str) -> Result<Corpus, CorpusError> {
    if name != BUILT_IN {
        return Err(CorpusError::Unknown(name.to_owned()));
    }
    Ok(Corpus {
        train: Text::Static(built_in::TRAIN),
        validation: Text::Static(built_in::VALIDATION),
        width: 1,
        lengths: None,
        digest: built_in::DIGEST.trim().to_owned(),
    })
}

/// BLAKE3 of several texts, one after the other; large ones on all cores.
fn hash(texts: &[&[u8]]) -> String {
    let mut hasher = blake3::Hasher::new();
    for text in texts {
        // Below, handing out the work takes longer than doing it.
        if text.len() < 1 << 20 {
            hasher.update(text)
        } else {
            hasher.update_rayon(text)
        };
    }
    hasher.finalize().to_hex().to_string()
}
