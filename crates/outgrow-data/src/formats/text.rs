//! Plain text, in pieces that a tokenizer takes at a time.

use std::{io::BufRead, path::Path};

use crate::error::{CorpusError, read_error};

/// A text is tokenized in pieces of about this size.
const PIECE_BYTES: usize = if cfg!(test) { 48 } else { 1 << 20 };
/// Where no line ends, a piece ends behind a word at the latest here.
const MOST_BYTES: usize = 4 * PIECE_BYTES;

/// Where a piece of a text may end, so that a tokenizer sees the same words: behind a line that
/// another word follows; in a text without lines behind a word, and in one without words behind a
/// character. None if the text is short enough as it is.
fn end_of_piece(text: &[u8]) -> Option<usize> {
    let line = |at: &usize| {
        let at = *at;
        text[at - 1] == b'\n'
            && !text[at - 2].is_ascii_whitespace()
            && !text[at].is_ascii_whitespace()
    };
    (PIECE_BYTES..text.len().min(MOST_BYTES)).find(line).or_else(|| {
        let word =
            |at: &usize| text[*at].is_ascii_whitespace() && !text[*at - 1].is_ascii_whitespace();
        let most = (text.len() > MOST_BYTES).then_some(MOST_BYTES)?;
        Some((PIECE_BYTES..most).rev().find(word).unwrap_or_else(|| whole_character(text, most)))
    })
}

/// The last place at or before `at` that is not within a character.
fn whole_character(text: &[u8], at: usize) -> usize {
    let begins = |at: &usize| text.get(*at).is_none_or(|&byte| byte & 0xC0 != 0x80);
    // A character has four bytes at most: more are no text, and cut anywhere.
    (at.saturating_sub(3)..=at).rev().find(begins).unwrap_or(at)
}

/// Where the last whole character of a text ends, before which byte `next` stands.
fn end_of_character(text: &[u8], next: u8) -> usize {
    whole_character(&[text, &[next]].concat(), text.len())
}

/// A text in pieces.
pub(crate) fn pieces(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let (piece, left) = rest.split_at(end_of_piece(rest).unwrap_or(rest.len()));
        rest = left;
        (!piece.is_empty()).then_some(piece)
    })
}

/// What [`Text::read`] hands over: a piece, whether it is of the second part, and whether the part
/// ends with it.
pub(crate) type TakePiece<'a> = &'a mut dyn FnMut(&[u8], bool, bool) -> Result<(), CorpusError>;

/// A text that is read once, from its beginning, in pieces, of which only the one at hand is in
/// memory.
pub(crate) struct Text<'a> {
    pub path: &'a Path,
    /// Whether it must be UTF-8 without U+0000: what a tokenizer reads. Otherwise it is any bytes.
    pub checked: bool,
}

impl Text<'_> {
    /// Hands over its pieces. The second part begins at byte `cut` or a little before: behind a
    /// line, or where there is none, behind a character.
    pub fn read(
        &self,
        mut reader: impl BufRead,
        cut: u64,
        take: TakePiece,
    ) -> Result<(), CorpusError> {
        let mut at = At { path: self.path, checked: self.checked, byte: 0, line: 1, take };
        let rest = self.part(&mut reader, vec![], Some(cut), &mut at)?;
        self.part(&mut reader, rest, None, &mut at).map(|_| ())
    }

    /// Reads up to `cut`, or to the end. Gives what belongs to the next part already.
    fn part(
        &self,
        reader: &mut impl BufRead,
        mut text: Vec<u8>,
        cut: Option<u64>,
        at: &mut At,
    ) -> Result<Vec<u8>, CorpusError> {
        let is_second = cut.is_none();
        // The last piece waits: only when the part is read it is known to be that.
        let (mut read, mut last) = (0, None::<Vec<u8>>);
        loop {
            let left = cut.map_or(u64::MAX, |cut| cut - read);
            let bytes = reader.fill_buf().map_err(read_error(self.path))?;
            let n = (bytes.len() as u64).min(left) as usize;
            text.extend_from_slice(&bytes[..n]);
            reader.consume(n);
            read += n as u64;
            if n == 0 {
                break;
            }
            while let Some(end) = end_of_piece(&text) {
                let rest = text.split_off(end);
                let piece = std::mem::replace(&mut text, rest);
                last.replace(piece).map_or(Ok(()), |piece| at.take(&piece, is_second, false))?;
            }
        }
        let next = reader.fill_buf().map_err(read_error(self.path))?.first().copied();
        let rest = match next.filter(|_| !is_second) {
            None => vec![],
            Some(next) => {
                let line = text.iter().rposition(|&byte| byte == b'\n').map(|at| at + 1);
                // At a line's beginning already, unless nothing was before.
                let is_line = last.as_ref().is_some_and(|piece| piece.ends_with(b"\n"));
                let whole = || if is_line { 0 } else { end_of_character(&text, next) };
                text.split_off(line.unwrap_or_else(whole))
            }
        };
        if let Some(piece) = last {
            at.take(&piece, is_second, text.is_empty())?;
        }
        if !text.is_empty() {
            at.take(&text, is_second, true)?;
        }
        Ok(rest)
    }
}

/// Where a reader of text stands.
struct At<'a> {
    path: &'a Path,
    checked: bool,
    byte: u64,
    line: u64,
    take: TakePiece<'a>,
}

impl At<'_> {
    fn take(&mut self, piece: &[u8], is_second: bool, ends: bool) -> Result<(), CorpusError> {
        if self.checked {
            self.check(piece)?;
        }
        (self.take)(piece, is_second, ends)?;
        self.byte += piece.len() as u64;
        self.line += newlines(piece);
        Ok(())
    }

    fn check(&self, piece: &[u8]) -> Result<(), CorpusError> {
        let invalid =
            std::str::from_utf8(piece).err().map(|error| (error.valid_up_to(), "is no UTF-8"));
        let nul =
            piece.iter().position(|&byte| byte == 0).map(|at| (at, "is NUL, which no text has"));
        let Some((at, what)) = invalid.into_iter().chain(nul).min() else { return Ok(()) };
        let (byte, line) = (self.byte + at as u64, self.line + newlines(&piece[..at]));
        Err(CorpusError::Document {
            place: format!("{}, line {line}", self.path.display()),
            why: format!(
                "byte {byte} {what}; write it as UTF-8 text, or name files with text in them"
            ),
        })
    }
}

fn newlines(text: &[u8]) -> u64 {
    text.iter().filter(|&&byte| byte == b'\n').count() as u64
}

#[cfg(test)]
mod tests {
    use std::io::BufReader;

    use proptest::prelude::*;

    use super::*;

    fn read(text: &[u8], buffer: usize, cut: u64) -> [Vec<(Vec<u8>, bool)>; 2] {
        let mut parts = [vec![], vec![]];
        let reader = BufReader::with_capacity(buffer, text);
        let mut take = |piece: &[u8], second: bool, ends: bool| {
            parts[usize::from(second)].push((piece.to_vec(), ends));
            Ok(())
        };
        Text { path: Path::new("x"), checked: true }.read(reader, cut, &mut take).expect("text");
        parts
    }

    fn joined(part: &[(Vec<u8>, bool)]) -> Vec<u8> {
        part.iter().flat_map(|(piece, _)| piece.clone()).collect()
    }

    proptest! {
        /// No byte is lost or moved, pieces are whole characters and of bounded size, and the cut
        /// stands behind the last line before it.
        #[test]
        fn texts_are_cut_where_they_should_be(text in "([a-z é🙂]{0,30}[\n \r]?){0,40}", buffer in 1..70usize, share in 0.0..=1.0f64) {
            let bytes = text.as_bytes();
            let cut = (bytes.len() as f64 * share) as u64;
            let parts = read(bytes, buffer, cut);
            let [train, validation] = [joined(&parts[0]), joined(&parts[1])];
            prop_assert_eq!([&train[..], &validation[..]].concat(), bytes);
            prop_assert!(train.len() as u64 <= cut);
            for part in &parts {
                prop_assert!(part.iter().all(|(piece, _)| std::str::from_utf8(piece).is_ok() && piece.len() <= MOST_BYTES + 70));
                let ends: Vec<bool> = part.iter().map(|(_, ends)| *ends).collect();
                prop_assert_eq!(ends.iter().filter(|ends| **ends).count(), usize::from(!part.is_empty()));
                prop_assert!(ends.is_empty() || ends[ends.len() - 1]);
            }
            let line = bytes[..cut as usize].iter().rposition(|&byte| byte == b'\n').map(|at| at + 1);
            if let (Some(line), true) = (line, (cut as usize) < bytes.len()) {
                // Behind that line, or, where a long one was cut behind a word already, behind
                // that.
                prop_assert!(train.len() >= line);
                let forced = |(piece, ends): &(Vec<u8>, bool)| !ends && !piece.ends_with(b"\n");
                prop_assert!(train.len() == line || parts[0].iter().any(forced));
            }
            // However the reader's buffers end.
            prop_assert_eq!(&read(bytes, 4096, cut), &parts);
            // What is in memory falls into the same pieces.
            let whole: Vec<Vec<u8>> = read(bytes, buffer, u64::MAX)[0].iter().map(|(piece, _)| piece.clone()).collect();
            prop_assert_eq!(pieces(bytes).map(<[u8]>::to_vec).collect::<Vec<_>>(), whole);
        }
    }

    #[test]
    fn what_is_no_text_is_named_with_its_place() {
        let text = [b"line\n".repeat(40), b"bad: \xff\n".to_vec()].concat();
        let refused = |text: &[u8]| {
            let mut take = |_: &[u8], _, _| Ok(());
            let read = Text { path: Path::new("x.txt"), checked: true }.read(text, 7, &mut take);
            read.expect_err("no text").to_string()
        };
        assert!(
            refused(&text).starts_with("x.txt, line 41: byte 205 is no UTF-8"),
            "{}",
            refused(&text)
        );
        assert!(refused(b"a\nb\0c").starts_with("x.txt, line 2: byte 3 is NUL"));
        assert!(refused(b"a\xc3").contains("byte 1 is no UTF-8"));
    }
}
