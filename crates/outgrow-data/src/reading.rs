//! What the data of a sweep means: which files are read, how, and what comes of it.

use std::{
    collections::{HashMap, HashSet},
    fs::File,
    io::{Read, Seek, SeekFrom},
    ops::Range,
    path::Path,
    time::Instant,
};

use outgrow_core::sweep::DataSpec;
use rayon::prelude::*;

use crate::{
    corpus::built_in,
    documents::{Division, Part, Piece, Reader, Skipped, TakePiece, short},
    error::{CorpusError, read_error},
    files::{Finder, LeftOut, Source, by_kind},
    kind::{Format, Kind, Packing},
    listener::Listener,
    prepare,
    summary::{Counts, Summary},
    tokenizer::Tokenizer,
    tokens::Encoding,
};

/// Changes whenever other tokens would be made of the same files.
const FORMAT: &str = "outgrow-tokens-2";
/// In text without a tokenizer, a document ends with this byte.
const ZERO_BYTE: u32 = 0;
/// Text that is tokenized at a time, on all cores.
const BATCH_BYTES: usize = 8 << 20;

/// How much [`survey`] is to look at.
#[derive(Clone, Copy, Default)]
pub struct Survey<'a> {
    /// Where text may have been prepared before, which is not read again then.
    pub cache: Option<&'a Path>,
    /// Turn all tokens into text again, not those of samples alone.
    pub round_trip: bool,
}

/// What the data of a sweep is: its files are read through, as [`crate::Corpus::open`] reads them.
///
/// # Errors
/// As [`crate::Corpus::open`], but not if the text is too short.
pub fn survey(
    spec: &DataSpec,
    how: Survey,
    listener: &dyn Listener,
) -> Result<Summary, CorpusError> {
    if let Some(name) = &spec.corpus {
        return built_in(name).map(|corpus| corpus.built_in_summary(name));
    }
    let reading = Reading::of(spec)?;
    let digest = reading.digest(listener)?;
    let known = || Some(prepare::head_of(how.cache?, &digest)?.counts);
    let (counts, seconds) = match reading.is_raw() {
        true => (reading.raw_counts()?, 0.0),
        false => match known().filter(|_| !how.round_trip) {
            Some(counts) => (counts, 0.0),
            None => reading.each_token(how.round_trip, listener, &mut |_, _| Ok(()))?,
        },
    };
    Ok(reading.summary(digest, counts, seconds))
}

/// Hands over each text of a sweep's files in turn: documents, or pieces of them.
///
/// # Errors
/// If a file is damaged or no text, or `take` fails.
pub fn each_text(
    spec: &DataSpec,
    listener: &dyn Listener,
    take: &mut dyn FnMut(String) -> Result<(), CorpusError>,
) -> Result<Summary, CorpusError> {
    let reading = Reading { checked: true, ..Reading::of(spec)? };
    let mut counts = Counts::default();
    listener.begin(reading.bytes());
    reading.each_piece(listener, &mut counts.skipped, &mut |piece| {
        counts.documents[piece.part as usize] += u64::from(piece.ends.is_some());
        counts.bytes[piece.part as usize] += piece.text.len() as u64;
        take(String::from_utf8(piece.text).expect("checked"))
    })?;
    Ok(reading.summary(String::new(), counts, 0.0))
}

/// The files of a sweep's data, and how they are read.
pub(crate) struct Reading<'a> {
    spec: &'a DataSpec,
    train: Vec<Source>,
    /// Files of validation text, if they are named.
    validation: Option<Vec<Source>>,
    left_out: Vec<LeftOut>,
    tokenizer: Option<Tokenizer>,
    /// The token behind each document.
    end: Option<u32>,
    checked: bool,
}

impl<'a> Reading<'a> {
    /// Finds the files and looks at each, reads the tokenizer.
    pub fn of(spec: &'a DataSpec) -> Result<Self, CorpusError> {
        let mut tokenizer =
            spec.tokenizer.as_deref().map(|path| Tokenizer::read(Path::new(path))).transpose()?;
        let end = match (&mut tokenizer, &spec.end_of_text) {
            (Some(tokenizer), Some(token)) => Some(tokenizer.end_with(token, spec.joined)?),
            (Some(_), None) => None,
            (None, _) => Some(ZERO_BYTE),
        };
        let mut finder = Finder::new(field(spec), spec.format);
        // Those first: what they have is not trained on.
        let validation =
            spec.validation_paths.as_deref().map(|paths| finder.find(paths)).transpose()?;
        let train = finder.find(spec.paths.as_deref().unwrap_or_default())?;
        Ok(Self {
            spec,
            train,
            validation,
            left_out: finder.left_out,
            checked: tokenizer.is_some(),
            tokenizer,
            end,
        })
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

    fn files(&self) -> impl Iterator<Item = (&Source, Division)> {
        let (share, named) = (self.spec.validation.unwrap_or(0.0), self.validation.is_some());
        let of_train = if named { Division::All(Part::Train) } else { Division::Share(share) };
        let validation = self
            .validation
            .iter()
            .flatten()
            .map(|source| (source, Division::All(Part::Validation)));
        validation.chain(self.train.iter().map(move |source| (source, of_train)))
    }

    fn bytes(&self) -> u64 {
        self.files().map(|(source, _)| source.bytes).sum()
    }

    pub fn summary(&self, digest: String, counts: Counts, seconds: f64) -> Summary {
        let end = match (&self.tokenizer, self.is_raw()) {
            (Some(_), _) => self.spec.end_of_text.clone(),
            (None, true) => None,
            (None, false) => Some("U+0000".into()),
        };
        Summary {
            digest,
            corpus: None,
            files: by_kind(self.train.iter()),
            validation_files: by_kind(self.validation.iter().flatten()),
            left_out: self.left_out.clone(),
            counts,
            is_bytes: self.tokenizer.is_none(),
            end_of_text: end,
            notes: self
                .tokenizer
                .as_ref()
                .map_or_else(Vec::new, |tokenizer| tokenizer.notes().to_vec()),
            seconds,
        }
    }

    /// BLAKE3 of raw training text, its length and raw validation text; of others, of the files and
    /// of what else tokens depend on.
    pub fn digest(&self, listener: &dyn Listener) -> Result<String, CorpusError> {
        listener.begin(self.bytes() * if self.is_raw() { 1 } else { 2 });
        if self.is_raw() {
            let mut hasher = blake3::Hasher::new();
            let mut hash = |bytes: &[u8]| {
                hasher.update(bytes);
                Ok(())
            };
            let bytes = self.each_raw(Part::Train, listener, &mut hash)?;
            hash(&bytes.to_le_bytes())?;
            self.each_raw(Part::Validation, listener, &mut hash)?;
            return Ok(hasher.finalize().to_hex().to_string());
        }
        let mut hasher = blake3::Hasher::new();
        let mut say = |bytes: &[u8]| {
            hasher.update(&(bytes.len() as u64).to_le_bytes()).update(bytes);
        };
        say(FORMAT.as_bytes());
        say(self.tokenizer.as_ref().map_or(&[], Tokenizer::identity));
        say(self.spec.end_of_text.as_deref().unwrap_or_default().as_bytes());
        say(field(self.spec).as_bytes());
        say(&[u8::from(self.spec.joined)]);
        for (source, division) in self.files() {
            // How it is read, and what it has; its name is nobody's business.
            say(format!("{}, {division:?}", source.kind.describe()).as_bytes());
            say(hash_of(source, listener)?.as_bytes());
        }
        Ok(hasher.finalize().to_hex().to_string())
    }

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
        Ok(counts)
    }

    /// Hands over each document of all files in turn, in pieces.
    fn each_piece(
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
            seconds: 0.0,
        };
        self.each_piece(listener, &mut skipped, &mut |piece| {
            batch.bytes += piece.text.len();
            batch.pieces.push(piece);
            if batch.bytes >= BATCH_BYTES { batch.flush(&mut counts, take) } else { Ok(()) }
        })?;
        batch.flush(&mut counts, take)?;
        Ok((Counts { skipped, ..counts }, batch.seconds))
    }

    /// The tokens of a piece, and what can be said of it alone.
    fn tokenize(&self, piece: &Piece, is_sample: bool) -> Result<Tokenized, CorpusError> {
        let Some(tokenizer) = &self.tokenizer else {
            return Ok(Tokenized {
                ids: piece.text.iter().map(|&byte| byte.into()).collect(),
                ..Tokenized::default()
            });
        };
        let text = std::str::from_utf8(&piece.text).expect("readers check it");
        let ids = tokenizer.encode_one(text)?;
        let unknown = ids.iter().filter(|&&id| Some(id) == tokenizer.unknown()).count() as u64;
        let mut tokenized = Tokenized { ids, unknown, ..Tokenized::default() };
        if is_sample {
            let again = tokenizer.decode(&tokenized.ids)?;
            tokenized.sampled = text.len() as u64;
            tokenized.lost = lost_bytes(text, &again);
            tokenized.changed = u64::from(again != text);
        }
        Ok(tokenized)
    }
}

/// What [`Reading::each_token`] hands over: encoded tokens of a part.
pub(crate) type TakeTokens<'a> = &'a mut dyn FnMut(Part, &[u8]) -> Result<(), CorpusError>;

#[derive(Default)]
struct Tokenized {
    ids: Vec<u32>,
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
                counts.ends += 1;
            }
        }
        counts.tokens[part as usize] += own.ids.len() as u64;
        take(part, &self.reading.encoding().encode(&own.ids))
    }
}

/// Finds training documents that are validation documents: those come first.
#[derive(Default)]
struct Both(HashSet<u64>);

impl Both {
    /// A document was seen; 1 if it is in both.
    fn saw(&mut self, part: Part, hash: u64) -> u64 {
        match part {
            Part::Validation => {
                self.0.insert(hash);
                0
            }
            Part::Train => u64::from(self.0.contains(&hash)),
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

/// What a file has, without the mark of UTF-8, as it lies on the disk.
fn hash_of(source: &Source, listener: &dyn Listener) -> Result<blake3::Hash, CorpusError> {
    let failed = read_error(&source.path);
    let mut hasher = blake3::Hasher::new();
    if source.bytes >= MAPPED {
        hasher.update_mmap_rayon(&source.path).map_err(failed)?;
    } else {
        let file = File::open(&source.path).map_err(&failed)?;
        hasher.update_reader(file).map_err(failed)?;
    }
    listener.read(source.bytes);
    Ok(hasher.finalize())
}

/// From so many bytes on a file is hashed on all cores.
const MAPPED: u64 = 1 << 20;

fn field(spec: &DataSpec) -> &str {
    spec.field.as_deref().unwrap_or("text")
}
