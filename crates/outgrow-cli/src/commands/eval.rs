//! `outgrow eval`.

use std::path::{Path, PathBuf};

use outgrow::{
    Error, Workspace,
    eval::{Evaluation, TextEvaluation},
};
use outgrow_train::Device;
use serde_json::json;

use crate::{
    output::{print, print_json},
    phases,
};

/// Evaluate a checkpoint: loss on a text, or logits for token ids
#[derive(clap::Args)]
#[command(group = clap::ArgGroup::new("what").required(true))]
pub struct Eval {
    /// The checkpoint (a folder), or a trial as `outgrow path` takes it
    pub checkpoint: String,
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
pub fn eval(workspace: &Workspace, args: &Eval) -> Result<(), Error> {
    let checkpoint = workspace.model(&args.checkpoint)?;
    let evaluation = Evaluation { checkpoint: &checkpoint, device: args.device };
    match (&args.text, &args.tokens) {
        (Some(text), _) => loss(args, &evaluation, text),
        (None, Some(tokens)) => logits(args, &evaluation, tokens),
        (None, None) => unreachable!("clap demands one of the two"),
    }
}

fn loss(args: &Eval, evaluation: &Evaluation, text: &Path) -> Result<(), Error> {
    let found =
        phases::told(|tell| evaluation.loss(text, args.tokenizer.as_deref(), args.window, tell))?;
    if args.json {
        return print_json(&found);
    }
    let TextEvaluation { loss, bits_per_byte, tokens, bytes, window, text_tokens, text_bytes } =
        found;
    print(&format!(
        "{loss:.4} nats per token, {bits_per_byte:.4} bits per byte, over {tokens} tokens of {bytes} \
         bytes in windows of {window} (the text has {text_bytes} bytes, {text_tokens} tokens)"
    ))
}

fn logits(args: &Eval, evaluation: &Evaluation, tokens: &Path) -> Result<(), Error> {
    let found = phases::told(|tell| evaluation.logits(tokens, tell))?;
    if args.json {
        return print_json(&json!({ "logits": found }));
    }
    let best = |logits: &Vec<f64>| {
        let best = logits.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1));
        let (id, value) = best.expect("at least one output");
        format!("{id} ({value:.3})")
    };
    let lines = found.iter().map(|row| row.iter().map(best).collect::<Vec<_>>().join("  "));
    print(&format!(
        "most likely next token id and its logit (--json prints all):\n{}",
        lines.collect::<Vec<_>>().join("\n")
    ))
}
