//! What a file that was found holds.

use std::path::PathBuf;

use outgrow_core::sweep::TextFormat;

use super::{
    names::name,
    source::{Source, Stamp},
};
use crate::{
    error::CorpusError,
    formats::{Format, kind_of, lacks},
};

/// A file that a path leads to.
pub(super) struct File {
    pub path: PathBuf,
    pub bytes: u64,
    pub stamp: Stamp,
}

/// What a file holds, as far as it decides what is read beside it.
#[derive(Debug, PartialEq)]
pub(super) enum Holds {
    /// Documents with a text of the wanted name.
    Data,
    /// Plain text.
    Text,
    /// No text that is wanted, and why.
    None(String),
    /// What is not read.
    Unknown,
}

/// A file that was looked at.
pub(super) struct Looked {
    pub path: PathBuf,
    pub source: Result<Source, CorpusError>,
    holds: Option<Holds>,
}

impl Looked {
    pub fn at(file: &File, format: Option<TextFormat>) -> Self {
        let source = kind_of(&file.path, format).map(|(kind, mark)| Source {
            path: file.path.clone(),
            kind,
            bytes: file.bytes,
            mark,
            stamp: file.stamp,
        });
        Self { path: file.path.clone(), source, holds: None }
    }

    /// What it holds; `field` is the name of the text in JSON.
    pub fn holds(&mut self, field: &str) -> &Holds {
        let (path, source) = (&self.path, &self.source);
        self.holds.get_or_insert_with(|| match source {
            Err(_) if name(path).ends_with(".ipynb") => Holds::None("it is a notebook".into()),
            Err(_) => Holds::Unknown,
            Ok(source) => match source.kind.format {
                Format::Text => Holds::Text,
                Format::Parquet => Holds::Data,
                // So named, it is to be read, or refused.
                Format::Lines
                    if [".jsonl", ".ndjson"].iter().any(|says| name(path).contains(says)) =>
                {
                    Holds::Data
                }
                Format::Lines | Format::Array | Format::Objects => {
                    // What is damaged is refused where it is read.
                    let lacks = lacks(path, source.kind.packing, field).unwrap_or(None);
                    lacks.map_or(Holds::Data, Holds::None)
                }
            },
        })
    }

    /// What it holds, if somebody asked already.
    pub fn known(&self) -> &Holds {
        self.holds.as_ref().unwrap_or(&Holds::Unknown)
    }
}
