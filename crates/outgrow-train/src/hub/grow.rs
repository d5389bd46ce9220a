//! A folder of transformers, grown.

use std::{collections::BTreeMap, path::Path};

use outgrow_core::{
    Architecture, Growth, ParamId,
    edit::{Edit, Fill, Role, apply},
    event::Preservation,
    growth::{all_preserve, grow_all},
    init::Initializer,
};
use tch::{Kind, Tensor, no_grad};

use super::{Dtype, Family, HubError, HubModel, Written, write::Draft};
use crate::{
    model::Model,
    tensor::Growable,
    verify::{preservation, probe_tokens},
};

/// What growing a folder gave.
#[derive(Debug)]
pub struct GrownFolder {
    /// Its family.
    pub family: Family,
    /// Before.
    pub before: Architecture,
    /// After, as what was written says it.
    pub after: Architecture,
    /// The type that the weights are stored in.
    pub dtype: Dtype,
    /// Whether all growths claim to preserve the function.
    pub preserving: bool,
    /// Logits of a probe of random tokens: of what was read, and of what was written and read again.
    pub preservation: Preservation,
    /// What was written.
    pub written: Written,
}

/// Sequences of the probe, and how long they are at most: a model of a billion parameters computes them in seconds.
const PROBE: [usize; 2] = [2, 32];

/// Grows the model in `from` and writes it to `to`, in the type of its weights or in `dtype`. What was written is read again and compared; if
/// the growths claim to preserve the function and it moved, it is removed.
///
/// # Errors
/// If something can't be read, applied, said in the family's format or written, or if the function moved. Nothing is left behind then.
pub fn grow(
    from: &Path,
    to: &Path,
    growths: &[Growth],
    initializer: &Initializer,
    seed: u64,
    dtype: Option<Dtype>,
) -> Result<GrownFolder, HubError> {
    if to.exists() {
        return Err(HubError::Exists(to.display().to_string()));
    }
    let model = HubModel::read(from)?;
    let before = model.architecture.clone();
    let grown = grow_all(&before, growths, seed).map_err(|(number, error)| HubError::Growth { number, error })?;
    model.family.check(&grown.architecture)?;
    let dtype = dtype.unwrap_or(model.dtype);
    let compute = if dtype == Dtype::Float64 { model.compute() } else { Kind::Float };
    let tokens = probe(&before, seed);
    let old = logits(&before, &model.weights, &tokens, compute);
    let HubModel { family, config, weights, maps, .. } = model;
    let (aside, written) = no_grad(|| {
        let mut weights: BTreeMap<ParamId, Growable> = weights.into_iter().map(|(id, w)| (id, Growable(w))).collect();
        apply(&mut weights, &grown.edits, Role::Weights { initializer, seed, event: 0 });
        let weights = weights.into_iter().map(|(id, values)| (id, values.0)).collect();
        let (base, beside) = (Some(&config), Some(from));
        Draft { family, architecture: &grown.architecture, weights: &weights, dtype, base, beside }.write_aside(to)
    })?;
    drop(maps);
    let again = HubModel::read(&aside.folder)?;
    let new = logits(&again.architecture, &again.weights, &tokens, compute);
    let targets = tokens.remainder(before.n_outputs as i64);
    let preservation = preservation(&old, &new, &targets, compute);
    let preserving = all_preserve(&before, growths);
    if preserving && !preservation.holds() {
        let hint = hint(dtype, &grown.edits);
        return Err(HubError::NotPreserved { error: preservation.error(), tolerance: preservation.tolerance, hint });
    }
    let after = again.architecture.clone();
    drop(again);
    aside.settle(to)?;
    Ok(GrownFolder { family, before, after, dtype, preserving, preservation, written })
}

fn probe(architecture: &Architecture, seed: u64) -> Tensor {
    let [n, longest] = PROBE;
    let short = Architecture { seq_len: architecture.seq_len.min(longest), ..architecture.clone() };
    Tensor::from_slice(&probe_tokens(&short, n, seed)).view([n as i64, -1])
}

fn logits(architecture: &Architecture, weights: &BTreeMap<ParamId, Tensor>, tokens: &Tensor, compute: Kind) -> Tensor {
    let weights = weights.iter().map(|(id, weight)| (*id, weight.shallow_clone())).collect();
    no_grad(|| Model::computing(architecture, weights, compute).logits(tokens))
}

/// What a type can't hold.
fn hint(dtype: Dtype, edits: &[Edit]) -> String {
    let is_short = matches!(dtype, Dtype::Bfloat16 | Dtype::Float16);
    let averages = edits.iter().any(|edit| matches!(edit, Edit::Pad { fill: Fill::Mean, .. }));
    let scales = edits.iter().any(|edit| matches!(edit, Edit::Scale { by, .. } if by.log2().fract() != 0.0));
    let name = dtype.name();
    match (is_short, averages, scales) {
        (true, true, _) => {
            format!("; {name} rounds the means that LayerNorms need in new channels: --dtype float32 holds them")
        }
        (true, _, true) => format!(
            "; {name} rounds what the growth scales by the root of a ratio of widths: --dtype float32 holds it, or grow d_model and d_k by a factor of 4"
        ),
        _ => String::new(),
    }
}
