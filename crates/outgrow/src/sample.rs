//! Text from a model.

use std::path::{Path, PathBuf};

use outgrow_core::Architecture;
use outgrow_data::{CorpusError, Tokenizer};
use outgrow_train::{Checkpoint, Device, Sampling, sample};

use crate::{
    devices::one_device,
    error::Error,
    models::{Tokens, tell_notes},
    workspace::Workspace,
};

/// What is asked of a model.
#[derive(Clone, Debug)]
pub struct SampleOptions {
    /// The text to go on from.
    pub prompt: String,
    /// Tokens to draw.
    pub tokens: usize,
    /// How each is chosen.
    pub sampling: Sampling,
    /// A `tokenizer.json`, or a folder with one; that in the model's folder, of the model's sweep,
    /// or bytes, if none is named.
    pub tokenizer: Option<PathBuf>,
    /// Where to compute; the first device there is, if none is named.
    pub device: Option<Device>,
}

impl Workspace {
    /// Continues a text with a model, a folder or a trial's last checkpoint. `write` gets the text
    /// as it comes, the prompt before it, and says when it wants no more. A text that ends before
    /// all tokens are drawn is ended by the tokenizer's own token for it.
    ///
    /// # Errors
    /// If there is no such model, or the prompt is refused.
    pub fn sample(
        &self,
        model: &str,
        options: &SampleOptions,
        write: &mut dyn FnMut(&str) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let folder = self.model(model)?;
        let device = one_device(options.device)?;
        tell_notes(&folder)?;
        let checkpoint = Checkpoint::read(&folder, device)?;
        let architecture = checkpoint.state.architecture();
        let trial = checkpoint.progress.as_ref().map(|progress| progress.trial.as_str());
        let named = options.tokenizer.clone().or_else(|| self.tokenizer_of(&folder, trial));
        let units = Units::of(named.as_deref(), architecture)?;
        let prompt = units.encode(&options.prompt)?;
        let (seq_len, all) = (architecture.seq_len, prompt.len().saturating_add(options.tokens));
        if all > seq_len {
            tracing::info!(
                "prompt and continuation have up to {all} tokens, and this model reads {seq_len}: \
                 of what is longer it reads the last {seq_len}"
            );
        }
        write(&options.prompt)?;
        let told = units.decode(&prompt)?.len();
        let mut text = Growing { units: &units, ids: prompt.clone(), told };
        let mut failed = None;
        let end = units.end();
        let mut each = |id: i64| {
            if Some(id) == end {
                return false;
            }
            let done = text.push(id).and_then(|new| write(&new));
            failed = done.err();
            failed.is_none() && text.ids.len() < all
        };
        if options.tokens > 0 {
            sample(&checkpoint, &prompt, options.sampling, device, &mut each)
                .map_err(Error::input(model))?;
        }
        failed.map_or(Ok(()), Err)?;
        write(&text.rest()?)
    }

    /// The tokenizer in a model's folder, or of a sweep that has the trial.
    fn tokenizer_of(&self, folder: &Path, trial: Option<&str>) -> Option<PathBuf> {
        let own = folder.join("tokenizer.json");
        if own.exists() {
            return Some(own);
        }
        match self.tokens_of(trial) {
            Tokens::Of(file) => Some(file.path),
            _ => None,
        }
    }
}

/// What a model's tokens stand for.
enum Units {
    Tokens(Box<Tokenizer>),
    Bytes,
}

impl Units {
    fn of(tokenizer: Option<&Path>, architecture: &Architecture) -> Result<Self, Error> {
        match tokenizer {
            Some(path) => Ok(Self::Tokens(Box::new(Tokenizer::read(path).map_err(refused)?))),
            None if (architecture.vocab_size, architecture.n_outputs) == (256, 256) => {
                Ok(Self::Bytes)
            }
            None => Err(Error::Input(format!(
                "this model knows {} tokens, and text without a tokenizer has 256; name its \
                 tokenizer with --tokenizer",
                architecture.vocab_size
            ))),
        }
    }

    fn encode(&self, text: &str) -> Result<Vec<i64>, Error> {
        match self {
            Self::Bytes => Ok(text.bytes().map(i64::from).collect()),
            Self::Tokens(tokenizer) => {
                let ids = tokenizer.encode(&[text]).map_err(refused)?.concat();
                Ok(ids.into_iter().map(i64::from).collect())
            }
        }
    }

    /// What is not yet a letter stands as U+FFFD.
    fn decode(&self, ids: &[i64]) -> Result<String, Error> {
        match self {
            Self::Bytes => {
                let bytes: Vec<u8> = ids.iter().map(|&id| id as u8).collect();
                Ok(String::from_utf8_lossy(&bytes).into_owned())
            }
            Self::Tokens(tokenizer) => {
                let ids: Vec<u32> = ids.iter().map(|&id| id as u32).collect();
                tokenizer.decode(&ids).map_err(refused)
            }
        }
    }

    /// The token that ends a text.
    fn end(&self) -> Option<i64> {
        let Self::Tokens(tokenizer) = self else { return None };
        tokenizer.id(tokenizer.end_of_text()?).ok().map(i64::from)
    }
}

fn refused(error: CorpusError) -> Error {
    Error::Input(error.to_string())
}

/// A text that grows by tokens, of which some are parts of letters.
struct Growing<'a> {
    units: &'a Units,
    ids: Vec<i64>,
    /// Bytes of the text that were given.
    told: usize,
}

impl Growing<'_> {
    /// What is sure of the text and new with this token.
    fn push(&mut self, id: i64) -> Result<String, Error> {
        self.ids.push(id);
        let text = self.units.decode(&self.ids)?;
        // A letter that is not whole yet may still become one.
        let sure = text.trim_end_matches(char::REPLACEMENT_CHARACTER).len();
        let new = text.get(self.told..sure).unwrap_or_default().to_owned();
        self.told = self.told.max(sure);
        Ok(new)
    }

    /// What is left at the end.
    fn rest(&self) -> Result<String, Error> {
        let text = self.units.decode(&self.ids)?;
        Ok(text.get(self.told..).unwrap_or_default().to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_come_whole() {
        let mut growing = Growing { units: &Units::Bytes, ids: vec![], told: 0 };
        let bytes = "aé→\u{1F980}z".bytes().chain([0xff, b'b', 0xf0]).map(i64::from);
        let pieces: Vec<String> = bytes.map(|byte| growing.push(byte).expect("text")).collect();
        let expected =
            ["a", "", "é", "", "", "→", "", "", "", "\u{1F980}", "z", "", "\u{fffd}b", ""];
        assert_eq!(pieces, expected);
        assert_eq!(growing.rest().expect("text"), "\u{fffd}");
    }
}
