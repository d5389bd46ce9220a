//! Text: as a model reads it, in words, counted; and tokenizers.

mod description;
mod tokenizer;

use std::path::Path;

use outgrow_core::Architecture;
use outgrow_data::{CorpusError, Counted, Tokenizer, plain_text, read_regular};

pub use self::{
    description::{describe, describe_files},
    tokenizer::{TextCount, TrainedTokenizer, count_text, train_tokenizer},
};
use crate::error::Error;

/// A text as a model reads it.
#[allow(missing_docs)]
pub struct Text {
    pub ids: Vec<i64>,
    /// How many bytes of the text each of them stands for.
    pub bytes: Vec<u32>,
    /// How long the text is.
    pub length: usize,
}

/// A file of plain text as token ids: by the tokenizer that the user named, or that lies in the
/// model's folder; byte by byte for a model of bytes. Tells of much that a tokenizer does not know.
///
/// # Errors
/// If it is no such file, as text of a sweep would not be, or the model has tokens and no
/// tokenizer.
pub fn text_ids(
    path: &Path,
    tokenizer: Option<&Path>,
    model: &Path,
    architecture: &Architecture,
) -> Result<Text, Error> {
    let own = model.join("tokenizer.json");
    let refused = |error: CorpusError| Error::Input(error.to_string());
    let tokenizer = tokenizer.or_else(|| own.exists().then_some(&own));
    let text = plain_text(path, tokenizer.is_some()).map_err(refused)?;
    match tokenizer {
        Some(tokenizer) => {
            let tokenizer = Tokenizer::read(tokenizer).map_err(refused)?;
            let Counted { ids, bytes } = tokenizer.encode_counted(&text).map_err(refused)?;
            let unknown = tokenizer.unknown_share(&ids);
            if unknown >= LARGE {
                tracing::warn!(
                    "{}: this tokenizer does not fit this text: {:.3} % of all tokens stand for \
                     what the tokenizer does \
                     not know",
                    path.display(),
                    unknown * 100.0
                );
            }
            let ids = ids.into_iter().map(i64::from).collect();
            Ok(Text { ids, bytes, length: text.len() })
        }
        None if (architecture.vocab_size, architecture.n_outputs) == (256, 256) => {
            let ids = text.bytes().map(i64::from).collect();
            Ok(Text { ids, bytes: vec![1; text.len()], length: text.len() })
        }
        None => Err(Error::Input(format!(
            "this model knows {} tokens, and text without a tokenizer has 256; name its tokenizer \
             with --tokenizer",
            architecture.vocab_size
        ))),
    }
}

/// From this share on, what a tokenizer does not know is worth a word.
const LARGE: f64 = 0.01;

/// No list of tokens that is held in memory at once is longer.
const MAX_BYTES: u64 = 1 << 30;

/// The whole of a text file in UTF-8, of at most a gibibyte.
///
/// # Errors
/// If it is no such file.
pub fn read_text(path: &Path) -> Result<String, Error> {
    let named = path.display();
    let refuse = |why: String| Err(Error::Input(format!("{named}: {why}")));
    let bytes =
        read_regular(path, MAX_BYTES).map_err(Error::input(format!("cannot read {named}")))?;
    if bytes.is_empty() {
        return refuse("it is empty".into());
    }
    match String::from_utf8(bytes) {
        // A mark of byte order is no text.
        Ok(mut text) => {
            text.drain(..text.find(|c| c != '\u{feff}').unwrap_or(0).min(3));
            Ok(text)
        }
        Err(error) => {
            let at = error.utf8_error().valid_up_to();
            refuse(format!(
                "it is no text in UTF-8: byte {at} (from 0) is {:#04x}",
                error.as_bytes()[at]
            ))
        }
    }
}
