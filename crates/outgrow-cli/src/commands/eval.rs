//! `outgrow eval`.

use std::path::Path;

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
    let text = std::fs::read(path).map_err(Failure::input(format!("cannot read {}", path.display())))?;
    let found = text_loss(checkpoint, &text, device).map_err(Failure::input(path.display()))?;
    let bits = found.loss / std::f64::consts::LN_2;
    match args.json {
        true => print_json(&json!({ "loss": found.loss, "bits_per_byte": bits, "tokens": found.tokens })),
        false => {
            print(&format!("{:.4} nats per token, {bits:.4} bits per byte, over {} tokens", found.loss, found.tokens))
        }
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
