//! Which growths a user asks for.

use std::path::{Path, PathBuf};

use outgrow_core::{
    Architecture, Growth, Operator,
    growth::{Application, Sizes, TargetShape, reach},
    model::{MAX_COUNT, MAX_SIZE, n_parameters},
};
use outgrow_data::read_regular;
use outgrow_train::{Checkpoint, check_room};

use crate::error::Error;

/// By what a model is grown.
pub enum GrowthChoice {
    /// A file with a JSON list of transforms and operators.
    List(PathBuf),
    /// To sizes of every layer: by transforms, or by an operator in JSON.
    Sizes {
        /// The sizes; those that are not given stay.
        sizes: Sizes,
        /// The operator.
        operator: Option<String>,
    },
}

/// No list of growths has more bytes.
const LARGEST_LIST: u64 = 16 << 20;

/// Each new layer is a growth of its own, whose sizes are all checked again: with more of them that
/// takes minutes.
const MAX_NEW_LAYERS: usize = 1 << 10;

/// No model has more heads in all of its layers.
const MAX_HEADS: usize = 1 << 20;

impl GrowthChoice {
    /// The growths for the model in `from`, at least one.
    pub(super) fn read(&self, from: &Path) -> Result<Vec<Growth>, Error> {
        let growths = match self {
            GrowthChoice::List(path) => read_list(path)?,
            GrowthChoice::Sizes { sizes, operator } => to_sizes(from, sizes, operator.as_deref())?,
        };
        growths.iter().try_for_each(check_outside_trials)?;
        if growths.is_empty() {
            return Err(Error::Input(
                "nothing to grow: give --apply FILE, or sizes such as --d-ff 256".into(),
            ));
        }
        Ok(growths)
    }
}

fn read_list(path: &Path) -> Result<Vec<Growth>, Error> {
    let named = path.display();
    let text =
        read_regular(path, LARGEST_LIST).map_err(Error::input(format!("cannot read {named}")))?;
    let what = format!("{named} is no JSON list of transforms and operators");
    serde_json::from_slice(&text).map_err(Error::input(what))
}

/// Refuses what needs a training to go on.
fn check_outside_trials(growth: &Growth) -> Result<(), Error> {
    if growth.ramp_tokens() > 0 {
        let name = growth.name();
        return Err(Error::Input(format!(
            "{name}: its mask opens while a trial trains, so it grows in sweeps only; ramp_tokens \
             = 0 has no mask"
        )));
    }
    match growth.fitted() {
        None => Ok(()),
        Some(operator) => Err(Error::Input(format!(
            "{}: it is fitted within a trial, and charged for it, so it grows in sweeps only",
            operator.name()
        ))),
    }
}

fn to_sizes(from: &Path, sizes: &Sizes, operator: Option<&str>) -> Result<Vec<Growth>, Error> {
    let architecture = Checkpoint::read_architecture(from)?;
    check_sizes(&architecture, sizes)?;
    let refused = |error: &dyn std::fmt::Display| Error::Input(error.to_string());
    let operator = operator.map(parsed).transpose()?;
    let reached = match &operator {
        Some(operator) => operator.reach(&architecture, sizes),
        None => TargetShape::reach(&architecture, sizes),
    };
    let to = reached.map_err(|error| refused(&error))?;
    let target =
        Architecture { d_model: to.d_model, layers: to.layers.clone(), ..architecture.clone() };
    check_room(&target).map_err(|error| refused(&error))?;
    let Some(operator) = operator else {
        let transforms = reach(&architecture, sizes).map_err(|error| refused(&error))?;
        if transforms.is_empty() && *sizes != Sizes::default() {
            return Err(Error::Input(format!(
                "nothing to grow: the model in {} has these sizes already ({})",
                from.display(),
                architecture.describe()
            )));
        }
        return Ok(transforms.into_iter().map(Growth::from).collect());
    };
    Ok(vec![Application { operator, to }.into()])
}

/// An operator in JSON, or by its name alone.
fn parsed(operator: &str) -> Result<Operator, Error> {
    let is_name = operator.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    let read = match is_name {
        true => serde_json::from_value(serde_json::json!({ "kind": operator })),
        false => serde_json::from_str(operator),
    };
    read.map_err(|error| {
        Error::Input(format!(
            "--operator {operator}: {error}; write its name, or JSON with what else it takes, such \
             as {{\"kind\": \"stack\", \"order\": \"block\"}} (docs/operators.md)"
        ))
    })
}

/// Refuses sizes that no model has, before anything is laid out for them.
fn check_sizes(architecture: &Architecture, sizes: &Sizes) -> Result<(), Error> {
    let &Sizes { d_model, n_layers, n_heads, n_kv_heads, d_k, d_v, d_ff, .. } = sizes;
    let axes = [("d-model", d_model), ("d-k", d_k), ("d-v", d_v), ("d-ff", d_ff)]
        .map(|(name, n)| (name, n, MAX_SIZE));
    let counts = [("n-layers", n_layers), ("n-heads", n_heads), ("n-kv-heads", n_kv_heads)];
    let counts = counts.map(|(name, n)| (name, n, MAX_COUNT));
    for (name, n, most) in axes.into_iter().chain(counts) {
        if let Some(n) = n.filter(|n| !(1..=most).contains(n)) {
            let size =
                if name == "n-layers" { size_of_deep(architecture, n) } else { String::new() };
            return Err(Error::Input(format!(
                "--{name} is {n}{size}; it must be from 1 to {most}"
            )));
        }
    }
    let new = n_layers.map_or(0, |n| n.saturating_sub(architecture.layers.len()));
    if new > MAX_NEW_LAYERS {
        return Err(Error::Input(format!(
            "{new} new layers at once; at most {MAX_NEW_LAYERS} are allowed: grow in several steps"
        )));
    }
    let (layers, heads) =
        (n_layers.unwrap_or(architecture.layers.len()), n_heads.or(n_kv_heads).unwrap_or(1));
    match layers.saturating_mul(heads) {
        n if n > MAX_HEADS => Err(Error::Input(format!(
            "{layers} layers of {heads} heads are {n}; at most {MAX_HEADS} are allowed in all"
        ))),
        _ => Ok(()),
    }
}

/// `, which would be N parameters`: of a model with more layers like its last one.
fn size_of_deep(architecture: &Architecture, n_layers: usize) -> String {
    let now = architecture.layers.len();
    if n_layers <= now {
        return String::new();
    }
    let mut one_more = architecture.clone();
    one_more.layers.extend(architecture.layers.last().cloned());
    let (all, more) = (n_parameters(architecture) as f64, n_parameters(&one_more) as f64);
    let parameters = all + (more - all) * (n_layers as f64 - now as f64);
    format!(", which would be {parameters:.1e} parameters")
}
