//! The files of a sweep, and how they are read.

use std::path::{Path, PathBuf};

use outgrow_core::sweep::DataSpec;

use super::shared::field;
use crate::{
    documents::{Division, Part, Reader, TakePiece},
    error::CorpusError,
    files::{LeftOut, Source, by_kind, find},
    formats::{Format, Kind, Packing, Skipped},
    listener::Listener,
    summary::{Counts, Summary},
    tokenizer::Tokenizer,
    tokens::Encoding,
};

/// In text without a tokenizer, a document ends with this byte.
const ZERO_BYTE: u32 = 0;

/// The files of a sweep's data, and how they are read.
pub(crate) struct Reading<'a> {
    pub(super) spec: &'a DataSpec,
    pub(super) train: Vec<Source>,
    /// Files of validation text, if they are named.
    pub(super) validation: Option<Vec<Source>>,
    pub(super) left_out: Vec<LeftOut>,
    pub(crate) tokenizer: Option<Tokenizer>,
    /// The token behind each document.
    pub(super) end: Option<u32>,
    pub(super) checked: bool,
}

impl<'a> Reading<'a> {
    /// Finds the files and looks at each, reads the tokenizer. `own` files and folders are never
    /// opened.
    pub fn of(spec: &'a DataSpec, own: &[PathBuf]) -> Result<Self, CorpusError> {
        let mut tokenizer =
            spec.tokenizer.as_deref().map(|path| Tokenizer::read(Path::new(path))).transpose()?;
        let end = match (&mut tokenizer, &spec.end_of_text) {
            (Some(tokenizer), Some(token)) => Some(tokenizer.end_with(token, spec.joined)?),
            (Some(_), None) => None,
            (None, _) => Some(ZERO_BYTE),
        };
        let found = find(spec, field(spec), own)?;
        Ok(Self {
            spec,
            train: found.train,
            validation: found.validation,
            left_out: found.left_out,
            checked: tokenizer.is_some(),
            tokenizer,
            end,
        })
    }

    /// The same, and plain text must be UTF-8.
    pub fn checked(self) -> Self {
        Self { checked: true, ..self }
    }

    /// Whether it is plain text without a tokenizer: bytes one after the other, and nothing between
    /// them.
    pub fn is_raw(&self) -> bool {
        const RAW: Kind = Kind { format: Format::Text, packing: Packing::Plain };
        self.tokenizer.is_none() && self.files().all(|(source, _)| source.kind == RAW)
    }

    /// Bytes of an id.
    pub fn encoding(&self) -> Encoding {
        Encoding::of(self.tokenizer.as_ref().map_or(256, Tokenizer::vocab_size))
    }

    pub(super) fn files(&self) -> impl Iterator<Item = (&Source, Division)> {
        let (share, named) = (self.spec.validation.unwrap_or(0.0), self.validation.is_some());
        let of_train = if named { Division::All(Part::Train) } else { Division::Share(share) };
        let validation = self
            .validation
            .iter()
            .flatten()
            .map(|source| (source, Division::All(Part::Validation)));
        validation.chain(self.train.iter().map(move |source| (source, of_train)))
    }

    pub fn bytes(&self) -> u64 {
        self.files().map(|(source, _)| source.bytes).sum()
    }

    /// Refuses files in which there is no text at all.
    pub fn is_something(&self, counts: &Counts) -> Result<(), CorpusError> {
        if counts.bytes.iter().any(|&bytes| bytes > 0) {
            return Ok(());
        }
        let files: Vec<String> =
            self.files().map(|(source, _)| source.path.display().to_string()).collect();
        let place = match &*files {
            [] => return Ok(()),
            [one] => one.clone(),
            [first, rest @ ..] => format!("{first} and {} more", rest.len()),
        };
        let skipped = match counts.skipped.total() {
            0 => String::new(),
            n => format!(" ({n} entries: {})", counts.skipped.describe()),
        };
        let why = format!("there is no text in it{skipped}; name files with text in them");
        Err(CorpusError::Document { place, why })
    }

    pub fn summary(&self, digest: String, counts: Counts, seconds: f64) -> Summary {
        let end = match (&self.tokenizer, self.is_raw()) {
            (Some(_), _) => self.spec.end_of_text.clone(),
            (None, true) => None,
            (None, false) => Some("U+0000".into()),
        };
        let mut notes =
            self.tokenizer.as_ref().map_or_else(Vec::new, |tokenizer| tokenizer.notes().to_vec());
        // Each document has one then, and each one was put there.
        let never = counts.documents.iter().sum::<u64>() == counts.ends;
        if let Some(end) = end.as_deref().filter(|_| self.spec.joined && never) {
            notes.push(format!(
                "data.joined says that {end} stands between documents already, and it stands \
                 nowhere in the text: nothing \
                 separates them; leave data.joined out, or name the token that does \
                 (data.end_of_text)"
            ));
        }
        Summary {
            digest,
            corpus: None,
            files: by_kind(self.train.iter()),
            validation_files: by_kind(self.validation.iter().flatten()),
            left_out: self.left_out.clone(),
            counts,
            is_bytes: self.tokenizer.is_none(),
            tokenizer_digest: self.tokenizer.as_ref().map(Tokenizer::digest),
            end_of_text: end,
            notes,
            seconds,
        }
    }

    /// Hands over each document of all files in turn, in pieces.
    pub fn each_piece(
        &self,
        listener: &dyn Listener,
        skipped: &mut Skipped,
        take: TakePiece,
    ) -> Result<(), CorpusError> {
        for (source, division) in self.files() {
            let reader =
                Reader { field: field(self.spec), checked: self.checked, division, listener };
            reader.each(source, skipped, take)?;
            source.is_unchanged()?;
        }
        Ok(())
    }
}
