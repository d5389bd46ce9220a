//! `outgrow eval`.

use std::path::Path;

use outgrow_core::Architecture;
use outgrow_data::{CorpusError, Tokenizer};
use outgrow_train::{Checkpoint, Device, EvalError, logits, text_loss};
use serde::Deserialize;
use serde_json::json;

use super::one_device;
use crate::{
    args::Eval,
    failure::Failure,
    output::{print, print_json},
};

/// Asks a checkpoint for a loss or for logits.
pub fn eval(args: &Eval) -> Result<(), Failure> {
    let device = one_device(args.device)?;
    let checkpoint = Checkpoint::read(&args.checkpoint, device)?;
    match (&args.text, &args.tokens) {
        (Some(text), _) => loss(args, &checkpoint, text, device),
        (None, Some(tokens)) => answer(args, &checkpoint, tokens, device),
        (None, None) => unreachable!("clap demands one of the two"),
    }
}

fn loss(args: &Eval, checkpoint: &Checkpoint, path: &Path, device: Device) -> Result<(), Failure> {
    let architecture = checkpoint.state.architecture();
    let Text { ids, bytes } = text_ids(path, args.tokenizer.as_deref(), &args.checkpoint, architecture)?;
    let found = text_loss(checkpoint, &ids, device).map_err(Failure::input(path.display()))?;
    let bits = found.loss / std::f64::consts::LN_2 * ids.len() as f64 / bytes as f64;
    match args.json {
        true => print_json(&json!({ "loss": found.loss, "bits_per_byte": bits, "tokens": found.tokens })),
        false => {
            print(&format!("{:.4} nats per token, {bits:.4} bits per byte, over {} tokens", found.loss, found.tokens))
        }
    }
}

/// A text as a model reads it.
pub struct Text {
    /// Token ids.
    pub ids: Vec<i64>,
    /// How long the text is.
    bytes: usize,
}

/// A file as token ids: by the tokenizer that the user named, or that lies in the model's folder; byte by byte for a model of bytes.
pub fn text_ids(
    path: &Path,
    tokenizer: Option<&Path>,
    model: &Path,
    architecture: &Architecture,
) -> Result<Text, Failure> {
    let text = std::fs::read(path).map_err(Failure::input(format!("cannot read {}", path.display())))?;
    let own = model.join("tokenizer.json");
    let refused = |error: CorpusError| Failure::Input(error.to_string());
    match tokenizer.or_else(|| own.exists().then_some(&own)) {
        Some(tokenizer) => {
            let tokenizer = Tokenizer::read(tokenizer).map_err(refused)?;
            let encoded = tokenizer.encode(&[&String::from_utf8_lossy(&text)]).map_err(refused)?;
            Ok(Text { ids: encoded.concat().into_iter().map(i64::from).collect(), bytes: text.len() })
        }
        None if (architecture.vocab_size, architecture.n_outputs) == (256, 256) => {
            Ok(Text { ids: text.iter().map(|&byte| byte.into()).collect(), bytes: text.len() })
        }
        None => Err(Failure::Input(format!(
            "this model knows {} tokens, and text without a tokenizer has 256; name its tokenizer with --tokenizer",
            architecture.vocab_size
        ))),
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

fn answer(args: &Eval, checkpoint: &Checkpoint, path: &Path, device: Device) -> Result<(), Failure> {
    let named = path.display();
    let text = std::fs::read_to_string(path).map_err(Failure::input(format!("cannot read {named}")))?;
    let tokens: Tokens = serde_json::from_str(&text).map_err(|_| {
        Failure::Input(format!("{named} must be a JSON list of rows of token ids, such as [[72, 105]]"))
    })?;
    let found = logits(checkpoint, &tokens.rows(), device)
        .map_err(|error: EvalError| Failure::Input(format!("{named}: {error}")))?;
    if args.json {
        return print_json(&json!({ "logits": found }));
    }
    let best = |logits: &Vec<f64>| {
        let (id, value) = logits.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1)).expect("at least one output");
        format!("{id} ({value:.3})")
    };
    let lines = found.iter().map(|row| row.iter().map(best).collect::<Vec<_>>().join("  "));
    print(&format!(
        "most likely next token id and its logit (--json prints all):\n{}",
        lines.collect::<Vec<_>>().join("\n")
    ))
}
