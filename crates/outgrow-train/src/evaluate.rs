//! What a checkpoint says: logits for given token ids, and its loss on text.

use outgrow_core::Architecture;
use tch::{Kind, Tensor, no_grad};
use thiserror::Error;

use crate::{
    checkpoint::Checkpoint,
    device::Device,
    model::{Model, cross_entropy},
};

/// Why a model can't be evaluated on something.
#[derive(Debug, Error, PartialEq)]
pub enum EvalError {
    /// Rows of token ids must be of one length.
    #[error("row {row} has {found} token ids, but row 0 has {expected}; all rows must be equally long")]
    Ragged {
        /// Which row.
        row: usize,
        /// Its length.
        found: usize,
        /// That of the first.
        expected: usize,
    },
    /// More or fewer positions than the model reads.
    #[error("rows have {0} token ids; this model reads 1 to {1}")]
    Length(usize, usize),
    /// A token id that the model does not know.
    #[error("row {row} has token id {id}; this model knows 0 to {last}")]
    Token {
        /// In which row.
        row: usize,
        /// What was found.
        id: i64,
        /// The last one known.
        last: usize,
    },
    /// The text is too short.
    #[error("the text has {0} tokens; this model needs at least {1}")]
    Short(usize, usize),
    /// The text has a token id that the model does not know.
    #[error("the text has token id {0}; this model knows and predicts 0 to {1}: is it the model's tokenizer?")]
    Unknown(i64, usize),
}

/// The loss on a text.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TextLoss {
    /// Mean cross-entropy, nats per token.
    pub loss: f64,
    /// Tokens predicted.
    pub tokens: u64,
}

/// Logits, row by row, position by position, of token ids (rows of equal length up to `seq_len`), in the number type of
/// the checkpoint's weights.
///
/// # Errors
/// If the rows differ in length, are too long, or hold what is no token id.
pub fn logits(checkpoint: &Checkpoint, rows: &[Vec<i64>], device: Device) -> Result<Vec<Vec<Vec<f64>>>, EvalError> {
    let architecture = checkpoint.state.architecture();
    check_rows(rows, architecture)?;
    let flat: Vec<i64> = rows.iter().flatten().copied().collect();
    let tokens = Tensor::from_slice(&flat).view([rows.len() as i64, -1]).to_device(device.tch());
    let model = Model::new(architecture, checkpoint.state.weights(checkpoint.state.master()));
    let logits = no_grad(|| model.logits(&tokens)).to_kind(Kind::Double).to_device(tch::Device::Cpu).contiguous();
    let values: Vec<f64> = Vec::try_from(logits.flatten(0, -1)).expect("logits are float64 values");
    let per_row = values.len() / rows.len();
    let row = |row: &[f64]| row.chunks(architecture.n_outputs).map(<[f64]>::to_vec).collect();
    Ok(values.chunks(per_row).map(row).collect())
}

/// Refuses a text that is shorter than one window of so many tokens, or has tokens that the model does not know.
pub(crate) fn check_text(architecture: &Architecture, text: &[i64], window: usize) -> Result<(), EvalError> {
    let known = architecture.vocab_size.min(architecture.n_outputs) as i64;
    match text.iter().find(|id| !(0..known).contains(id)) {
        Some(&id) => Err(EvalError::Unknown(id, known as usize - 1)),
        None if text.len() < window => Err(EvalError::Short(text.len(), window)),
        None => Ok(()),
    }
}

fn check_rows(rows: &[Vec<i64>], architecture: &Architecture) -> Result<(), EvalError> {
    let expected = rows.first().map_or(0, Vec::len);
    if !(1..=architecture.seq_len).contains(&expected) {
        return Err(EvalError::Length(expected, architecture.seq_len));
    }
    let known = 0..architecture.vocab_size as i64;
    for (row, ids) in rows.iter().enumerate() {
        if ids.len() != expected {
            return Err(EvalError::Ragged { row, found: ids.len(), expected });
        }
        if let Some(&id) = ids.iter().find(|id| !known.contains(id)) {
            return Err(EvalError::Token { row, id, last: architecture.vocab_size - 1 });
        }
    }
    Ok(())
}

/// Windows of logits that are computed at a time take about so many numbers at most.
const LOGITS: usize = 1 << 27;

/// Mean cross-entropy on a text's token ids, cut into windows of `seq_len` (or of all of a shorter text) one after another; what is left at its
/// end is not counted.
///
/// # Errors
/// If the text is shorter than two tokens, or has tokens that the model does not know.
pub fn text_loss(checkpoint: &Checkpoint, text: &[i64], device: Device) -> Result<TextLoss, EvalError> {
    let architecture = checkpoint.state.architecture();
    check_text(architecture, text, 2)?;
    let seq_len = architecture.seq_len.min(text.len() - 1);
    let windows: Vec<&[i64]> = text.windows(seq_len + 1).step_by(seq_len).collect();
    let model = Model::new(architecture, checkpoint.state.weights(checkpoint.state.master()));
    let together = (LOGITS / (seq_len * architecture.n_outputs)).clamp(1, 16);
    let mut sum = 0.0;
    for chunk in windows.chunks(together) {
        let ids = Tensor::from_slice(&chunk.concat()).view([chunk.len() as i64, -1]).to_device(device.tch());
        let (inputs, targets) = (ids.narrow(1, 0, seq_len as i64), ids.narrow(1, 1, seq_len as i64));
        let loss = no_grad(|| cross_entropy(&model.logits(&inputs.contiguous()), &targets.contiguous()));
        sum += loss.double_value(&[]) * chunk.len() as f64;
    }
    Ok(TextLoss { loss: sum / windows.len() as f64, tokens: (windows.len() * seq_len) as u64 })
}
