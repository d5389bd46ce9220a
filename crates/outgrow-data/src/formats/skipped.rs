//! Records without a text.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::error::CorpusError;

/// Entries of JSON and Parquet that were left out: one policy for all of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Skipped {
    /// The field is not there.
    pub missing: u64,
    /// It is `null`, or NaN.
    pub null: u64,
    /// It has no character.
    pub empty: u64,
    /// It has half a surrogate pair, which stands for no character.
    pub halves: u64,
}

impl Skipped {
    /// How many were left out.
    pub fn total(&self) -> u64 {
        self.missing + self.null + self.empty + self.halves
    }

    /// For people.
    pub(crate) fn describe(&self) -> String {
        let kinds = [
            (self.missing, "without the field"),
            (self.null, "null"),
            (self.empty, "empty"),
            (self.halves, "with half a surrogate pair"),
        ];
        let there = kinds.into_iter().filter(|(n, _)| *n > 0);
        there.map(|(n, what)| format!("{n} {what}")).collect::<Vec<_>>().join(", ")
    }
}

/// A file of which no record has the field has another one.
#[derive(Default)]
pub(crate) struct Missing {
    records: u64,
    found: bool,
    keys: Vec<String>,
}

/// When so many records have no text, none of them will.
const ENOUGH_RECORDS: u64 = 1000;

impl Missing {
    /// A record was read, and has the field or not.
    pub fn saw(&mut self, found: bool, keys: impl Fn() -> Vec<String>) {
        if self.records == 0 && !found {
            self.keys = keys();
        }
        self.found |= found;
        self.records += 1;
    }

    /// Whether no record will have it.
    pub fn is_enough(&self) -> bool {
        !self.found && self.records >= ENOUGH_RECORDS
    }

    /// What is wrong with a file of such records, if something is.
    pub fn why(&self, field: &str) -> Option<String> {
        let which = match self.records {
            _ if self.found => return None,
            0 => return Some("there is no object in it".into()),
            1 => "its object has no text".into(),
            n => format!("none of its {n} objects has a text"),
        };
        let keys = if self.keys.is_empty() { "nothing".into() } else { self.keys.join(", ") };
        Some(format!("{which} `{field}`, but {keys}"))
    }

    /// The file was read.
    pub fn finish(&self, path: &Path, field: &str) -> Result<(), CorpusError> {
        let Some(why) = self.why(field).filter(|_| self.records > 0) else { return Ok(()) };
        let why = format!(
            "{why}; name the field of the text (data.field), or read the file as plain text \
             (data.format = \"text\")"
        );
        Err(CorpusError::document(path, why))
    }
}
