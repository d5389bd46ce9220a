//! Documents in files of every format.

use std::io::{BufRead, Read};

use crate::{
    error::{CorpusError, read_error},
    files::Source,
    formats::{Format, Records, Skipped, Text, each_row, pieces, unpacked, without_mark},
    listener::Listener,
};

/// Where a document belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Train,
    Validation,
}

/// How documents are divided.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Division {
    /// Such a share is validation text: the last of each plain text, and of others whole documents
    /// by their hash.
    Share(f64),
    /// All is of this part.
    All(Part),
}

/// A document, or a piece of one.
pub(crate) struct Piece {
    pub text: Vec<u8>,
    pub part: Part,
    /// A hash of the whole document, if it ends with this piece.
    pub ends: Option<u64>,
}

pub(crate) type TakePiece<'a> = &'a mut dyn FnMut(Piece) -> Result<(), CorpusError>;

/// How documents are read.
pub(crate) struct Reader<'a> {
    /// The name of the text in JSON and Parquet.
    pub field: &'a str,
    /// Whether plain text must be UTF-8.
    pub checked: bool,
    pub division: Division,
    pub listener: &'a dyn Listener,
}

impl Reader<'_> {
    /// Hands over each document of a file in turn, in pieces.
    ///
    /// # Errors
    /// If the file is damaged or no text, or `take` fails.
    pub fn each(
        &self,
        source: &Source,
        skipped: &mut Skipped,
        take: TakePiece,
    ) -> Result<(), CorpusError> {
        let path = &source.path;
        let mut entry = |text: &[u8]| self.entry(text, take);
        if source.kind.format == Format::Parquet {
            return each_row(path, self.field, self.listener, skipped, &mut entry);
        }
        let reader = unpacked(path, source.kind.packing, self.listener)?;
        let reader = without_mark(reader).map_err(read_error(path))?;
        match source.kind.format {
            Format::Lines => Records::new(path, self.field, skipped, &mut entry).lines(reader),
            Format::Array | Format::Objects => {
                Records::new(path, self.field, skipped, &mut entry).values(reader)
            }
            Format::Text | Format::Parquet => self.text(source, reader, take),
        }
    }

    fn entry(&self, text: &[u8], take: TakePiece) -> Result<(), CorpusError> {
        let hash = short(&blake3::hash(text));
        let part = match self.division {
            Division::All(part) => part,
            Division::Share(share) if (hash as f64) < share * 2f64.powi(64) => Part::Validation,
            Division::Share(_) => Part::Train,
        };
        let mut pieces = pieces(text).peekable();
        while let Some(piece) = pieces.next() {
            take(Piece {
                text: piece.to_vec(),
                part,
                ends: pieces.peek().is_none().then_some(hash),
            })?;
        }
        Ok(())
    }

    fn text(
        &self,
        source: &Source,
        reader: impl BufRead,
        take: TakePiece,
    ) -> Result<(), CorpusError> {
        let (cut, parts) = match self.division {
            Division::All(part) => (u64::MAX, [part, part]),
            Division::Share(share) => {
                let bytes = self.length(source)?;
                (bytes - (bytes as f64 * share).round() as u64, [Part::Train, Part::Validation])
            }
        };
        let mut hasher = blake3::Hasher::new();
        let text = Text { path: &source.path, checked: self.checked };
        text.read(reader, cut, &mut |piece, is_second, ends| {
            hasher.update(piece);
            let hash = ends.then(|| short(&std::mem::take(&mut hasher).finalize()));
            take(Piece { text: piece.to_vec(), part: parts[usize::from(is_second)], ends: hash })
        })
    }

    /// Bytes of a text, unpacked: of compressed ones they are counted.
    fn length(&self, source: &Source) -> Result<u64, CorpusError> {
        let reader = unpacked(&source.path, source.kind.packing, &())?;
        let mut reader = without_mark(reader).map_err(read_error(&source.path))?;
        let (mut bytes, mut buffer) = (0, vec![0; 1 << 16]);
        loop {
            match reader.read(&mut buffer).map_err(read_error(&source.path))? {
                0 => return Ok(bytes),
                n => bytes += n as u64,
            }
        }
    }
}

/// What documents are told apart by.
pub(crate) fn short(hash: &blake3::Hash) -> u64 {
    u64::from_le_bytes(hash.as_bytes()[..8].try_into().expect("8 bytes"))
}
