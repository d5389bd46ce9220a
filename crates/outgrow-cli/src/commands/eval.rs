//! `outgrow eval`.

use std::path::Path;
use std::path::PathBuf;

use outgrow::{
    Error,
    models::tell_notes,
    one_device,
    text::{Text, read_text, text_ids},
};
use outgrow_train::{Checkpoint, Device, EvalError, TextLoss, logits, text_loss};
use serde::Deserialize;
use serde_json::json;

use crate::{
    output::{print, print_json},
    phases::Phases,
};

/// Evaluate a checkpoint: loss on a text, or logits for token ids
#[derive(clap::Args)]
#[command(group = clap::ArgGroup::new("what").required(true))]
pub struct Eval {
    /// The checkpoint (a folder)
    pub checkpoint: PathBuf,
    /// Mean cross-entropy on this text file
    #[arg(long, value_name = "FILE", group = "what")]
    pub text: Option<PathBuf>,
    /// The tokenizer of the text: a tokenizer.json, or a folder with one [default: that in the
    /// model's folder, or bytes]
    #[arg(long, value_name = "PATH", requires = "text")]
    pub tokenizer: Option<PathBuf>,
    /// Tokens that are read at once: the text is cut into windows of so many [default: as many as
    /// the model reads, but at most 1024]
    #[arg(long, value_name = "N", requires = "text")]
    pub window: Option<usize>,
    /// Logits for these token ids: a JSON list of rows of equal length, up to the model's seq_len;
    /// or {"tokens": [...]}
    #[arg(long, value_name = "FILE", group = "what")]
    pub tokens: Option<PathBuf>,
    /// Where to compute: cpu, cuda:0, ... [default: the first GPU, or cpu]
    #[arg(long)]
    pub device: Option<Device>,
    /// Print it as JSON
    #[arg(long)]
    pub json: bool,
}

/// Asks a checkpoint for a loss or for logits.
pub fn eval(args: &Eval) -> Result<(), Error> {
    let device = one_device(args.device)?;
    tell_notes(&args.checkpoint)?;
    let phases = Phases::new(format!("reading {}", args.checkpoint.display()));
    let checkpoint = Checkpoint::read(&args.checkpoint, device)?;
    match (&args.text, &args.tokens) {
        (Some(text), _) => loss(args, &checkpoint, text, device, phases),
        (None, Some(tokens)) => answer(args, &checkpoint, tokens, device, phases),
        (None, None) => unreachable!("clap demands one of the two"),
    }
}

fn loss(
    args: &Eval,
    checkpoint: &Checkpoint,
    path: &Path,
    device: Device,
    phases: Phases,
) -> Result<(), Error> {
    let architecture = checkpoint.state.architecture();
    phases.next(format!("reading {}", path.display()));
    let Text { ids, bytes } =
        text_ids(path, args.tokenizer.as_deref(), &args.checkpoint, architecture)?;
    phases.next(format!("computing the loss on {} tokens", ids.len()));
    let found =
        text_loss(checkpoint, &ids, args.window, device).map_err(Error::input(path.display()))?;
    drop(phases);
    let bits = found.loss / std::f64::consts::LN_2 * ids.len() as f64 / bytes as f64;
    let TextLoss { loss, tokens, window } = found;
    match args.json {
        true => print_json(
            &json!({ "loss": loss, "bits_per_byte": bits, "tokens": tokens, "window": window,
            "text_tokens": ids.len(), "text_bytes": bytes }),
        ),
        false => print(&format!(
            "{loss:.4} nats per token, {bits:.4} bits per byte, over {tokens} tokens in windows of {window} (the text has {bytes} bytes, {} tokens)",
            ids.len()
        )),
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

fn answer(
    args: &Eval,
    checkpoint: &Checkpoint,
    path: &Path,
    device: Device,
    phases: Phases,
) -> Result<(), Error> {
    let named = path.display();
    let text = read_text(path)?;
    phases.next("computing logits".into());
    let tokens: Tokens = serde_json::from_str(&text).map_err(|_| {
        Error::Input(format!(
            "{named} must be a JSON list of rows of token ids, such as [[72, 105]]"
        ))
    })?;
    let found = logits(checkpoint, &tokens.rows(), device)
        .map_err(|error: EvalError| Error::Input(format!("{named}: {error}")))?;
    drop(phases);
    if args.json {
        return print_json(&json!({ "logits": found }));
    }
    let best = |logits: &Vec<f64>| {
        let (id, value) = logits
            .iter()
            .enumerate()
            .max_by(|a, b| a.1.total_cmp(b.1))
            .expect("at least one output");
        format!("{id} ({value:.3})")
    };
    let lines = found.iter().map(|row| row.iter().map(best).collect::<Vec<_>>().join("  "));
    print(&format!(
        "most likely next token id and its logit (--json prints all):\n{}",
        lines.collect::<Vec<_>>().join("\n")
    ))
}
