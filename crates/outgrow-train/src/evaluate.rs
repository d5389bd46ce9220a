//! What a checkpoint says: logits for given token ids, and its loss on text.

use outgrow_core::{Architecture, LayerShape};
use tch::{Kind, Tensor, no_grad};
use thiserror::Error;

use crate::{
    checkpoint::Checkpoint,
    device::Device,
    finite::{NotFinite, check_finite},
    model::{Model, cross_entropy},
};

/// Why a model can't be evaluated on something.
#[derive(Debug, Error, PartialEq)]
pub enum EvalError {
    /// Rows of token ids must be of one length.
    #[error(
        "row {row} has {found} token ids, but row 0 has {expected}; all rows must be equally long"
    )]
    Ragged {
        /// The row, counted from 0.
        row: usize,
        /// How many tokens it has.
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
        /// The row, counted from 0.
        row: usize,
        /// The id that is outside the vocabulary.
        id: i64,
        /// The last one known.
        last: usize,
    },
    /// The text is too short.
    #[error("the text has {0} tokens; this model needs at least {1}")]
    Short(usize, usize),
    /// The rows are too long for this machine.
    #[error("rows of {length} token ids take about {:.1} GB of memory, and {:.1} GB are free; give shorter ones", *needed as f64 / 1e9, *free as f64 / 1e9)]
    Memory {
        /// Tokens of each of the rows.
        length: usize,
        /// Bytes that they take.
        needed: u64,
        /// Bytes that are free.
        free: u64,
    },
    /// A window that the model can't read.
    #[error("a window of {0} tokens; this model reads 1 to {1}")]
    Window(usize, usize),
    /// A weight is NaN or infinite.
    #[error(transparent)]
    NotFinite(#[from] NotFinite),
    /// The text has a token id that the model does not know.
    #[error(
        "the text has token id {0}; this model knows and predicts 0 to {1}: is it the model's tokenizer?"
    )]
    Unknown(i64, usize),
}

/// The loss on a text.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TextLoss {
    /// Mean cross-entropy, nats per token.
    pub loss: f64,
    /// How many tokens were predicted.
    pub tokens: u64,
    /// The longest context of a prediction, in tokens.
    pub window: usize,
}

/// Logits, row by row, position by position, of token ids (rows of equal length up to `seq_len`),
/// in the number type of the checkpoint's weights.
///
/// # Errors
/// If the rows differ in length, are too long, or hold what is no token id.
pub fn logits(
    checkpoint: &Checkpoint,
    rows: &[Vec<i64>],
    device: Device,
) -> Result<Vec<Vec<Vec<f64>>>, EvalError> {
    let architecture = checkpoint.state.architecture();
    check_rows(rows, architecture)?;
    check_finite(&checkpoint.state)?;
    let length = rows[0].len();
    check_memory(architecture, length, checkpoint.state.master(), device)?;
    let model = Model::new(architecture, checkpoint.state.weights(checkpoint.state.master()));
    let some = |rows: &[Vec<i64>]| {
        let tokens = Tensor::from_slice(&rows.concat())
            .view([rows.len() as i64, -1])
            .to_device(device.tch());
        let logits = no_grad(|| model.logits(&tokens))
            .to_kind(Kind::Double)
            .to_device(tch::Device::Cpu)
            .contiguous();
        let values: Vec<f64> =
            Vec::try_from(logits.flatten(0, -1)).expect("logits are float64 values");
        let row = |row: &[f64]| row.chunks(architecture.n_outputs).map(<[f64]>::to_vec).collect();
        values.chunks(length * architecture.n_outputs).map(row).collect::<Vec<_>>()
    };
    Ok(rows.chunks(together(architecture, length)).flat_map(some).collect())
}

/// Refuses rows whose attention does not fit.
fn check_memory(
    architecture: &Architecture,
    length: usize,
    kind: Kind,
    device: Device,
) -> Result<(), EvalError> {
    // Scores, their softmax, and what is computed from them.
    let needed = 3 * kind.elt_size_in_bytes() as u64 * widest(architecture, length) as u64;
    match device.free_bytes() {
        Some(free) if needed > free => Err(EvalError::Memory { length, needed, free }),
        _ => Ok(()),
    }
}

/// Numbers in the largest tensor that a row of so many tokens needs: its logits, or the scores of a
/// layer.
fn widest(architecture: &Architecture, length: usize) -> usize {
    let n_heads = architecture.layers.iter().map(LayerShape::n_heads).max().unwrap_or(1);
    length.saturating_mul(architecture.n_outputs.max(n_heads.saturating_mul(length)))
}

/// How many rows of so many tokens are computed at a time.
fn together(architecture: &Architecture, length: usize) -> usize {
    (NUMBERS / widest(architecture, length)).clamp(1, 16)
}

/// Refuses a text that is shorter than one window of so many tokens, or has tokens that the model
/// does not know.
pub(crate) fn check_text(
    architecture: &Architecture,
    text: &[i64],
    window: usize,
) -> Result<(), EvalError> {
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

/// Tensors of rows that are computed at a time have about so many numbers at most.
const NUMBERS: usize = 1 << 27;
/// Windows of a text are no longer unless someone asks for it.
const USUAL_WINDOW: usize = 1024;

/// Mean cross-entropy on a text's token ids, cut into windows of that many tokens (or of all of a
/// shorter text) one after another; what is left at its end is not counted. Without a length they
/// are as long as the model reads, but at most 1,024.
///
/// # Errors
/// If the text is shorter than two tokens, or has tokens that the model does not know, or the model
/// can't read such windows.
pub fn text_loss(
    checkpoint: &Checkpoint,
    text: &[i64],
    window: Option<usize>,
    device: Device,
) -> Result<TextLoss, EvalError> {
    let architecture = checkpoint.state.architecture();
    check_text(architecture, text, 2)?;
    check_finite(&checkpoint.state)?;
    let longest = architecture.seq_len;
    let window = window.unwrap_or(longest.min(USUAL_WINDOW));
    if !(1..=longest).contains(&window) {
        return Err(EvalError::Window(window, longest));
    }
    let window = window.min(text.len() - 1);
    check_memory(architecture, window, checkpoint.state.master(), device)?;
    let windows: Vec<&[i64]> = text.windows(window + 1).step_by(window).collect();
    let model = Model::new(architecture, checkpoint.state.weights(checkpoint.state.master()));
    let mut sum = 0.0;
    for chunk in windows.chunks(together(architecture, window)) {
        let ids = Tensor::from_slice(&chunk.concat())
            .view([chunk.len() as i64, -1])
            .to_device(device.tch());
        let (inputs, targets) = (ids.narrow(1, 0, window as i64), ids.narrow(1, 1, window as i64));
        let loss =
            no_grad(|| cross_entropy(&model.logits(&inputs.contiguous()), &targets.contiguous()));
        sum += loss.double_value(&[]) * chunk.len() as f64;
    }
    Ok(TextLoss {
        loss: sum / windows.len() as f64,
        tokens: (windows.len() * window) as u64,
        window,
    })
}
