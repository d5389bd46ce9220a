//! `outgrow grow`, and what it shares with `outgrow doctor`.

use std::path::Path;

use outgrow_core::{
    Architecture, Growth, Operator, cost,
    event::Preservation,
    growth::{Application, Goal},
    init::Initializer,
    transform::{Sizes, reach},
};
use outgrow_train::{
    Checkpoint, Device, GrowError, GrownCheckpoint,
    hub::{self, is_hub},
};
use serde_json::json;

use super::one_device;
use crate::{
    args::{Grow, How, Init},
    failure::Failure,
    output::{count, print, print_json},
};

/// Grows one checkpoint, or a model of transformers.
pub fn grow(args: &Grow) -> Result<(), Failure> {
    if args.to.exists() {
        return Err(Failure::Input(format!("{} exists already; name a folder that does not", args.to.display())));
    }
    let grown = if is_hub(&args.from) { grow_hub(args)? } else { grow_checkpoint(args)? };
    let parameters = cost::parameters(&grown.architecture);
    let Done { growths, preserving, preservation, architecture, dtype } = &grown;
    if args.how.json {
        return print_json(&json!({ "checkpoint": args.to, "architecture": architecture, "parameters": parameters,
            "dtype": dtype, "growths": growths, "preserving": preserving, "preservation": preservation,
            "error": preservation.error() }));
    }
    let allowed = if *preserving {
        format!("allowed {:.0e}", preservation.tolerance)
    } else {
        "it does not claim to preserve the function".into()
    };
    print(&format!(
        "{}: {} parameters in {dtype} ({}); logits moved by {:.1e} relative to the larger of 1 and the largest logit ({allowed})",
        args.to.display(),
        count(parameters as f64),
        architecture.describe(),
        preservation.error(),
    ))
}

/// What was grown.
struct Done {
    growths: Vec<Growth>,
    preserving: bool,
    preservation: Preservation,
    architecture: Architecture,
    dtype: &'static str,
}

fn grow_checkpoint(args: &Grow) -> Result<Done, Failure> {
    if args.dtype.is_some() {
        return Err(Failure::Input(
            "--dtype is for models of transformers; a checkpoint keeps the type that it is trained in".into(),
        ));
    }
    let (growths, grown) = read(&args.from, &args.how)?;
    let (preservation, preserving) = (grown.preservation, grown.preserving);
    let architecture = grown.after.architecture().clone();
    let dtype = grown.after.dtype().name();
    grown.write(&args.to).map_err(failure)?;
    Ok(Done { growths, preserving, preservation, architecture, dtype })
}

fn grow_hub(args: &Grow) -> Result<Done, Failure> {
    one_device(Some(Device::Cpu))?;
    let initializer = initializer(&args.how)?;
    let growths = growths(&args.from, &args.how)?;
    let dtype = args.dtype.map(hub::Dtype::from);
    let grown = hub::grow(&args.from, &args.to, &growths, &initializer, args.how.seed, dtype)?;
    for file in &grown.written.left_out {
        eprintln!("note: {file} was left out: its weights are those of the model before");
    }
    let hub::GrownFolder { preserving, preservation, after, dtype, .. } = grown;
    Ok(Done { growths, preserving, preservation, architecture: after, dtype: dtype.name() })
}

/// The checkpoint in `from` grown as the user asked, and by what.
pub fn read(from: &Path, how: &How) -> Result<(Vec<Growth>, GrownCheckpoint), Failure> {
    let device = one_device(how.device)?;
    let initializer = initializer(how)?;
    let growths = growths(from, how)?;
    let grown = GrownCheckpoint::read(from, &growths, &initializer, how.seed, device).map_err(failure)?;
    Ok((growths, grown))
}

fn initializer(how: &How) -> Result<Initializer, Failure> {
    let initializer = match how.init {
        Init::Normal => Initializer::Normal { scale: how.scale },
        Init::Fixed => Initializer::Fixed { std_dev: how.scale },
        Init::Matched => Initializer::Matched { scale: how.scale },
        Init::Glorot => Initializer::Glorot { scale: how.scale },
        Init::Copy => Initializer::Copy,
    };
    initializer.validate().map_err(Failure::input("--scale"))?;
    Ok(initializer)
}

fn failure(error: GrowError) -> Failure {
    match error {
        GrowError::NotPreserved { .. } => Failure::Result(error.to_string()),
        _ => Failure::Input(error.to_string()),
    }
}

fn growths(from: &Path, how: &How) -> Result<Vec<Growth>, Failure> {
    let growths: Vec<Growth> = match &how.apply {
        Some(path) => {
            let named = path.display();
            let text = std::fs::read_to_string(path).map_err(Failure::input(format!("cannot read {named}")))?;
            let what = format!("{named} is no JSON list of transforms and operators");
            serde_json::from_str(&text).map_err(Failure::input(what))?
        }
        None => to_sizes(from, how)?,
    };
    if let Some(growth) = growths.iter().find(|growth| growth.ramp_tokens() > 0) {
        let name = growth.name();
        return Err(Failure::Input(format!(
            "{name}: its mask opens while a trial trains, so it grows in sweeps only; ramp_tokens = 0 has no mask"
        )));
    }
    if let Some(operator) = growths.iter().find_map(Growth::learning) {
        let name = operator.name();
        return Err(Failure::Input(format!("{name}: it learns from the training text, so it grows in sweeps only")));
    }
    if growths.is_empty() {
        return Err(Failure::Input("nothing to grow: give --apply FILE, or sizes such as --d-ff 256".into()));
    }
    Ok(growths)
}

fn to_sizes(from: &Path, how: &How) -> Result<Vec<Growth>, Failure> {
    let &How { d_model, n_layers, n_heads, n_kv_heads, d_k, d_v, d_ff, .. } = how;
    let sizes = Sizes { d_model, n_layers, n_heads, n_kv_heads, d_k, d_v, d_ff };
    let architecture = Checkpoint::read_architecture(from)?;
    let Some(operator) = &how.operator else {
        let transforms = reach(&architecture, &sizes).map_err(|error| Failure::Input(error.to_string()))?;
        return Ok(transforms.into_iter().map(Growth::from).collect());
    };
    let operator: Operator = serde_json::from_str(operator).map_err(Failure::input("--operator"))?;
    let to = Goal::reach(&architecture, &sizes).map_err(|error| Failure::Input(error.to_string()))?;
    Ok(vec![Application { operator, to }.into()])
}
