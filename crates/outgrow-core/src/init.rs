//! How parameters are made: the whole model at birth, free entries at growth.

use std::collections::BTreeMap;

use rand_distr::{Distribution, Normal};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{
    architecture::Architecture,
    edit::Values,
    param::{ParamId, ParamKind, parameters},
    stream::{Stream, stream},
};

/// How the free entries of a growth are made. Zero is not among the choices: a new unit whose input and output are
/// both zero has zero gradient on both sides and never learns.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind", try_from = "Asked")]
pub enum Initializer {
    /// Normal with the fan-in rule of a fresh model, times `scale`; gains are 1 and biases 0.
    Normal {
        /// Factor on the standard deviation, positive.
        scale: f64,
    },
    /// Copies of existing units (of the same head where heads grow, of the neighbour where a layer is added).
    Copy,
}

/// What a user may ask for: zero, too, so that the refusal can say why.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind", deny_unknown_fields)]
enum Asked {
    Normal { scale: f64 },
    Copy,
    Zero,
}

impl TryFrom<Asked> for Initializer {
    type Error = DeadInitializer;

    fn try_from(asked: Asked) -> Result<Self, DeadInitializer> {
        let initializer = match asked {
            Asked::Normal { scale } => Initializer::Normal { scale },
            Asked::Copy => Initializer::Copy,
            Asked::Zero => Initializer::Normal { scale: 0.0 },
        };
        initializer.validate().map(|()| initializer)
    }
}

/// Why an initializer is refused.
#[derive(Debug, Error, PartialEq)]
#[error(
    "free entries drawn with scale {0} would never learn: a new unit whose input and output are both zero has zero gradient on both sides; use a finite scale above 0"
)]
pub struct DeadInitializer(pub f64);

impl Initializer {
    /// Refuses what could never learn.
    ///
    /// # Errors
    /// If the scale is not a finite number above zero.
    pub fn validate(&self) -> Result<(), DeadInitializer> {
        match self {
            Initializer::Normal { scale } if !(scale.is_finite() && *scale > 0.0) => Err(DeadInitializer(*scale)),
            _ => Ok(()),
        }
    }
}

/// Standard deviation of a fresh entry of `kind` where its input has `fan_in` channels.
///
/// Tables are drawn at a fixed scale, the unembedding at 1/fan-in (so that the first logits are near zero), everything
/// else at 1/√fan-in, which keeps the mean square of a normalised input.
fn std_dev(kind: ParamKind, fan_in: usize) -> f64 {
    match kind {
        ParamKind::Embedding => 0.5,
        ParamKind::Positions => 0.1,
        ParamKind::Unembedding => 1.0 / fan_in as f64,
        _ => 1.0 / (fan_in as f64).sqrt(),
    }
}

/// Values for `shape` new entries of `kind`, row-major. `full` is the shape of the tensor that they join: its fan-in counts.
pub(crate) fn free_entries(
    kind: ParamKind,
    shape: &[usize],
    full: &[usize],
    scale: f64,
    stream: &mut Stream,
) -> Vec<f64> {
    let len = shape.iter().product();
    match kind {
        k if k.is_gain() => vec![1.0; len],
        ParamKind::B1 | ParamKind::B2 => vec![0.0; len],
        _ => normal(len, scale * std_dev(kind, full[0]), stream),
    }
}

fn normal(len: usize, std_dev: f64, stream: &mut Stream) -> Vec<f64> {
    let normal = Normal::new(0.0, std_dev).expect("a positive standard deviation");
    normal.sample_iter(stream).take(len).collect()
}

/// The weights of a new model, each parameter drawn from its own stream of `seed`.
///
/// `like` only says which number type and place the values get. What writes into the residual stream (W_o, W_2) is drawn
/// smaller by √(2N), so that the stream's variance does not grow with depth.
pub fn fresh<V: Values>(architecture: &Architecture, seed: u64, like: &V) -> BTreeMap<ParamId, V> {
    let depth = 1.0 / (2.0 * architecture.layers.len() as f64).sqrt();
    let draw = |id: ParamId| {
        let shape = id.shape(architecture);
        let scale = if matches!(id.kind, ParamKind::Wo | ParamKind::W2) { depth } else { 1.0 };
        let mut stream = stream(seed, &format!("init/{id}"));
        (id, like.same_kind(&shape, free_entries(id.kind, &shape, &shape, scale, &mut stream)))
    };
    parameters(architecture).into_iter().map(draw).collect()
}
