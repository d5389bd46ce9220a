//! `outgrow convert`.

use outgrow_core::cost;
use outgrow_train::{
    Checkpoint, Device,
    hub::{self, Dtype, HubModel, is_hub},
};
use serde_json::json;

use super::one_device;
use crate::{
    args::Convert,
    failure::Failure,
    output::{count, print, print_json},
};

/// Turns a checkpoint into a model of transformers, or such a model into a checkpoint.
pub fn convert(args: &Convert) -> Result<(), Failure> {
    if args.to.exists() {
        return Err(Failure::Input(format!("{} exists already; name a folder that does not", args.to.display())));
    }
    one_device(Some(Device::Cpu))?;
    let from_hub = is_hub(&args.from);
    if from_hub && (args.like.is_some() || args.dtype.is_some()) {
        return Err(Failure::Input(
            "--like and --dtype are for a checkpoint that becomes a model of transformers".into(),
        ));
    }
    let checkpoint = Checkpoint::read(&args.from, Device::Cpu)?;
    let architecture = checkpoint.state.architecture().clone();
    let kind = if from_hub {
        Checkpoint { progress: None, ..checkpoint }.write(&args.to)?;
        "a checkpoint of outgrow".to_owned()
    } else {
        let like = args.like.as_deref().map(HubModel::read).transpose()?;
        hub::export(
            &checkpoint.state,
            &args.to,
            like.as_ref(),
            args.dtype.map_or(checkpoint.state.dtype(), Dtype::from),
        )?;
        let family = like.map_or_else(|| hub::Family::of(&architecture), |like| Ok(like.family))?;
        format!("a {} model of transformers", family.model_type())
    };
    let parameters = cost::parameters(&architecture);
    match args.json {
        true => {
            print_json(&json!({ "to": args.to, "kind": kind, "architecture": architecture, "parameters": parameters }))
        }
        false => print(&format!(
            "{}: {kind}, {} parameters ({})",
            args.to.display(),
            count(parameters as f64),
            architecture.describe()
        )),
    }
}
