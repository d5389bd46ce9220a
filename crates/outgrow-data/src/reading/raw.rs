//! Plain text without a tokenizer: its bytes are its tokens.

use std::{
    fs::File,
    io::{Read, Seek, SeekFrom},
    ops::Range,
};

use super::{
    shared::{Both, hash_of},
    sources::Reading,
};
use crate::{
    documents::{Division, Part, short},
    error::{CorpusError, read_error},
    files::Source,
    listener::Listener,
    summary::Counts,
};

impl Reading<'_> {
    /// Hands over the raw bytes of a part. Gives their number.
    pub fn each_raw(
        &self,
        part: Part,
        listener: &dyn Listener,
        take: &mut dyn FnMut(&[u8]) -> Result<(), CorpusError>,
    ) -> Result<u64, CorpusError> {
        let (mut sum, mut buffer) = (0, vec![0; 1 << 16]);
        for (source, division) in self.files() {
            let Range { start, end } = raw_range(source, division, part);
            if start == end {
                continue;
            }
            let failed = read_error(&source.path);
            let mut file = File::open(&source.path).map_err(&failed)?;
            file.seek(SeekFrom::Start(start)).map_err(&failed)?;
            let mut file = file.take(end - start);
            loop {
                match file.read(&mut buffer).map_err(&failed)? {
                    0 => break,
                    n => take(&buffer[..n])?,
                }
            }
            listener.read(end - start);
            sum += end - start;
            source.is_unchanged()?;
        }
        Ok(sum)
    }

    /// What raw text is: its bytes are its tokens, its files its documents.
    pub fn raw_counts(&self) -> Result<Counts, CorpusError> {
        let mut counts = Counts::default();
        let mut both = Both::default();
        for (source, division) in self.files() {
            for part in [Part::Train, Part::Validation] {
                let range = raw_range(source, division, part);
                counts.documents[part as usize] += u64::from(!range.is_empty());
                counts.bytes[part as usize] += range.end - range.start;
            }
            if let (Division::All(part), Some(_)) = (division, &self.validation) {
                let hash = short(&hash_of(source, &())?);
                counts.in_both += both.saw(part, hash);
            }
        }
        counts.tokens = counts.bytes;
        self.is_something(&counts)?;
        Ok(counts)
    }
}

/// Where a part of a raw text lies in its file.
fn raw_range(source: &Source, division: Division, part: Part) -> Range<u64> {
    let length = source.bytes - source.mark;
    let cut = match division {
        Division::All(Part::Train) => length,
        Division::All(Part::Validation) => 0,
        Division::Share(share) => length - (length as f64 * share).round() as u64,
    };
    let own = if part == Part::Train { 0..cut } else { cut..length };
    own.start + source.mark..own.end + source.mark
}
