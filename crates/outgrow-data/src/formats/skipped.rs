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
    pub fn saw(
        &mut self,
        found: bool,
        keys: impl Fn() -> Vec<String>,
        path: &Path,
        field: &str,
    ) -> Result<(), CorpusError> {
        if self.records == 0 && !found {
            self.keys = keys();
        }
        self.found |= found;
        self.records += 1;
        if self.records >= ENOUGH_RECORDS { self.finish(path, field) } else { Ok(()) }
    }

    /// The file was read.
    pub fn finish(&self, path: &Path, field: &str) -> Result<(), CorpusError> {
        if self.found || self.records == 0 {
            return Ok(());
        }
        let why = format!(
            "none of its {} objects has a text `{field}`, but {}; name the field of the text (data.field), or read the file as plain text \
             (data.format = \"text\")",
            self.records,
            if self.keys.is_empty() { "nothing".into() } else { self.keys.join(", ") }
        );
        Err(CorpusError::document(path, why))
    }
}
