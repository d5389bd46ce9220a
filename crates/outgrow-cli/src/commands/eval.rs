//! `outgrow eval`.

use std::path::Path;

use outgrow_core::Architecture;
use outgrow_data::{CorpusError, Tokenizer};
use outgrow_train::{Checkpoint, Device, EvalError, TextLoss, logits, text_loss};
use serde::Deserialize;
use serde_json::json;

use super::{grow::say_notes, one_device};
use crate::{
    args::Eval,
    failure::Failure,
    output::{print, print_json},
    phases::Phases,
};

/// Asks a checkpoint for a loss or for logits.
pub fn eval(args: &Eval) -> Result<(), Failure> {
    let device = one_device(args.device)?;
    say_notes(&args.checkpoint)?;
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
) -> Result<(), Failure> {
    let architecture = checkpoint.state.architecture();
    phases.next(format!("reading {}", path.display()));
    let Text { ids, bytes } =
        text_ids(path, args.tokenizer.as_deref(), &args.checkpoint, architecture)?;
    phases.next(format!("computing the loss on {} tokens", ids.len()));
    let found =
        text_loss(checkpoint, &ids, args.window, device).map_err(Failure::input(path.display()))?;
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

/// A text as a model reads it.
pub struct Text {
    /// Token ids.
    pub ids: Vec<i64>,
    /// How long the text is.
    bytes: usize,
}

/// A file as token ids: by the tokenizer that the user named, or that lies in the model's folder;
/// byte by byte for a model of bytes.
pub fn text_ids(
    path: &Path,
    tokenizer: Option<&Path>,
    model: &Path,
    architecture: &Architecture,
) -> Result<Text, Failure> {
    let text = read_text(path)?;
    let own = model.join("tokenizer.json");
    let refused = |error: CorpusError| Failure::Input(error.to_string());
    match tokenizer.or_else(|| own.exists().then_some(&own)) {
        Some(tokenizer) => {
            let tokenizer = Tokenizer::read(tokenizer).map_err(refused)?;
            let encoded = tokenizer.encode(&[&text]).map_err(refused)?;
            Ok(Text {
                ids: encoded.concat().into_iter().map(i64::from).collect(),
                bytes: text.len(),
            })
        }
        None if (architecture.vocab_size, architecture.n_outputs) == (256, 256) => {
            Ok(Text { ids: text.bytes().map(i64::from).collect(), bytes: text.len() })
        }
        None => Err(Failure::Input(format!(
            "this model knows {} tokens, and text without a tokenizer has 256; name its tokenizer with --tokenizer",
            architecture.vocab_size
        ))),
    }
}

/// No text or list of tokens that is held in memory at once is longer.
const MAX_BYTES: u64 = 1 << 30;

/// The whole of a text file.
fn read_text(path: &Path) -> Result<String, Failure> {
    let named = path.display();
    let refuse = |why: String| Err(Failure::Input(format!("{named}: {why}")));
    let about = std::fs::metadata(path).map_err(Failure::input(format!("cannot read {named}")))?;
    // A pipe would be waited for, a device may have no end.
    match about.len() {
        _ if !about.is_file() => return refuse("it is no regular file".into()),
        0 => return refuse("it is empty".into()),
        n if n > MAX_BYTES => {
            return refuse(format!("it has {n} bytes; up to {MAX_BYTES} are read at once"));
        }
        _ => {}
    }
    let bytes = std::fs::read(path).map_err(Failure::input(format!("cannot read {named}")))?;
    match String::from_utf8(bytes) {
        // A mark of byte order is no text.
        Ok(mut text) => {
            text.drain(..text.find(|c| c != '\u{feff}').unwrap_or(0).min(3));
            Ok(text)
        }
        Err(error) => {
            let at = error.utf8_error().valid_up_to();
            refuse(format!(
                "it is no text in UTF-8: byte {at} (from 0) is {:#04x}",
                error.as_bytes()[at]
            ))
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

fn answer(
    args: &Eval,
    checkpoint: &Checkpoint,
    path: &Path,
    device: Device,
    phases: Phases,
) -> Result<(), Failure> {
    let named = path.display();
    let text = read_text(path)?;
    phases.next("computing logits".into());
    let tokens: Tokens = serde_json::from_str(&text).map_err(|_| {
        Failure::Input(format!(
            "{named} must be a JSON list of rows of token ids, such as [[72, 105]]"
        ))
    })?;
    let found = logits(checkpoint, &tokens.rows(), device)
        .map_err(|error: EvalError| Failure::Input(format!("{named}: {error}")))?;
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
