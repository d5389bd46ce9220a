//! How parameters are made: the whole model at birth, free entries at growth.

use std::collections::BTreeMap;

use rand_distr::{Distribution, Normal};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::values::Values;
use crate::{
    model::{Architecture, ParamId, ParamKind, parameters},
    stream::{Stream, stream},
};

/// How the free entries of a growth are made. Zero is not among the choices: a new unit whose input
/// and output are both zero has zero gradient on both sides and never learns. Drawn gains are 1,
/// drawn biases 0.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind", try_from = "Asked")]
pub enum Initializer {
    /// Normal with the fan-in rule of a fresh model, times `scale`.
    Normal {
        /// Factor on the standard deviation, positive.
        scale: f64,
    },
    /// Normal with one standard deviation for all (MSG: 0.02).
    Fixed {
        /// The standard deviation, positive.
        std_dev: f64,
    },
    /// Normal with the root mean square of the tensor that grows, times `scale`.
    Matched {
        /// Factor on the standard deviation, positive.
        scale: f64,
    },
    /// Normal with Glorot's √(2 / (fan-in + fan-out)) of the grown tensor, times `scale`.
    Glorot {
        /// Factor on the standard deviation, positive.
        scale: f64,
    },
    /// Copies of existing units (of the same head where heads grow, of the neighbour where a layer
    /// is added).
    Copy,
}

/// What a user may ask for: zero, too, so that the refusal can say why.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind", deny_unknown_fields)]
enum Asked {
    Normal { scale: f64 },
    Fixed { std_dev: f64 },
    Matched { scale: f64 },
    Glorot { scale: f64 },
    Copy,
    Zero,
}

impl TryFrom<Asked> for Initializer {
    type Error = DeadInitializer;

    fn try_from(asked: Asked) -> Result<Self, DeadInitializer> {
        let initializer = match asked {
            Asked::Normal { scale } => Initializer::Normal { scale },
            Asked::Fixed { std_dev } => Initializer::Fixed { std_dev },
            Asked::Matched { scale } => Initializer::Matched { scale },
            Asked::Glorot { scale } => Initializer::Glorot { scale },
            Asked::Copy => Initializer::Copy,
            Asked::Zero => return Err(DeadInitializer { field: "kind", value: "\"zero\"".into() }),
        };
        initializer.validate().map(|()| initializer)
    }
}

/// Why an initializer is refused.
#[derive(Debug, Error, PartialEq)]
#[error(
    "`{field}` of the initializer is {value}; a scale or a standard deviation is from {LEAST:e} \
     to {MOST:e}: what begins as zero, or nearly so, \
     would never learn (a unit whose input and output are both zero has zero gradient on both \
     sides), and of what is larger, logits overflow"
)]
#[allow(missing_docs)]
pub struct DeadInitializer {
    /// As in files.
    pub field: &'static str,
    pub value: String,
}

/// Smaller scales vanish in float32; of larger ones, growth after growth, the logits overflow.
const LEAST: f64 = 1e-12;
const MOST: f64 = 1e3;

impl Initializer {
    /// Refuses what could never learn.
    ///
    /// # Errors
    /// If the scale is out of range.
    pub fn validate(&self) -> Result<(), DeadInitializer> {
        let (field, value) = match self {
            Initializer::Normal { scale }
            | Initializer::Matched { scale }
            | Initializer::Glorot { scale } => ("scale", *scale),
            Initializer::Fixed { std_dev } => ("std_dev", *std_dev),
            Initializer::Copy => return Ok(()),
        };
        match (LEAST..=MOST).contains(&value) {
            true => Ok(()),
            false => Err(DeadInitializer { field, value: format!("{value:?}") }),
        }
    }

    /// Standard deviation of `new` (a shape) more entries of `kind` for a tensor of shape `full`,
    /// whose root mean square is `rms`.
    ///
    /// A tensor that is all zeros has nothing to match: there, and for copies that have no source,
    /// the fan-in rule holds.
    pub(crate) fn std_dev(
        &self,
        kind: ParamKind,
        full: &[usize],
        new: &[usize],
        rms: impl Fn() -> f64,
    ) -> f64 {
        let by_fan_in = std_dev(kind, full[0]);
        match self {
            Initializer::Normal { scale } => scale * by_fan_in,
            Initializer::Fixed { std_dev } => *std_dev,
            Initializer::Matched { scale } => match rms() {
                rms if rms > 0.0 => scale * rms,
                _ => scale * by_fan_in,
            },
            Initializer::Glorot { scale } => {
                // The tensor after it has grown: one of its axes is longer by what is new.
                let grown = |dim: usize| {
                    if full[dim] == new[dim] { full[dim] } else { full[dim] + new[dim] }
                };
                let fans: usize = (0..full.len()).map(grown).sum();
                scale * (2.0 / fans as f64).sqrt()
            }
            Initializer::Copy => by_fan_in,
        }
    }
}

/// Standard deviation of a fresh entry of `kind` where its input has `fan_in` channels.
///
/// Tables are drawn at a fixed scale, the unembedding at 1/fan-in (so that the first logits are
/// near zero), everything else at 1/√fan-in, which keeps the mean square of a normalised input.
fn std_dev(kind: ParamKind, fan_in: usize) -> f64 {
    match kind {
        ParamKind::Embedding => 0.5,
        ParamKind::Positions => 0.1,
        ParamKind::Unembedding => 1.0 / fan_in as f64,
        _ => 1.0 / (fan_in as f64).sqrt(),
    }
}

/// `shape` new entries of `kind`, in the number type and place of `like`.
pub(crate) fn entries<V: Values>(
    like: &V,
    kind: ParamKind,
    shape: &[usize],
    std_dev: f64,
    stream: &mut Stream,
) -> V {
    match kind {
        k if k.is_gain() => like.filled(shape, 1.0),
        k if k.is_bias() => like.filled(shape, 0.0),
        _ => {
            let normal = Normal::new(0.0, std_dev).expect("a positive standard deviation");
            like.made(shape, &mut || normal.sample(stream))
        }
    }
}

/// The weights of a new model, each parameter drawn from its own stream of `seed`.
///
/// `like` only says which number type and place the values get. What writes into the residual
/// stream (W_o, W_2) is drawn smaller by √(2N), so that the stream's variance does not grow with
/// depth.
pub fn fresh<V: Values>(architecture: &Architecture, seed: u64, like: &V) -> BTreeMap<ParamId, V> {
    let depth = 1.0 / (2.0 * architecture.layers.len() as f64).sqrt();
    let draw = |id: ParamId| {
        let shape = id.shape(architecture);
        let mut stream = stream(seed, &format!("init/{id}"));
        let std_dev = match id.kind {
            ParamKind::Wo | ParamKind::W2 => depth * std_dev(id.kind, shape[0]),
            // As the unembedding that it is, too, it must not make the first logits large (0.02 is
            // GPT-2's).
            ParamKind::Embedding if architecture.form.tied => 0.02,
            kind => std_dev(kind, shape[0]),
        };
        (id, entries(like, id.kind, &shape, std_dev, &mut stream))
    };
    parameters(architecture).into_iter().map(draw).collect()
}
