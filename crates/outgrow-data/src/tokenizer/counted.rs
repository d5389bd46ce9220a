//! How many bytes of a text each of its tokens stands for.
//!
//! They are bytes of the text as it was given, whatever a tokenizer makes of it. Where the tokens'
//! spellings put together are the text, as those of a byte-level BPE and mostly those of
//! SentencePiece are, each counts the bytes of its own, parts of characters included. Where they
//! are not (a normalizer changed the text, or whitespace is in no token), a token reaches from the
//! end of the one before it to its own end as the tokenizer says it: what is in no token counts
//! with the next one, or at the end with the last one, and a character that several tokens share
//! counts with the first of them. So the bytes of all tokens are those of the text. The name of a
//! control token that was read as that token is no text and counts nothing.

use std::collections::HashMap;

use super::encode::Tokenizer;
use crate::{error::CorpusError, guard::guarded};

/// What SentencePiece writes for a space.
const SPACE: char = '\u{2581}';

/// Token ids, and how many bytes of the text each of them stands for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// The tokens.
    pub ids: Vec<u32>,
    /// As many numbers as there are tokens.
    pub bytes: Vec<u32>,
}

/// How a vocabulary spells bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Spelling {
    /// Each byte is a letter of its own, as of GPT-2.
    ByteLevel,
    /// A space is `▁`, a byte may be `<0x0A>`, as of SentencePiece.
    Pieces,
}

impl Tokenizer {
    /// The ids of a text, nothing added to them, and the bytes of each. A text that gives no token
    /// has none of either.
    ///
    /// # Errors
    /// If the tokenizer fails.
    pub fn encode_counted(&self, text: &str) -> Result<Counted, CorpusError> {
        let ids = self.encode_one(text)?;
        let spelled = [Spelling::ByteLevel, Spelling::Pieces]
            .into_iter()
            .find_map(|spelling| self.by_spelling(&ids, text, spelling));
        match spelled {
            Some(bytes) => Ok(Counted { ids, bytes }),
            None => self.by_offsets(text),
        }
    }

    /// The bytes of the tokens, if their spellings are the text.
    fn by_spelling(&self, ids: &[u32], text: &str, spelling: Spelling) -> Option<Vec<u32>> {
        let mut known: HashMap<u32, (Vec<u8>, bool)> = HashMap::new();
        let mut left = text.as_bytes();
        let mut bytes = Vec::with_capacity(ids.len());
        for &id in ids {
            if !known.contains_key(&id) {
                known.insert(id, self.spelled(id, spelling)?);
            }
            let (own, is_control) = &known[&id];
            // A space that is put before a text is none of it.
            let own = match own.strip_prefix(b" ") {
                Some(rest) if bytes.is_empty() && !left.starts_with(own) => rest,
                _ => own,
            };
            left = left.strip_prefix(own)?;
            bytes.push(if *is_control { 0 } else { own.len() as u32 });
        }
        (left.is_empty() && !ids.is_empty()).then_some(bytes)
    }

    /// The bytes that a token spells, and whether it is one for control.
    fn spelled(&self, id: u32, spelling: Spelling) -> Option<(Vec<u8>, bool)> {
        if let Some((name, is_control)) = self.added(id) {
            return Some((name.into_bytes(), is_control));
        }
        let token = self.inner().id_to_token(id)?;
        let bytes = match spelling {
            Spelling::ByteLevel => token.chars().map(byte_of).collect::<Option<Vec<u8>>>()?,
            Spelling::Pieces => match byte_named(&token) {
                Some(byte) => vec![byte],
                None => token.replace(SPACE, " ").into_bytes(),
            },
        };
        Some((bytes, false))
    }

    /// The ids, and the bytes from the end of each token to that of the next.
    fn by_offsets(&self, text: &str) -> Result<Counted, CorpusError> {
        let encoded =
            guarded(|| self.inner().encode(text, false)).map_err(|panic| self.failed(panic))?;
        let encoded = encoded.map_err(|error| self.failed(error.to_string()))?;
        let ids = self.within(encoded.get_ids().to_vec())?;
        let (mut reached, mut bytes) = (0, Vec::with_capacity(ids.len()));
        for (&id, &(start, end)) in ids.iter().zip(encoded.get_offsets()) {
            let end = end.clamp(reached, text.len());
            let mut own = end - reached;
            if let (Some((name, true)), Some(there)) = (self.added(id), text.get(start..end)) {
                own -= if there.contains(&name) { name.len().min(own) } else { 0 };
            }
            reached = end;
            bytes.push(own as u32);
        }
        if let Some(last) = bytes.last_mut() {
            *last += (text.len() - reached) as u32;
        }
        Ok(Counted { ids, bytes })
    }

    /// The name of a token that was added to the vocabulary, and whether it is one for control.
    fn added(&self, id: u32) -> Option<(String, bool)> {
        let token = self.inner().get_added_vocabulary().get_added_tokens_decoder().get(&id)?;
        Some((token.content.clone(), token.special))
    }
}

/// The byte that a letter of the byte-level alphabet stands for: printable letters of Latin-1 for
/// themselves, the other bytes in their order for what follows U+00FF.
fn byte_of(letter: char) -> Option<u8> {
    const OTHERS: [(u32, u32, u32); 3] =
        [(0x100, 0x120, 0x00), (0x121, 0x142, 0x7f), (0x143, 0x143, 0xad)];
    match letter as u32 {
        code @ (0x21..=0x7e | 0xa1..=0xac | 0xae..=0xff) => Some(code as u8),
        code => {
            let place = OTHERS.iter().find(|(from, to, _)| (*from..=*to).contains(&code));
            place.map(|(from, _, byte)| (code - from + byte) as u8)
        }
    }
}

/// The byte of a token such as `<0x0A>`.
fn byte_named(token: &str) -> Option<u8> {
    let digits = token.strip_prefix("<0x")?.strip_suffix('>')?;
    (digits.len() == 2).then(|| u8::from_str_radix(digits, 16).ok())?
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use tokenizers::pre_tokenizers::byte_level::ByteLevel;

    use super::*;

    #[test]
    fn every_byte_has_one_letter() {
        let bytes: BTreeSet<u8> = ByteLevel::alphabet().into_iter().filter_map(byte_of).collect();
        assert_eq!(bytes.len(), 256);
        let of = |text: &str| text.chars().map(byte_of).collect::<Vec<_>>();
        // As GPT-2 writes a space, a line feed, NUL, DEL, U+00A0's second byte and the soft hyphen.
        assert_eq!(of("ĠĊĀġłŃ"), [0x20, 0x0a, 0x00, 0x7f, 0xa0, 0xad].map(Some));
        assert_eq!(of(" ń→"), [None, None, None]);
    }

    #[test]
    fn bytes_are_named() {
        assert_eq!(byte_named("<0x0A>"), Some(10));
        assert_eq!([byte_named("<0xA>"), byte_named("<0xZZ>"), byte_named("<unk>")], [None; 3]);
    }
}
