//! Text to tokens, a batch at a time on all cores.

use std::{collections::HashMap, time::Instant};

use rayon::prelude::*;

use super::{shared::Both, sources::Reading};
use crate::{
    documents::{Part, Piece},
    error::CorpusError,
    formats::Skipped,
    listener::Listener,
    summary::Counts,
    tokenizer::Counted,
};

/// Text that is tokenized at a time, on all cores.
const BATCH_BYTES: usize = 8 << 20;

impl Reading<'_> {
    /// Turns all documents into tokens and hands those over, encoded, in turn. Gives what was
    /// counted, and the seconds that tokenizing took.
    pub fn each_token(
        &self,
        round_trip: bool,
        listener: &dyn Listener,
        take: TakeTokens,
    ) -> Result<(Counts, f64), CorpusError> {
        let mut counts = Counts::default();
        let mut skipped = Skipped::default();
        let mut batch = Batch {
            reading: self,
            round_trip,
            pieces: vec![],
            bytes: 0,
            seen: 0,
            both: Both::default(),
            tokenless: 0,
            seconds: 0.0,
        };
        self.each_piece(listener, &mut skipped, &mut |piece| {
            batch.bytes += piece.text.len();
            batch.pieces.push(piece);
            if batch.bytes >= BATCH_BYTES { batch.flush(&mut counts, take) } else { Ok(()) }
        })?;
        batch.flush(&mut counts, take)?;
        let counts = Counts { skipped, ..counts };
        self.is_something(&counts)?;
        Ok((counts, batch.seconds))
    }

    /// The tokens of a piece, and what can be said of it alone.
    fn tokenize(&self, piece: &Piece, is_sample: bool) -> Result<Tokenized, CorpusError> {
        let Some(tokenizer) = &self.tokenizer else {
            let ids: Vec<u32> = piece.text.iter().map(|&byte| byte.into()).collect();
            let bytes = ids.iter().map(|id| u32::from(Some(*id) != self.end)).collect();
            return Ok(Tokenized { ids, bytes, ..Tokenized::default() });
        };
        let text = std::str::from_utf8(&piece.text).expect("readers check it");
        // Of training text nobody asks how many bytes a token has.
        let Counted { ids, bytes } = match piece.part {
            Part::Validation => tokenizer.encode_counted(text)?,
            Part::Train => Counted { ids: tokenizer.encode_one(text)?, bytes: vec![] },
        };
        let unknown = ids.iter().filter(|&&id| Some(id) == tokenizer.unknown()).count() as u64;
        let mut tokenized = Tokenized { ids, bytes, unknown, ..Tokenized::default() };
        if is_sample {
            let again = tokenizer.decode(&tokenized.ids)?;
            tokenized.sampled = text.len() as u64;
            tokenized.lost = lost_bytes(text, &again);
            tokenized.changed = u64::from(again != text);
        }
        Ok(tokenized)
    }
}

/// What [`Reading::each_token`] hands over: encoded tokens of a part; of validation text also how
/// many bytes of text each token stands for.
pub(crate) type TakeTokens<'a> = &'a mut dyn FnMut(Part, &[u8], &[u32]) -> Result<(), CorpusError>;

#[derive(Default)]
struct Tokenized {
    ids: Vec<u32>,
    /// Of each token; of validation text alone.
    bytes: Vec<u32>,
    unknown: u64,
    sampled: u64,
    lost: u64,
    changed: u64,
}

/// Pieces that wait for their turn.
struct Batch<'a> {
    reading: &'a Reading<'a>,
    /// Whether every piece is turned into text again, not samples alone.
    round_trip: bool,
    pieces: Vec<Piece>,
    bytes: usize,
    /// Pieces before these.
    seen: u64,
    both: Both,
    /// Bytes of validation text that gave no token, for the next one.
    tokenless: u32,
    seconds: f64,
}

/// One piece in so many is turned into text again, and the first ones.
const SAMPLE_ONE_IN: u64 = 64;
const FIRST_SAMPLES: u64 = 16;

impl Batch<'_> {
    fn flush(&mut self, counts: &mut Counts, take: TakeTokens) -> Result<(), CorpusError> {
        let pieces = std::mem::take(&mut self.pieces);
        let (seen, began) = (self.seen, Instant::now());
        let is_sample = |number: u64| {
            self.round_trip || number < FIRST_SAMPLES || number.is_multiple_of(SAMPLE_ONE_IN)
        };
        let tokenized = pieces.par_iter().enumerate();
        let tokenized =
            tokenized.map(|(n, piece)| self.reading.tokenize(piece, is_sample(seen + n as u64)));
        let tokenized: Vec<Tokenized> = tokenized.collect::<Result<_, _>>()?;
        self.seconds += began.elapsed().as_secs_f64();
        self.seen += pieces.len() as u64;
        self.bytes = 0;
        pieces
            .iter()
            .zip(tokenized)
            .try_for_each(|(piece, tokenized)| self.add(piece, tokenized, counts, take))
    }

    fn add(
        &mut self,
        piece: &Piece,
        mut own: Tokenized,
        counts: &mut Counts,
        take: TakeTokens,
    ) -> Result<(), CorpusError> {
        let (end, part, joined) = (self.reading.end, piece.part, self.reading.spec.joined);
        let ends = end.map_or(0, |end| own.ids.iter().filter(|&&id| id == end).count() as u64);
        counts.bytes[part as usize] += piece.text.len() as u64;
        counts.unknown += own.unknown;
        counts.sampled += own.sampled;
        counts.lost += own.lost;
        counts.changed += own.changed;
        if part == Part::Validation {
            self.count_bytes(piece, &mut own);
        }
        if joined {
            counts.documents[part as usize] += ends;
        } else {
            counts.ends_in_text += ends;
        }
        if let Some(hash) = piece.ends {
            let has_ended = joined && end.is_some() && own.ids.last().copied() == end;
            counts.documents[part as usize] += u64::from(!has_ended);
            counts.in_both += self.both.saw(part, hash);
            if let Some(end) = end.filter(|_| !has_ended) {
                own.ids.push(end);
                own.bytes.push(0);
                counts.ends += 1;
            }
        }
        counts.tokens[part as usize] += own.ids.len() as u64;
        let bytes = if part == Part::Validation { &own.bytes[..] } else { &[] };
        take(part, &self.reading.encoding().encode(&own.ids), bytes)
    }

    /// A piece that gave no token counts with the next one that does.
    fn count_bytes(&mut self, piece: &Piece, own: &mut Tokenized) {
        match own.bytes.first_mut() {
            Some(first) => *first = first.saturating_add(std::mem::take(&mut self.tokenless)),
            None => self.tokenless = self.tokenless.saturating_add(piece.text.len() as u32),
        }
    }
}

/// Bytes of the characters of a text that another one has fewer of.
fn lost_bytes(text: &str, again: &str) -> u64 {
    if text == again {
        return 0;
    }
    let mut left: HashMap<char, i64> = HashMap::new();
    text.chars().for_each(|c| *left.entry(c).or_default() += 1);
    again.chars().for_each(|c| *left.entry(c).or_default() -= 1);
    left.into_iter().map(|(c, n)| c.len_utf8() as u64 * n.max(0) as u64).sum()
}
