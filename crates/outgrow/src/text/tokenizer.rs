//! Tokenizers, made and tried.

use std::{
    io::Write,
    panic::resume_unwind,
    path::{Path, PathBuf},
    sync::mpsc::sync_channel,
    thread,
};

use outgrow_core::sweep::DataSpec;
use outgrow_data::{
    CorpusError, Listener, Summary, Survey, Tokenizer, check_vocab_size, each_text, publish,
    survey, train_bpe,
};
use serde::Serialize;

use super::description::describe_files;
use crate::{error::Error, readable::count};

/// Pieces of text that wait for the trainer.
const WAITING: usize = 16;

/// A byte-level BPE tokenizer that was trained.
pub struct TrainedTokenizer {
    /// How many tokens it knows.
    pub vocab_size: usize,
    /// The text that it was trained on.
    pub text: Summary,
}

/// Trains a byte-level BPE tokenizer of `vocab_size` tokens on a text and writes its
/// `tokenizer.json` to a file that does not exist yet. Files and folders of `own` are not read.
///
/// # Errors
/// If the text is refused or too short for so many tokens, or the file exists or can't be written.
pub fn train_tokenizer(
    spec: &DataSpec,
    vocab_size: usize,
    to: &Path,
    own: &[PathBuf],
    listener: &dyn Listener,
) -> Result<TrainedTokenizer, Error> {
    check_vocab_size(vocab_size).map_err(Error::input("--vocab-size"))?;
    if to.exists() {
        let to = to.display();
        return Err(Error::Input(format!("{to} exists already; name a file that does not")));
    }
    let (send, receive) = sync_channel(WAITING);
    let (read, trained) = thread::scope(|scope| {
        let trainer = scope.spawn(move || train_bpe(receive.into_iter(), vocab_size));
        let read = each_text(spec, own, listener, &mut |text| {
            // The trainer says itself why it wants no more.
            let _ = send.send(text);
            Ok(())
        });
        drop(send);
        (read, trainer.join().unwrap_or_else(|panic| resume_unwind(panic)))
    });
    let text = read.map_err(refused)?;
    let json = trained.map_err(Error::input("--vocab-size"))?;
    let failed = Error::environment(format!("cannot write {}", to.display()));
    publish::file(to, |file| file.write_all(json.as_bytes())).map_err(failed)?;
    let known = Tokenizer::read(to).map_err(|error| Error::Environment(error.to_string()))?;
    Ok(TrainedTokenizer { vocab_size: known.vocab_size(), text })
}

/// Documents, bytes and tokens of a text. As JSON: with the summary of the text as `text`.
#[derive(Clone, Debug, Serialize)]
pub struct TextCount {
    /// Of training text.
    pub documents: u64,
    /// Of training text.
    pub bytes: u64,
    /// Of training text, without those that end documents.
    pub tokens: u64,
    /// Tokens that end documents.
    pub end_tokens: u64,
    /// Spent tokenizing.
    pub seconds: f64,
    /// Tokens that the tokenizer knows; 256 for bytes.
    pub vocab_size: usize,
    /// Pieces of documents that did not come back as they were; none if that was not tried.
    pub changed: Option<u64>,
    /// Share of tokens that stand for what the tokenizer does not know.
    pub unknown_share: f64,
    /// Share of bytes that do not come back, as seen in samples.
    pub lost_share: f64,
    /// What was read.
    pub text: Summary,
}

impl TextCount {
    /// Tokenized; none of what took no time.
    pub fn bytes_per_second(&self) -> Option<f64> {
        (self.seconds >= 0.001).then(|| self.bytes as f64 / self.seconds)
    }

    /// All of it, for people: a line, and one for each kind of files.
    pub fn describe(&self) -> String {
        let speed = self.bytes_per_second();
        format!(
            "{} documents, {}B, {} tokens of {}: {:.2} bytes per token{}\n{}",
            self.documents,
            count(self.bytes as f64),
            count(self.tokens as f64),
            self.vocab_size,
            self.bytes_per_token(),
            speed.map_or_else(String::new, |speed| format!(", {}B/s", count(speed))),
            describe_files(&self.text)
        )
    }

    /// Of training text.
    pub fn bytes_per_token(&self) -> f64 {
        self.bytes as f64 / self.tokens.max(1) as f64
    }
}

/// Counts a text by the tokenizer that its spec names, byte by byte without one; the token that
/// ends documents is the tokenizer's own where the spec names none. With `round_trip` all documents
/// are turned into text again. Files and folders of `own` are not read.
///
/// # Errors
/// If the text or the tokenizer is refused.
pub fn count_text(
    mut spec: DataSpec,
    round_trip: bool,
    own: &[PathBuf],
    listener: &dyn Listener,
) -> Result<TextCount, Error> {
    let mut vocab_size = 256;
    if let Some(path) = &spec.tokenizer {
        let tokenizer = Tokenizer::read(Path::new(path)).map_err(refused)?;
        vocab_size = tokenizer.vocab_size();
        spec.end_of_text = spec.end_of_text.or_else(|| tokenizer.end_of_text().map(str::to_owned));
    }
    let how = Survey { cache: None, own, round_trip };
    let text = survey(&spec, how, listener).map_err(refused)?;
    let counts = &text.counts;
    Ok(TextCount {
        documents: counts.documents[0],
        bytes: counts.bytes[0],
        // What stands behind documents is no text.
        tokens: counts.tokens[0] - counts.ends,
        end_tokens: counts.ends,
        seconds: text.seconds,
        vocab_size,
        changed: round_trip.then_some(counts.changed),
        unknown_share: text.unknown_share(),
        lost_share: text.lost_share(),
        text,
    })
}

fn refused(error: CorpusError) -> Error {
    Error::Input(error.to_string())
}
