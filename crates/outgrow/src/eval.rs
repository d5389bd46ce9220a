//! What a checkpoint says: its loss on a text, its logits for token ids.

use std::path::Path;

use outgrow_core::rows::Evaluated;
use outgrow_train::{Checkpoint, Device, EvalError, TextLoss, logits, text_loss};
use serde::{Deserialize, Serialize};

use crate::{
    devices::one_device,
    error::Error,
    models::tell_notes,
    text::{Text, read_text, text_ids},
};

/// A checkpoint, or a model of transformers, to be asked.
pub struct Evaluation<'a> {
    /// Its folder.
    pub checkpoint: &'a Path,
    /// Where to compute; the first device there is, if none is named.
    pub device: Option<Device>,
}

/// A loss on a text.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TextEvaluation {
    /// Mean cross-entropy, nats per token.
    pub loss: f64,
    /// The same in bits, over the bytes that the predicted tokens stand for.
    pub bits_per_byte: f64,
    /// Tokens that were predicted.
    pub tokens: u64,
    /// Bytes of text that these stand for.
    pub bytes: u64,
    /// Tokens that were read at once.
    pub window: usize,
    /// Tokens of the text.
    pub text_tokens: usize,
    /// Bytes of the text.
    pub text_bytes: usize,
}

impl Evaluation<'_> {
    fn read(&self, tell: &dyn Fn(String)) -> Result<(Checkpoint, Device), Error> {
        let device = one_device(self.device)?;
        tell_notes(self.checkpoint)?;
        tell(format!("reading {}", self.checkpoint.display()));
        Ok((Checkpoint::read(self.checkpoint, device)?, device))
    }

    /// The loss on a file of text, cut into windows of so many tokens: as many as the model reads,
    /// but at most 1024, if none are given. The tokenizer is that in the model's folder if none is
    /// named. `tell` hears what is being done.
    ///
    /// # Errors
    /// If the checkpoint, the text or the window is refused.
    pub fn loss(
        &self,
        text: &Path,
        tokenizer: Option<&Path>,
        window: Option<usize>,
        tell: &dyn Fn(String),
    ) -> Result<TextEvaluation, Error> {
        let (checkpoint, device) = self.read(tell)?;
        tell(format!("reading {}", text.display()));
        let architecture = checkpoint.state.architecture();
        let Text { ids, bytes, length } = text_ids(text, tokenizer, self.checkpoint, architecture)?;
        tell(format!("computing the loss on {} tokens", ids.len()));
        let found = text_loss(&checkpoint, &ids, window, device);
        let TextLoss { loss, tokens, window } = found.map_err(Error::input(text.display()))?;
        // Windows follow each other: all but the first token are predicted, up to the last window.
        let predicted = bytes.iter().skip(1).take(tokens as usize);
        let bytes = predicted.map(|&bytes| u64::from(bytes)).sum();
        let bits = Evaluated { tokens, bytes }.bits_per_byte();
        Ok(TextEvaluation {
            loss,
            bits_per_byte: bits.map_or(f64::INFINITY, |bits| bits * loss),
            tokens,
            bytes,
            window,
            text_tokens: ids.len(),
            text_bytes: length,
        })
    }

    /// Logits for the rows of token ids in a JSON file, row by row and position by position.
    ///
    /// # Errors
    /// If the checkpoint or the file is refused.
    pub fn logits(
        &self,
        tokens: &Path,
        tell: &dyn Fn(String),
    ) -> Result<Vec<Vec<Vec<f64>>>, Error> {
        let (checkpoint, device) = self.read(tell)?;
        let named = tokens.display();
        let text = read_text(tokens)?;
        tell("computing logits".into());
        let tokens: Tokens = serde_json::from_str(&text).map_err(|_| {
            Error::Input(format!(
                "{named} must be a JSON list of rows of token ids, such as [[72, 105]]"
            ))
        })?;
        logits(&checkpoint, &tokens.rows(), device)
            .map_err(|error: EvalError| Error::Input(format!("{named}: {error}")))
    }
}

/// One row, or several, or an object that has them.
#[derive(Deserialize)]
#[serde(untagged)]
enum Tokens {
    Rows(Vec<Vec<i64>>),
    Row(Vec<i64>),
    Named { tokens: Box<Tokens> },
}

impl Tokens {
    fn rows(self) -> Vec<Vec<i64>> {
        match self {
            Tokens::Rows(rows) => rows,
            Tokens::Row(row) => vec![row],
            Tokens::Named { tokens } => tokens.rows(),
        }
    }
}
