//! `outgrow sample`.

use std::{
    borrow::Cow,
    io::{self, Write},
    path::PathBuf,
};

use outgrow::{Error, SampleOptions, Workspace, readable::positive_number};
use outgrow_train::{Device, Sampling};

use crate::output::{is_terminal, shown};

/// Continue a text with a model, token by token
///
/// Prints the prompt and what follows it. The same seed gives the same text on the same device.
#[derive(clap::Args)]
pub struct Sample {
    /// A checkpoint or a model of Hugging Face (a folder), or a trial as `outgrow path` takes it
    pub checkpoint: String,
    /// The text to go on from
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    pub prompt: String,
    /// Tokens to draw at most; a tokenizer's token for the end of a text ends it before
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = amount)]
    pub tokens: u32,
    /// Logits are divided by it; 0 takes the most likely token
    #[arg(long, value_name = "T", default_value_t = 1.0, value_parser = temperature)]
    pub temperature: f64,
    /// Draw from the K most likely tokens only [default: from all]
    #[arg(long, value_name = "K", value_parser = clap::value_parser!(u32).range(1..))]
    pub top_k: Option<u32>,
    /// Of the draws
    #[arg(long, value_name = "S", default_value_t = 0)]
    pub seed: u64,
    /// The model's tokenizer: a tokenizer.json, or a folder with one [default: that in the model's
    /// folder or of its sweep, or bytes]
    #[arg(long, value_name = "PATH")]
    pub tokenizer: Option<PathBuf>,
    /// Where to compute: cpu, cuda:0, ... [default: the first GPU, or cpu]
    #[arg(long)]
    pub device: Option<Device>,
}

fn amount(text: &str) -> Result<u32, String> {
    text.parse().map_err(|_| format!("must be a whole number from 0 to {}", u32::MAX))
}

fn temperature(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(0.0) => Ok(0.0),
        _ => positive_number(text).map_err(|_| "must be 0, or a number from 1e-3 to 1e12".into()),
    }
}

/// Prints the text as it comes.
pub fn sample(workspace: &Workspace, args: &Sample) -> Result<(), Error> {
    let &Sample { temperature, seed, device, .. } = args;
    let (tokens, escapes) = (args.tokens as usize, is_terminal());
    let top_k = args.top_k.map(|k| k as usize);
    let (prompt, tokenizer) = (args.prompt.clone(), args.tokenizer.clone());
    let sampling = Sampling { temperature, top_k, seed };
    let options = SampleOptions { prompt, tokens, sampling, tokenizer, device };
    let mut out = io::stdout().lock();
    workspace.sample(&args.checkpoint, &options, &mut |text| {
        // A program gets what the model said; a terminal would obey its control characters.
        let text = if escapes { Cow::Owned(shown(text)) } else { Cow::Borrowed(text) };
        out.write_all(text.as_bytes())?;
        Ok(out.flush()?)
    })?;
    Ok(out.write_all(b"\n")?)
}
