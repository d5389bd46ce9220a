//! Why a transform can't be applied.

use thiserror::Error;

use crate::model::{ArchitectureError, MAX_SIZE};

/// Why a transform can't be applied to an architecture.
#[derive(Debug, Error, PartialEq)]
#[allow(missing_docs)]
pub enum TransformError {
    /// There is no such layer.
    #[error("there is no layer {layer}: the model has {n_layers}, numbered from 0")]
    NoLayer {
        /// What was asked for.
        layer: usize,
        /// How many there are.
        n_layers: usize,
    },
    /// A layer can't be inserted there.
    #[error(
        "a layer can't be inserted at {index}: the model has {n_layers} layers, so 0 to \
         {n_layers} are allowed"
    )]
    NoPlace {
        /// What was asked for.
        index: usize,
        /// How many layers there are.
        n_layers: usize,
    },
    /// There is no such head.
    #[error("layer {layer} has no head {head}: it has {n_heads}, numbered from 0")]
    NoHead {
        /// In which layer.
        layer: usize,
        /// What was asked for.
        head: usize,
        /// How many there are.
        n_heads: usize,
    },
    /// Heads without a layer to find them in.
    #[error("`heads` needs `layer`: head numbers mean something in one layer only")]
    HeadsWithoutLayer,
    /// An axis would become shorter.
    #[error("{what} can't shrink from {from} to {to}: transforms only enlarge")]
    Shrinks {
        /// Which axis, with its place.
        what: String,
        from: usize,
        /// What was asked for.
        to: usize,
    },
    /// An axis would become longer than any model's.
    #[error("{what} can't become {to}: the most is {MAX_SIZE}")]
    Beyond {
        /// Which axis, with its place.
        what: String,
        /// What was asked for.
        to: usize,
    },
    /// The model's form does not allow it.
    #[error("{transform}: {why}")]
    Refused {
        transform: &'static str,
        /// Why not, and what is allowed.
        why: String,
    },
    /// Query heads can't be shared out evenly.
    #[error(
        "n_heads {n_heads} of layer {layer} can't share {n_kv_heads} keys and values evenly: it \
         must be a multiple of n_kv_heads"
    )]
    Uneven { layer: usize, n_heads: usize, n_kv_heads: usize },
    /// Nothing would grow.
    #[error("{0} would enlarge nothing: every size it names is there already")]
    Nothing(&'static str),
    /// The result is no architecture.
    #[error("the grown model would be invalid: {0}")]
    Invalid(#[from] ArchitectureError),
}
