//! The digest of a text: part of every trial's identity.

use super::{
    shared::{field, hash_of},
    sources::Reading,
};
use crate::{documents::Part, error::CorpusError, listener::Listener, tokenizer::Tokenizer};

/// Changes whenever other tokens would be made of the same files.
const FORMAT: &str = "outgrow-tokens-2";

impl Reading<'_> {
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
}
