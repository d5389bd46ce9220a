//! `outgrow grow`.

use outgrow_core::{
    Transform, cost,
    init::Initializer,
    transform::{Sizes, reach},
};
use outgrow_train::{Checkpoint, GrowError, grow_checkpoint};
use serde_json::json;

use super::one_device;
use crate::{
    args::{Grow, Init},
    failure::Failure,
    output::{count, print, print_json},
};

/// Grows one checkpoint.
pub fn grow(args: &Grow) -> Result<(), Failure> {
    let device = one_device(args.device)?;
    let initializer = match args.init {
        Init::Normal => Initializer::Normal { scale: args.scale },
        Init::Copy => Initializer::Copy,
    };
    initializer.validate().map_err(Failure::input("--scale"))?;
    let transforms = transforms(args)?;
    let grown = grow_checkpoint(&args.from, &args.to, &transforms, &initializer, args.seed, device);
    let (preservation, architecture) = grown.map_err(|error| match error {
        GrowError::NotPreserved { .. } => Failure::Result(error.to_string()),
        _ => Failure::Input(error.to_string()),
    })?;
    let parameters = cost::parameters(&architecture);
    if args.json {
        return print_json(&json!({ "checkpoint": args.to, "architecture": architecture, "parameters": parameters,
            "transforms": transforms, "preservation": preservation, "error": preservation.error() }));
    }
    print(&format!(
        "{}: {} parameters ({}); logits moved by {:.1e} relative to the larger of 1 and the largest logit (allowed {:.0e})",
        args.to.display(),
        count(parameters as f64),
        architecture.describe(),
        preservation.error(),
        preservation.tolerance
    ))
}

fn transforms(args: &Grow) -> Result<Vec<Transform>, Failure> {
    let transforms = match &args.apply {
        Some(path) => {
            let named = path.display();
            let text = std::fs::read_to_string(path).map_err(Failure::input(format!("cannot read {named}")))?;
            serde_json::from_str(&text).map_err(Failure::input(format!("{named} is no JSON list of transforms")))?
        }
        None => {
            let &Grow { d_model, n_layers, n_heads, d_k, d_v, d_ff, .. } = args;
            let sizes = Sizes { d_model, n_layers, n_heads, d_k, d_v, d_ff };
            let architecture = Checkpoint::read(&args.from, outgrow_train::Device::Cpu)?.state.architecture().clone();
            reach(&architecture, &sizes).map_err(|error| Failure::Input(error.to_string()))?
        }
    };
    if transforms.is_empty() {
        return Err(Failure::Input("nothing to grow: give --apply FILE, or sizes such as --d-ff 256".into()));
    }
    Ok(transforms)
}
