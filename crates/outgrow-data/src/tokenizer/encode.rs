//! A tokenizer of somebody else, read for training text.

use std::path::Path;

use rayon::prelude::*;
use serde_json::Value;
use tokenizers::AddedToken;

use super::{
    ends::{self, End},
    others,
};
use crate::{error::CorpusError, guard::guarded, regular::read_regular};

/// No `tokenizer.json` has more bytes.
pub const LARGEST_TOKENIZER: u64 = 1 << 30;

/// A tokenizer, ready to be used from many threads. It turns a text into tokens and nothing else:
/// truncation, padding, dropout and tokens around a text, which someone stored for another use, are
/// put aside, and the name of a control token within a text is text.
pub struct Tokenizer {
    inner: tokenizers::Tokenizer,
    effective: Vec<u8>,
    path: String,
    vocab_size: usize,
    unknown: Option<u32>,
    end: End,
    notes: Vec<String>,
}

impl Tokenizer {
    /// Reads a `tokenizer.json`, or that in a folder.
    ///
    /// # Errors
    /// If it is missing, or not one.
    pub fn read(path: &Path) -> Result<Self, CorpusError> {
        let hint = others::hint(path);
        let path = if path.is_dir() { path.join("tokenizer.json") } else { path.to_owned() };
        let shown = path.display().to_string();
        let refused = |why: String| CorpusError::Tokenizer { path: shown.clone(), why };
        let foreign = |error: &dyn std::fmt::Display| {
            refused(format!("it is no tokenizer.json of Hugging Face's tokenizers: {error}{hint}"))
        };
        let bytes = read_regular(&path, LARGEST_TOKENIZER)
            .map_err(|error| refused(format!("cannot read the tokenizer: {error}{hint}")))?;
        // JSON first: of what is none, the library would panic.
        let mut value: Value = serde_json::from_slice(&bytes).map_err(|error| foreign(&error))?;
        let mut notes = put_aside(&mut value);
        let effective = serde_json::to_vec(&value).expect("JSON");
        let read = guarded(|| tokenizers::Tokenizer::from_bytes(&effective))
            .map_err(|error| foreign(&error))?;
        let mut inner = read.map_err(|error| foreign(&error))?;
        inner.set_encode_special_tokens(true);
        let vocab_size = inner.get_vocab(true).values().max().map_or(0, |&id| id as usize + 1);
        let unknown = unknown(&value["model"], &inner);
        let end = ends::find(&path, &inner)?;
        notes.extend(end.notes.iter().cloned());
        Ok(Self { inner, effective, path: shown, vocab_size, unknown, end, notes })
    }

    /// Ids are below this.
    pub fn vocab_size(&self) -> usize {
        self.vocab_size
    }

    /// What its tokens depend on, and nothing else: a `tokenizer.json` that gives them.
    pub fn identity(&self) -> &[u8] {
        &self.effective
    }

    /// BLAKE3 of [`Tokenizer::identity`]: tokenizers of one digest give the same tokens.
    pub fn digest(&self) -> String {
        blake3::hash(&self.effective).to_hex().to_string()
    }

    /// The token that ends a document: as its owners say, or one of the usual ones.
    pub fn end_of_text(&self) -> Option<&str> {
        self.end.token.as_deref()
    }

    /// What was put aside or found to disagree, in words.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Which share of tokens stands for what it does not know.
    pub fn unknown_share(&self, ids: &[u32]) -> f64 {
        let unknown = ids.iter().filter(|&&id| Some(id) == self.unknown).count();
        unknown as f64 / ids.len().max(1) as f64
    }

    /// The token of what it does not know, if it has one.
    pub(crate) fn unknown(&self) -> Option<u32> {
        self.unknown
    }

    /// The id of a token.
    ///
    /// # Errors
    /// If there is no such token.
    pub fn id(&self, token: &str) -> Result<u32, CorpusError> {
        let why = || format!("it has no token {token:?}; give one of its own as data.end_of_text");
        self.inner.token_to_id(token).ok_or_else(|| self.failed(why()))
    }

    /// Says which token ends documents, so that its name within a text is text, whatever the file
    /// says of it; or, in `joined` texts, that names of control tokens are those tokens. Gives its
    /// id.
    pub(crate) fn end_with(&mut self, token: &str, joined: bool) -> Result<u32, CorpusError> {
        let id = self.id(token)?;
        let known = self.inner.get_added_tokens_decoder().get(&id).cloned();
        let special = known.unwrap_or_else(|| AddedToken::from(token, true)).special(true);
        self.inner.add_special_tokens([special]).map_err(|error| self.failed(error.to_string()))?;
        self.inner.set_encode_special_tokens(!joined);
        Ok(id)
    }

    pub(super) fn failed(&self, why: impl Into<String>) -> CorpusError {
        CorpusError::Tokenizer { path: self.path.clone(), why: why.into() }
    }

    /// The ids of several texts, computed on all cores; nothing is added to them.
    ///
    /// # Errors
    /// If the tokenizer fails.
    pub fn encode(&self, texts: &[&str]) -> Result<Vec<Vec<u32>>, CorpusError> {
        texts.par_iter().map(|text| self.encode_one(text)).collect()
    }

    /// The ids of a text.
    pub(crate) fn encode_one(&self, text: &str) -> Result<Vec<u32>, CorpusError> {
        let encoded = guarded(|| {
            self.inner.encode_fast(text, false).map(|encoding| encoding.get_ids().to_vec())
        });
        let ids = encoded
            .map_err(|panic| self.failed(panic))?
            .map_err(|error| self.failed(error.to_string()))?;
        self.within(ids)
    }

    /// Refuses ids that the vocabulary does not have.
    pub(super) fn within(&self, ids: Vec<u32>) -> Result<Vec<u32>, CorpusError> {
        match ids.iter().find(|&&id| id as usize >= self.vocab_size) {
            Some(id) => Err(self
                .failed(format!("it gave token {id}, but its vocabulary has {}", self.vocab_size))),
            None => Ok(ids),
        }
    }

    pub(super) fn inner(&self) -> &tokenizers::Tokenizer {
        &self.inner
    }

    /// The text of ids.
    ///
    /// # Errors
    /// If the tokenizer fails.
    pub fn decode(&self, ids: &[u32]) -> Result<String, CorpusError> {
        let decoded =
            guarded(|| self.inner.decode(ids, false)).map_err(|panic| self.failed(panic))?;
        decoded.map_err(|error| self.failed(error.to_string()))
    }
}

/// Takes out of a `tokenizer.json` what is not for training text. Says what a user would not
/// expect.
fn put_aside(value: &mut Value) -> Vec<String> {
    let mut notes = vec![];
    let Some(fields) = value.as_object_mut() else { return notes };
    for field in ["truncation", "padding"] {
        if fields.insert(field.into(), Value::Null).is_some_and(|value| !value.is_null()) {
            notes.push(format!(
                "the {field} that the tokenizer's file stores is not for training text, and is \
                 not used"
            ));
        }
    }
    // Puts tokens around a text, for those who ask for it.
    fields.insert("post_processor".into(), Value::Null);
    let dropout =
        fields.get_mut("model").and_then(|model| model.get_mut("dropout")).map(Value::take);
    if let Some(dropout) = dropout.filter(|dropout| dropout.as_f64().is_some_and(|p| p != 0.0)) {
        notes.push(format!(
            "the dropout of {dropout} that the tokenizer's file stores would give \
                            other tokens each time, and is not used"
        ));
    }
    notes
}

/// The token of what a model does not know: by its name, or by its number.
fn unknown(model: &Value, inner: &tokenizers::Tokenizer) -> Option<u32> {
    let by_name = model["unk_token"].as_str().and_then(|token| inner.token_to_id(token));
    by_name.or_else(|| model["unk_id"].as_u64().and_then(|id| id.try_into().ok()))
}
