//! The token that ends a document, where the owners of a tokenizer write it.

use std::{io, path::Path};

use serde_json::Value;

use crate::{error::CorpusError, regular::read_regular};

/// No file that says it has more bytes.
const LARGEST: u64 = 16 << 20;

/// Tokens that end a document in tokenizers of today; the first that a tokenizer has is its own, if
/// its owners say nothing.
pub(crate) const USUAL: [&str; 9] = [
    "<|endoftext|>",
    "<|end_of_text|>",
    "</s>",
    "<|im_end|>",
    "<eos>",
    "<|eot_id|>",
    "<｜end▁of▁sentence｜>",
    "<EOS>",
    "[EOS]",
];

/// Files beside a `tokenizer.json` that say it, the first above those behind it, and the field.
const SAYING: [(&str, &str); 4] = [
    ("tokenizer_config.json", "eos_token"),
    ("special_tokens_map.json", "eos_token"),
    ("generation_config.json", "eos_token_id"),
    ("config.json", "eos_token_id"),
];

/// What was found.
#[derive(Default)]
pub(crate) struct End {
    pub token: Option<String>,
    /// Who says something else.
    pub notes: Vec<String>,
}

/// Looks beside a tokenizer's file for the token that ends a document.
///
/// # Errors
/// If a file that should say it is none of JSON.
pub(crate) fn find(tokenizer: &Path, inner: &tokenizers::Tokenizer) -> Result<End, CorpusError> {
    let mut end = End::default();
    let mut by = "";
    // Another name is that of a single file, which has nothing to do with what lies beside it.
    let is_whole = tokenizer.file_name().is_some_and(|name| name == "tokenizer.json");
    for (file, field) in SAYING.into_iter().filter(|_| is_whole) {
        let (said, numbers) = said_in(&tokenizer.with_file_name(file), field, inner)?;
        let known = |token: &&String| inner.token_to_id(token).is_some();
        match (said.iter().find(known).cloned(), end.token.clone()) {
            (Some(token), None) => (end.token, by) = (Some(token), file),
            (Some(other), Some(token)) if !said.contains(&token) => end.notes.push(format!(
                "{by} says that {token} ends a text, and {file} says {other}: {token} is taken; \
                 data.end_of_text names another"
            )),
            (None, _) if !said.is_empty() => {
                let tokens = said.join(", ");
                end.notes.push(format!(
                    "{file} says that {tokens} ends a text, which \
                                        tokenizer.json does not have"
                ));
            }
            (None, _) => end.notes.extend(numbers.first().map(|&id| {
                let what = match u32::try_from(id).ok().and_then(|id| inner.id_to_token(id)) {
                    Some(word) => format!(
                        "which is {word:?} in tokenizer.json and no control \
                                           token"
                    ),
                    None => "which tokenizer.json does not have".into(),
                };
                format!(
                    "{file} says that token {id} ends a text, {what}; data.end_of_text names \
                         one"
                )
            })),
            _ => {}
        }
    }
    let usual =
        || USUAL.into_iter().find(|token| inner.token_to_id(token).is_some()).map(str::to_owned);
    end.token = end.token.or_else(usual);
    Ok(end)
}

/// The tokens that a file names: as text, as an object with a text, or by their numbers; and
/// numbers that are those of no control token.
fn said_in(
    path: &Path,
    field: &str,
    inner: &tokenizers::Tokenizer,
) -> Result<(Vec<String>, Vec<u64>), CorpusError> {
    let refused = |why: String| CorpusError::Tokenizer { path: path.display().to_string(), why };
    let text = match read_regular(path, LARGEST) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Default::default()),
        read => read.map_err(|error| refused(format!("cannot read it: {error}")))?,
    };
    let value: Value = serde_json::from_slice(&text)
        .map_err(|error| refused(format!("it is no JSON: {error}")))?;
    let (mut tokens, mut numbers) = (vec![], vec![]);
    let mut one = |value: &Value| match value {
        Value::String(token) => tokens.push(token.clone()),
        Value::Object(token) => {
            tokens.extend(token.get("content").and_then(Value::as_str).map(str::to_owned));
        }
        Value::Number(id) => {
            let Some(id) = id.as_u64() else { return };
            match control_token(id, inner) {
                Some(token) => tokens.push(token),
                None => numbers.push(id),
            }
        }
        _ => {}
    };
    // Models of several kinds of input keep that of text apart.
    let value =
        value.get(field).or_else(|| value.get("text_config").and_then(|text| text.get(field)));
    match value {
        Some(Value::Array(several)) => several.iter().for_each(one),
        Some(value) => one(value),
        None => {}
    }
    Ok((tokens, numbers))
}

/// A token by its number, if it is one for control: the number of another tokenizer's would be any
/// word.
fn control_token(id: u64, inner: &tokenizers::Tokenizer) -> Option<String> {
    inner
        .get_added_tokens_decoder()
        .get(&u32::try_from(id).ok()?)
        .map(|token| token.content.clone())
}
