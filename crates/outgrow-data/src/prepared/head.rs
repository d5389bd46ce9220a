//! The files of a prepared text, and the head that describes them.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use crate::{documents::Part, summary::Counts};

/// What is said about prepared tokens.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Head {
    /// [`FORMAT`].
    pub format: String,
    /// Bytes of an id.
    pub width: usize,
    /// BLAKE3 of the files of training and of validation text.
    pub digests: [String; 2],
    /// BLAKE3 of the file of the bytes that each token of validation text stands for.
    pub lengths_digest: String,
    pub counts: Counts,
}

/// Of the heads that are read.
pub(super) const FORMAT: &str = "outgrow-prepared-3";

/// The head of prepared tokens, if they are there.
pub(crate) fn head_of(cache: &Path, digest: &str) -> Option<Head> {
    let head: Head = serde_json::from_slice(&fs::read(head_path(cache, digest)).ok()?).ok()?;
    let whole = |part: Part| {
        let file = fs::metadata(part_path(cache, digest, part));
        let bytes = head.counts.tokens[part as usize].checked_mul(head.width as u64);
        file.is_ok_and(|file| Some(file.len()) == bytes)
    };
    let is_known = head.format == FORMAT && [1, 2, 4].contains(&head.width);
    let lengths = fs::metadata(lengths_path(cache, digest));
    let counted =
        lengths.is_ok_and(|file| Some(file.len()) == head.counts.tokens[1].checked_mul(4));
    (is_known && counted && whole(Part::Train) && whole(Part::Validation)).then_some(head)
}

/// Where the head is written.
pub(super) fn head_path(cache: &Path, digest: &str) -> PathBuf {
    cache.join(format!("{}.json", digest.get(..32).unwrap_or(digest)))
}

/// Where it is written how many bytes of text each token of validation text stands for: as many
/// little-endian numbers of four bytes.
pub(crate) fn lengths_path(cache: &Path, digest: &str) -> PathBuf {
    cache.join(format!("{}.bytes", digest.get(..32).unwrap_or(digest)))
}

/// Where the tokenizer of a text is kept, so that it is there as long as the text is.
pub(crate) fn tokenizer_path(cache: &Path, digest: &str) -> PathBuf {
    cache.join(format!("{}.tokenizer.json", digest.get(..32).unwrap_or(digest)))
}

/// Where a part of a text is written.
pub(crate) fn part_path(cache: &Path, digest: &str, part: Part) -> PathBuf {
    let suffix = match part {
        Part::Train => "train",
        Part::Validation => "validation",
    };
    cache.join(format!("{}.{suffix}", digest.get(..32).unwrap_or(digest)))
}
