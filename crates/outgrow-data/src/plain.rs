//! A plain text that is read whole.

use std::{fs, path::Path};

use outgrow_core::sweep::TextFormat;

use crate::{
    error::{CorpusError, missing_error},
    formats::{Format, Kind, Packing, Text, kind_of},
    regular::read_regular,
};

/// No text that is held in memory at once is longer.
const MOST_BYTES: u64 = 1 << 30;

/// A file of plain text in UTF-8, without a mark of that. For a tokenizer (`is_tokenized`) it must
/// be as a text of a sweep: without NUL.
///
/// # Errors
/// If it can't be read, is no plain text, or empty.
pub fn plain_text(path: &Path, is_tokenized: bool) -> Result<String, CorpusError> {
    // Asked before it is opened: a pipe would be waited for, a device may have no end.
    let about = fs::metadata(path).map_err(missing_error(path))?;
    if about.is_file() && about.len() == 0 {
        return Err(CorpusError::Empty(path.display().to_string()));
    }
    let bytes = read_regular(path, MOST_BYTES).map_err(missing_error(path))?;
    // A table is text, as it stands: of a text on its own nobody says what it is.
    let is_table = path.extension().is_some_and(|ending| {
        ["csv", "tsv"].iter().any(|table| ending.eq_ignore_ascii_case(table))
    });
    let (kind, mark) = kind_of(path, is_table.then_some(TextFormat::Text))?;
    let refused = |what: &str, remedy: &str| {
        let why = format!("it is {what}, and plain text is read here; {remedy}");
        Err(CorpusError::document(path, why))
    };
    match kind {
        Kind { format: Format::Text, packing: Packing::Plain } => {}
        Kind { format: Format::Text, .. } => return refused("compressed", "unpack it first"),
        Kind { format: Format::Parquet, .. } => {
            return refused("Parquet", "write the texts in it to a file of their own");
        }
        Kind { .. } => {
            return refused(
                &kind.describe(),
                "write the texts in it to a file of their own, for example by `jq -r .text`",
            );
        }
    }
    let bytes = &bytes[(mark as usize).min(bytes.len())..];
    if bytes.is_empty() {
        return Err(CorpusError::Empty(path.display().to_string()));
    }
    if is_tokenized {
        Text { path, checked: true }.read(bytes, u64::MAX, &mut |_, _, _| Ok(()))?;
    }
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let at = error.valid_up_to();
        let why = format!(
            "it is no text in UTF-8: byte {} (from 0) is {:#04x}",
            at as u64 + mark,
            bytes[at]
        );
        CorpusError::document(path, why)
    })?;
    Ok(text.to_owned())
}
