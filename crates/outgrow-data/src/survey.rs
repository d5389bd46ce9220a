//! The text of a sweep, looked at before it is prepared.

use std::path::{Path, PathBuf};

use outgrow_core::sweep::DataSpec;

use crate::{
    corpus::built_in,
    error::CorpusError,
    listener::Listener,
    prepared,
    reading::Reading,
    summary::{Counts, Summary},
};

/// How much [`survey`] is to look at.
#[derive(Clone, Copy, Default)]
pub struct Survey<'a> {
    /// Where text may have been prepared before, which is not read again then.
    pub cache: Option<&'a Path>,
    /// Files and folders of the database at hand, which are left out and never opened.
    pub own: &'a [PathBuf],
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
    let reading = Reading::of(spec, how.own)?;
    let digest = reading.digest(listener)?;
    let known = || Some(prepared::head_of(how.cache?, &digest)?.counts);
    let (counts, seconds) = match reading.is_raw() {
        true => (reading.raw_counts()?, 0.0),
        false => match known().filter(|_| !how.round_trip) {
            Some(counts) => (counts, 0.0),
            None => reading.each_token(how.round_trip, listener, &mut |_, _, _| Ok(()))?,
        },
    };
    Ok(reading.summary(digest, counts, seconds))
}

/// Hands over each text of a sweep's files in turn: documents, or pieces of them. `own` files are
/// left out, as in [`Survey::own`].
///
/// # Errors
/// If a file is damaged or no text, or `take` fails.
pub fn each_text(
    spec: &DataSpec,
    own: &[PathBuf],
    listener: &dyn Listener,
    take: &mut dyn FnMut(String) -> Result<(), CorpusError>,
) -> Result<Summary, CorpusError> {
    let reading = Reading::of(spec, own)?.checked();
    let mut counts = Counts::default();
    listener.begin(reading.bytes());
    reading.each_piece(listener, &mut counts.skipped, &mut |piece| {
        counts.documents[piece.part as usize] += u64::from(piece.ends.is_some());
        counts.bytes[piece.part as usize] += piece.text.len() as u64;
        take(String::from_utf8(piece.text).expect("checked"))
    })?;
    reading.is_something(&counts)?;
    Ok(reading.summary(String::new(), counts, 0.0))
}
