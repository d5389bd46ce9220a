//! `outgrow convert`.

use std::path::PathBuf;

use outgrow::{
    Error, Workspace,
    models::{self, ConvertOptions, Converted},
    stop_leaving_nothing,
};
use outgrow_core::model::n_parameters;
use outgrow_train::hub::Dtype;
use serde_json::json;

use super::grow::{dtype, say_left_out};
use crate::{
    output::{count, print, print_json},
    phases::Phases,
};

/// Convert a checkpoint into a Hugging Face model, or such a model into a checkpoint
///
/// A folder with a `config.json` becomes a checkpoint of outgrow; a checkpoint becomes a folder
/// that transformers loads, if one of the families llama, qwen3, gpt2 and gpt_neox has such models,
/// with the tokenizer of its sweep.
#[derive(clap::Args)]
pub struct Convert {
    /// The folder to read, or a trial as `outgrow path` takes it
    pub from: String,
    /// The folder to write
    pub to: PathBuf,
    /// For a checkpoint: a folder of transformers whose configuration, tokenizer and other files
    /// the new one takes over
    #[arg(long, value_name = "FOLDER")]
    pub like: Option<PathBuf>,
    /// For a checkpoint: a tokenizer.json that goes with the model, or a folder with one [default:
    /// that of --like, or the one that the trial's sweep was trained with]
    #[arg(long, value_name = "PATH", conflicts_with = "like")]
    pub tokenizer: Option<PathBuf>,
    /// For a checkpoint: the type to store weights in [default: as they are computed]
    #[arg(long, value_parser = dtype())]
    pub dtype: Option<Dtype>,
    /// Print it as JSON
    #[arg(long)]
    pub json: bool,
}

/// Turns a checkpoint into a model of transformers, or such a model into a checkpoint.
pub fn convert(workspace: &Workspace, args: &Convert) -> Result<(), Error> {
    stop_leaving_nothing(&args.to)?;
    let from = workspace.model(&args.from)?;
    let (like, tokenizer) = (args.like.clone(), args.tokenizer.clone());
    let options = ConvertOptions { like, tokenizer, dtype: args.dtype };
    let phases = Phases::new(format!("reading {}", from.display()));
    let tell = |phase| phases.next(phase);
    let converted = models::convert(workspace, &from, &args.to, &options, &tell)?;
    drop(phases);
    let Converted { architecture, family, tokenizer, left_out } = converted;
    say_left_out(&left_out);
    let kind = match family {
        Some(family) => format!("a {} model of transformers", family.model_type()),
        None => "a checkpoint of outgrow".to_owned(),
    };
    let parameters = n_parameters(&architecture);
    match args.json {
        true => print_json(
            &json!({ "to": args.to, "kind": kind, "architecture": architecture, "parameters": parameters,
                     "tokenizer": tokenizer.and_then(Result::ok) }),
        ),
        false => print(&format!(
            "{}: {kind}, {} parameters ({}){}",
            args.to.display(),
            count(parameters as f64),
            architecture.describe(),
            tokenizer.map_or_else(String::new, words)
        )),
    }
}

fn words(tokenizer: Result<String, String>) -> String {
    match tokenizer {
        Ok(what) => format!("\nits tokenizer: {what}"),
        Err(why) => format!("\nwithout a tokenizer: {why}; --tokenizer names one"),
    }
}
