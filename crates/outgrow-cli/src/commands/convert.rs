//! `outgrow convert`.

use outgrow::{Error, one_device};
use outgrow_core::model::n_parameters;
use outgrow_train::{
    Checkpoint, Device,
    hub::{self, Dtype, HubModel, is_hub},
};
use serde_json::json;
use std::path::PathBuf;

use super::grow::{DtypeArg, say_left_out, say_notes};
use crate::{
    output::{count, print, print_json},
    phases::{Phases, stop_leaving_nothing},
};

/// Convert a checkpoint into a Hugging Face model, or such a model into a checkpoint
///
/// A folder with a `config.json` becomes a checkpoint of outgrow; a checkpoint becomes a folder
/// that transformers loads, if one of the families llama, qwen3, gpt2 and gpt_neox has such models.
#[derive(clap::Args)]
pub struct Convert {
    /// The folder to read
    pub from: PathBuf,
    /// The folder to write
    pub to: PathBuf,
    /// For a checkpoint: a folder of transformers whose configuration, tokenizer and other files
    /// the new one takes over
    #[arg(long, value_name = "FOLDER")]
    pub like: Option<PathBuf>,
    /// For a checkpoint: the type to store weights in [default: as they are computed]
    #[arg(long, value_enum)]
    pub dtype: Option<DtypeArg>,
    /// Print it as JSON
    #[arg(long)]
    pub json: bool,
}

/// Turns a checkpoint into a model of transformers, or such a model into a checkpoint.
pub fn convert(args: &Convert) -> Result<(), Error> {
    if args.to.symlink_metadata().is_ok() {
        return Err(Error::Input(format!(
            "{} exists already; name a folder that does not",
            args.to.display()
        )));
    }
    stop_leaving_nothing(&args.to).map_err(Error::environment("cannot listen for signals"))?;
    one_device(Some(Device::Cpu))?;
    let from_hub = is_hub(&args.from);
    if from_hub && (args.like.is_some() || args.dtype.is_some()) {
        return Err(Error::Input(
            "--like and --dtype are for a checkpoint that becomes a model of transformers".into(),
        ));
    }
    [Some(&args.from), args.like.as_ref()]
        .into_iter()
        .flatten()
        .try_for_each(|folder| say_notes(folder))?;
    let phases = Phases::new(format!("reading {}", args.from.display()));
    let checkpoint = Checkpoint::read(&args.from, Device::Cpu)?;
    let architecture = checkpoint.state.architecture().clone();
    phases.next(format!("writing {}", args.to.display()));
    let kind = if from_hub {
        Checkpoint { progress: None, ..checkpoint }.write(&args.to)?;
        "a checkpoint of outgrow".to_owned()
    } else {
        let like = args.like.as_deref().map(HubModel::read).transpose()?;
        let dtype = args.dtype.map_or(checkpoint.state.dtype(), Dtype::from);
        say_left_out(&hub::export(&checkpoint.state, &args.to, like.as_ref(), dtype)?.left_out);
        let family = like.map_or_else(|| hub::Family::of(&architecture), |like| Ok(like.family))?;
        format!("a {} model of transformers", family.model_type())
    };
    drop(phases);
    let parameters = n_parameters(&architecture);
    match args.json {
        true => print_json(
            &json!({ "to": args.to, "kind": kind, "architecture": architecture, "parameters": parameters }),
        ),
        false => print(&format!(
            "{}: {kind}, {} parameters ({})",
            args.to.display(),
            count(parameters as f64),
            architecture.describe()
        )),
    }
}
