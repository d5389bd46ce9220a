//! A folder of transformers, grown by maps: in little more memory than what is written takes.

use std::{collections::BTreeMap, path::Path};

use outgrow_core::{
    ParamId,
    edit::{Edit, Fill, Role, apply},
    event::Preservation,
    growth::Grown,
    model::n_parameters,
};
use tch::{Kind, Tensor, no_grad};

use super::{
    candidate::{Candidate, Unpublished},
    error::GrowError,
    probe::{preservation, probe},
    request::GrowRequest,
};
use crate::{
    device::Device,
    dtype::Dtype,
    finite::not_finite,
    hub::{Aside, FolderSource, HubError, HubModel, Written, format_error},
    model::Model,
    room::{self, Need},
    tensor::Growable,
};

/// Sequences of the probe, and how long they are at most: a model of a billion parameters computes
/// them in seconds.
const PROBE: [usize; 2] = [2, 32];

/// Grows the model in a folder, writes it beside `to`, in the type of its weights or in another, and
/// reads what was written again.
pub(super) fn grow(
    from: &Path,
    to: &Path,
    request: &GrowRequest,
    tell: &dyn Fn(String),
) -> Result<Candidate, GrowError> {
    let model = HubModel::read(from)?;
    let (before, stored, notes) = (model.architecture.clone(), model.dtype, model.notes());
    let grown = request.apply_to(&before)?;
    model.family.check(&grown.architecture)?;
    let dtype = request.dtype.unwrap_or(stored);
    let need = Need { each: stored.bytes(), device: Device::Cpu, disk: Some((to, dtype.bytes())) };
    room::check(&grown.architecture, need)?;
    tell("computing what it says to a probe".into());
    let probe = Probe::of(&model, dtype, request.seed)?;
    tell(format!("growing it to {} parameters", n_parameters(&grown.architecture)));
    let (aside, written) = write(model, &grown, request, Target { to, dtype }, tell)?;
    tell("reading and comparing what was written".into());
    let again = aside.read(to, dtype)?;
    let preservation = probe.compare(&again);
    Ok(Candidate {
        before,
        after: again.architecture.clone(),
        dtype,
        preservation,
        hint: hint(stored, dtype, &grown.edits),
        notes,
        unpublished: Unpublished::Folder(aside, written),
    })
}

/// Where a model is written, and in which type.
#[derive(Clone, Copy)]
struct Target<'a> {
    to: &'a Path,
    dtype: Dtype,
}

/// Applies the edits of a growth, and writes what they give aside of `to`.
fn write(
    model: HubModel,
    grown: &Grown,
    request: &GrowRequest,
    Target { to, dtype }: Target,
    tell: &dyn Fn(String),
) -> Result<(Aside, Written), HubError> {
    let GrowRequest { initializer, seed, .. } = *request;
    let role = Role::Weights { initializer, seed, event: 0 };
    // The weights are views of the maps, which are dropped last.
    let HubModel { maps: _maps, family, config, weights, folder, .. } = model;
    no_grad(|| {
        let mut weights: BTreeMap<ParamId, Growable> =
            weights.into_iter().map(|(id, w)| (id, Growable(w))).collect();
        apply(&mut weights, &grown.edits, role);
        let weights = weights.into_iter().map(|(id, values)| (id, values.0)).collect();
        let (architecture, base, beside) =
            (&grown.architecture, Some(&config), Some(folder.as_path()));
        tell(format!(
            "writing {:.1} GB",
            (n_parameters(architecture) * dtype.bytes()) as f64 / 1e9
        ));
        FolderSource {
            family,
            architecture,
            weights: &weights,
            dtype,
            base,
            beside,
            tokenizer: None,
        }
        .write_aside(to)
    })
}

/// What a model says to random tokens.
struct Probe {
    tokens: Tensor,
    targets: Tensor,
    compute: Kind,
    logits: Tensor,
}

impl Probe {
    fn of(model: &HubModel, dtype: Dtype, seed: u64) -> Result<Self, HubError> {
        let compute = if dtype == Dtype::Float64 { model.compute() } else { Kind::Float };
        let tokens = probe(&model.architecture, PROBE, seed);
        let logits = logits(model, &tokens, compute);
        if not_finite(&logits).is_some() {
            let why = "its logits are no finite numbers, though its weights are: there is nothing to preserve";
            return Err(format_error(&model.folder, why));
        }
        let targets = tokens.remainder(model.architecture.n_outputs as i64);
        Ok(Self { tokens, targets, compute, logits })
    }

    fn compare(&self, grown: &HubModel) -> Preservation {
        let new = logits(grown, &self.tokens, self.compute);
        preservation(&self.logits, &new, &self.targets, self.compute)
    }
}

fn logits(model: &HubModel, tokens: &Tensor, compute: Kind) -> Tensor {
    let weights = model.weights.iter().map(|(id, weight)| (*id, weight.shallow_clone())).collect();
    no_grad(|| Model::computing(&model.architecture, weights, compute).logits(tokens))
}

/// What a type can't hold.
fn hint(stored: Dtype, dtype: Dtype, edits: &[Edit]) -> String {
    let is_short = matches!(dtype, Dtype::Bfloat16 | Dtype::Float16);
    let averages = edits.iter().any(|edit| matches!(edit, Edit::Pad { fill: Fill::Mean, .. }));
    let scales =
        edits.iter().any(|edit| matches!(edit, Edit::Scale { by, .. } if by.log2().fract() != 0.0));
    let (name, old) = (dtype.name(), stored.name());
    match (is_short, averages, scales) {
        (false, ..) => String::new(),
        _ if stored != dtype => format!(
            "; {name} rounds the weights themselves, which are stored in {old}: --dtype {old} keeps them. For a model in {name}, round the one before the growth (model.to(torch.{name}).save_pretrained(...)) and grow that"
        ),
        (_, true, _) => {
            format!(
                "; {name} rounds the means that LayerNorms need in new channels: --dtype float32 holds them"
            )
        }
        (_, _, true) => format!(
            "; {name} rounds what the growth scales by the root of a ratio of widths: --dtype float32 holds it, or grow d_model and d_k by a factor of 4"
        ),
        _ => format!(
            "; if some of its weights are stored in a longer type, {name} rounds them: --dtype float32 holds them"
        ),
    }
}
