//! Hugging Face's tokenizers: read from a `tokenizer.json`, or trained.

use std::{
    cell::Cell,
    panic::{self, AssertUnwindSafe},
    path::Path,
    sync::Once,
};

use tokenizers::{
    AddedToken,
    decoders::byte_level::ByteLevel as Decoder,
    models::bpe::{BPE, BpeTrainerBuilder},
    pre_tokenizers::byte_level::ByteLevel,
};

use crate::corpus::CorpusError;

/// Tokens that end a document in tokenizers of today; the first that a tokenizer has is its own.
const ENDS: [&str; 6] = ["<|endoftext|>", "<|end_of_text|>", "</s>", "<|im_end|>", "<eos>", "<|eot_id|>"];

/// A tokenizer, ready to be used from many threads.
pub struct Tokenizer {
    inner: tokenizers::Tokenizer,
    bytes: Vec<u8>,
    path: String,
    vocab_size: usize,
}

impl Tokenizer {
    /// Reads a `tokenizer.json`, or that in a folder.
    ///
    /// # Errors
    /// If it is missing, or not one.
    pub fn read(path: &Path) -> Result<Self, CorpusError> {
        let path = if path.is_dir() { path.join("tokenizer.json") } else { path.to_owned() };
        let shown = path.display().to_string();
        let bytes = std::fs::read(&path).map_err(|error| CorpusError::Read { path: shown.clone(), error })?;
        let refused = |error: &dyn std::fmt::Display| CorpusError::Tokenizer {
            path: shown.clone(),
            why: format!("it is no tokenizer.json of Hugging Face's tokenizers: {error}"),
        };
        // JSON first: of what is none, the library would panic.
        serde_json::from_slice::<serde_json::Value>(&bytes).map_err(|error| refused(&error))?;
        let read = guarded(|| tokenizers::Tokenizer::from_bytes(&bytes)).map_err(|error| refused(&error))?;
        let inner = read.map_err(|error| refused(&error))?;
        let vocab_size = inner.get_vocab(true).values().max().map_or(0, |&id| id as usize + 1);
        Ok(Self { inner, bytes, path: shown, vocab_size })
    }

    /// Ids are below this.
    pub fn vocab_size(&self) -> usize {
        self.vocab_size
    }

    /// The file that it was read from: what it does depends on nothing else.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The token that ends a document, if it has one of the usual ones.
    pub fn end_of_text(&self) -> Option<&'static str> {
        ENDS.into_iter().find(|token| self.inner.token_to_id(token).is_some())
    }

    /// The id of a token.
    ///
    /// # Errors
    /// If there is no such token.
    pub fn id(&self, token: &str) -> Result<u32, CorpusError> {
        let why = || format!("it has no token {token:?}; give one of its own as data.end_of_text");
        self.inner.token_to_id(token).ok_or_else(|| CorpusError::Tokenizer { path: self.path.clone(), why: why() })
    }

    /// The ids of several texts, computed on all cores; nothing is added to them.
    ///
    /// # Errors
    /// If the tokenizer fails.
    pub fn encode(&self, texts: &[&str]) -> Result<Vec<Vec<u32>>, CorpusError> {
        let failed =
            |error: tokenizers::Error| CorpusError::Tokenizer { path: self.path.clone(), why: error.to_string() };
        let encodings = self.inner.encode_batch_fast(texts.to_vec(), false).map_err(failed)?;
        Ok(encodings.into_iter().map(|encoding| encoding.get_ids().to_vec()).collect())
    }

    /// The text of ids.
    ///
    /// # Errors
    /// If the tokenizer fails.
    pub fn decode(&self, ids: &[u32]) -> Result<String, CorpusError> {
        let failed =
            |error: tokenizers::Error| CorpusError::Tokenizer { path: self.path.clone(), why: error.to_string() };
        self.inner.decode(ids, false).map_err(failed)
    }
}

thread_local! {
    /// Whether a panic of this thread is an answer and no accident.
    static GUARDED: Cell<bool> = const { Cell::new(false) };
}

/// Calls the library, which panics on some files that it can't read: that is an error like others, and not told on the screen.
fn guarded<T>(call: impl FnOnce() -> T) -> Result<T, String> {
    static QUIET: Once = Once::new();
    QUIET.call_once(|| {
        let usual = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if !GUARDED.get() {
                usual(info);
            }
        }));
    });
    GUARDED.set(true);
    let answer = panic::catch_unwind(AssertUnwindSafe(call));
    GUARDED.set(false);
    answer.map_err(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default()
    })
}

/// Trains a byte-level BPE of `vocab_size` tokens on texts and gives its `tokenizer.json`. It knows every byte, so it encodes any text, and
/// ends documents with `<|endoftext|>`.
///
/// # Errors
/// If the vocabulary is too small for all bytes, or the trainer fails.
pub fn train_bpe(texts: impl Iterator<Item = String> + Send, vocab_size: usize) -> Result<String, String> {
    if vocab_size < 257 {
        return Err(format!("a vocabulary of {vocab_size} is too small: all bytes and <|endoftext|> are 257"));
    }
    let failed = |error: tokenizers::Error| error.to_string();
    let byte_level = ByteLevel::new(false, true, true);
    let mut tokenizer = tokenizers::Tokenizer::new(BPE::default());
    tokenizer.with_pre_tokenizer(Some(byte_level));
    tokenizer.with_decoder(Some(Decoder::default()));
    let mut trainer: tokenizers::models::TrainerWrapper = BpeTrainerBuilder::new()
        .vocab_size(vocab_size)
        .show_progress(false)
        .initial_alphabet(ByteLevel::alphabet().into_iter().collect())
        .special_tokens(vec![AddedToken::from(ENDS[0], true)])
        .build()
        .into();
    tokenizer.train(&mut trainer, texts).map_err(failed)?;
    tokenizer.to_string(false).map_err(failed)
}
