//! The six function-preserving transforms of arXiv 2308.06103, section 3, as lists of edits.
//!
//! One rule makes all six exact: *what reads the new entries is free; what writes them into
//! something old is zero; a mean or a 1/√d is undone by a scale.* Who is free, zero or scaled
//! stands in [`TABLE`] and nowhere else; each transform's file says which axes it pads, and why
//! that preserves the function.

mod attention_expansion;
mod head_addition;
mod heads_expansion;
mod hidden_expansion;
mod layer_addition;
mod mlp_expansion;

use std::ops::Range;

use serde::{Deserialize, Serialize};
use thiserror::Error;

pub use self::{
    attention_expansion::AttentionExpansion, head_addition::HeadAddition,
    heads_expansion::HeadsExpansion, hidden_expansion::HiddenExpansion,
    layer_addition::LayerAddition, mlp_expansion::MlpExpansion,
};
use crate::{
    architecture::{Architecture, ArchitectureError, HeadShape, LayerShape, MAX_SIZE},
    edit::{Edit, Fill},
    growth::Grown,
    param::{Axis, ParamId, ParamKind, ParamKind::*},
};

/// One of the six transforms with its target. In JSON: `{"transform": "mlp_expansion", "layer": 0,
/// "d_ff": 96}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "transform", rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum Transform {
    MlpExpansion(MlpExpansion),
    HeadAddition(HeadAddition),
    HeadsExpansion(HeadsExpansion),
    AttentionExpansion(AttentionExpansion),
    HiddenExpansion(HiddenExpansion),
    LayerAddition(LayerAddition),
}

/// Which of the six.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum TransformKind {
    MlpExpansion,
    HeadAddition,
    HeadsExpansion,
    AttentionExpansion,
    HiddenExpansion,
    LayerAddition,
}

/// What one transform demands of the parameters that it enlarges.
pub struct Row {
    /// The transform.
    pub transform: TransformKind,
    /// New entries may be anything finite.
    pub free: &'static [ParamKind],
    /// New entries must be zero.
    pub zero: &'static [ParamKind],
    /// Old entries are multiplied by the transform's factor.
    pub scaled: &'static [ParamKind],
    /// The same where the norms have no gains.
    pub scaled_bare: &'static [ParamKind],
}

/// Who must be zero (paper, theorems 3.1 to 3.6). Where the paper's summary table and its theorem
/// 3.5 differ (norm gains: "zero" there, free here; embeddings: omitted there, zero here), the
/// theorem and its proof A.5 are right.
pub const TABLE: [Row; 6] = [
    Row {
        transform: TransformKind::MlpExpansion,
        free: &[Wg, Bg, W1, B1],
        zero: &[W2],
        scaled: &[],
        scaled_bare: &[],
    },
    Row {
        transform: TransformKind::HeadAddition,
        free: &[Wq, Bq, Wk, Bk, Wv, Bv],
        zero: &[Wo],
        scaled: &[],
        scaled_bare: &[],
    },
    Row {
        transform: TransformKind::HeadsExpansion,
        free: &[Wv, Bv],
        zero: &[Wo],
        scaled: &[],
        scaled_bare: &[],
    },
    Row {
        transform: TransformKind::AttentionExpansion,
        free: &[Wq, Bq],
        zero: &[Wk, Bk],
        scaled: &[Wk, Bk],
        scaled_bare: &[Wk, Bk],
    },
    Row {
        transform: TransformKind::HiddenExpansion,
        free: &[Wq, Wk, Wv, Wg, W1, AttentionNorm, MlpNorm, FinalNorm, Unembedding],
        zero: &[
            Embedding,
            Positions,
            Wo,
            Bo,
            W2,
            B2,
            AttentionNormBias,
            MlpNormBias,
            FinalNormBias,
        ],
        scaled: &[AttentionNorm, MlpNorm, FinalNorm],
        scaled_bare: &[Wq, Wk, Wv, Wg, W1, Unembedding],
    },
    Row {
        transform: TransformKind::LayerAddition,
        free: &[
            AttentionNorm,
            AttentionNormBias,
            Wq,
            Bq,
            QueryNorm,
            Wk,
            Bk,
            KeyNorm,
            Wv,
            Bv,
            MlpNorm,
            MlpNormBias,
            Wg,
            Bg,
            W1,
            B1,
        ],
        zero: &[Wo, Bo, W2, B2],
        scaled: &[],
        scaled_bare: &[],
    },
];

/// Why a transform can't be applied to an architecture.
#[derive(Debug, Error, PartialEq)]
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
        "a layer can't be inserted at {index}: the model has {n_layers} layers, so 0 to {n_layers} are allowed"
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
        /// Its size.
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
        /// Which transform.
        transform: &'static str,
        /// Why not, and what is allowed.
        why: String,
    },
    /// Query heads can't be shared out evenly.
    #[error(
        "n_heads {n_heads} of layer {layer} can't share {n_kv_heads} keys and values evenly: it must be a multiple of n_kv_heads"
    )]
    Uneven {
        /// Which layer.
        layer: usize,
        /// Query heads.
        n_heads: usize,
        /// Keys and values.
        n_kv_heads: usize,
    },
    /// Nothing would grow.
    #[error("{0} would enlarge nothing: every size it names is there already")]
    Nothing(&'static str),
    /// The result is no architecture.
    #[error("the grown model would be invalid: {0}")]
    Invalid(#[from] ArchitectureError),
}

impl Transform {
    /// Enlarges `architecture`: the new sizes, and the edits that take parameters there.
    ///
    /// # Errors
    /// If the transform names what is not there, shrinks an axis, or changes nothing.
    pub fn grow(&self, architecture: &Architecture) -> Result<Grown, TransformError> {
        let mut draft =
            Draft { architecture: architecture.clone(), edits: vec![], row: self.kind().row() };
        match self {
            Transform::MlpExpansion(t) => t.grow(&mut draft)?,
            Transform::HeadAddition(t) => t.grow(&mut draft)?,
            Transform::HeadsExpansion(t) => t.grow(&mut draft)?,
            Transform::AttentionExpansion(t) => t.grow(&mut draft)?,
            Transform::HiddenExpansion(t) => t.grow(&mut draft)?,
            Transform::LayerAddition(t) => t.grow(&mut draft)?,
        }
        if draft.edits.is_empty() {
            return Err(TransformError::Nothing(self.kind().name()));
        }
        draft.architecture.validate()?;
        Ok(Grown { architecture: draft.architecture, edits: draft.edits })
    }

    /// Which of the six it is.
    pub fn kind(&self) -> TransformKind {
        match self {
            Transform::MlpExpansion(_) => TransformKind::MlpExpansion,
            Transform::HeadAddition(_) => TransformKind::HeadAddition,
            Transform::HeadsExpansion(_) => TransformKind::HeadsExpansion,
            Transform::AttentionExpansion(_) => TransformKind::AttentionExpansion,
            Transform::HiddenExpansion(_) => TransformKind::HiddenExpansion,
            Transform::LayerAddition(_) => TransformKind::LayerAddition,
        }
    }
}

macro_rules! from_each {
    ($($name:ident),*) => {$(
        impl From<$name> for Transform {
            fn from(transform: $name) -> Self {
                Transform::$name(transform)
            }
        }
    )*};
}
from_each!(
    MlpExpansion,
    HeadAddition,
    HeadsExpansion,
    AttentionExpansion,
    HiddenExpansion,
    LayerAddition
);

/// Enlarges `architecture` by several transforms in a row.
///
/// # Errors
/// The number (from 0) of the first transform that can't be applied, and why.
pub fn grow_all(
    architecture: &Architecture,
    transforms: &[Transform],
) -> Result<Grown, (usize, TransformError)> {
    let mut grown = Grown { architecture: architecture.clone(), edits: vec![] };
    for (number, transform) in transforms.iter().enumerate() {
        let next = transform.grow(&grown.architecture).map_err(|error| (number, error))?;
        grown.architecture = next.architecture;
        grown.edits.extend(next.edits);
    }
    Ok(grown)
}

/// Sizes that a whole model is to reach, the same in every layer; what is left out stays as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Sizes {
    pub d_model: Option<usize>,
    pub n_layers: Option<usize>,
    /// Query heads of a layer.
    pub n_heads: Option<usize>,
    /// How many keys and values they share; in a model where each head has its own, as many as
    /// there are heads.
    pub n_kv_heads: Option<usize>,
    pub d_k: Option<usize>,
    pub d_v: Option<usize>,
    pub d_ff: Option<usize>,
}

impl Sizes {
    /// How many heads (keys and values) a layer is to have, and how many queries each of them.
    pub(crate) fn heads(
        &self,
        number: usize,
        layer: &LayerShape,
    ) -> Result<(usize, Option<usize>), TransformError> {
        let (now, last) = (layer.heads.len(), layer.heads[layer.heads.len() - 1]);
        let single = layer.heads.iter().all(|head| head.n_queries == 1);
        let (n_heads, n_kv_heads) = match (self.n_heads, self.n_kv_heads) {
            (None, None) => return Ok((now, None)),
            (Some(n), None) if single => (n, n),
            (Some(n), None) => (n, now),
            (None, Some(n)) => (n.saturating_mul(last.n_queries), n),
            (Some(n_heads), Some(n)) => (n_heads, n),
        };
        if n_kv_heads == 0 || !n_heads.is_multiple_of(n_kv_heads) {
            return Err(TransformError::Uneven { layer: number, n_heads, n_kv_heads });
        }
        Ok((n_kv_heads, Some(n_heads / n_kv_heads)))
    }
}

/// The transforms that take every layer of `architecture` to `sizes`: widths first, then heads,
/// then layers (as the last ones, in the shape of their neighbour).
///
/// # Errors
/// If an axis would shrink.
pub fn reach(architecture: &Architecture, sizes: &Sizes) -> Result<Vec<Transform>, TransformError> {
    let mut transforms: Vec<Transform> = vec![];
    transforms.extend(sizes.d_model.map(|d_model| HiddenExpansion { d_model }.into()));
    transforms.extend(sizes.d_ff.map(|d_ff| MlpExpansion { layer: None, d_ff }.into()));
    transforms
        .extend(sizes.d_k.map(|d_k| AttentionExpansion { layer: None, heads: None, d_k }.into()));
    transforms.extend(sizes.d_v.map(|d_v| HeadsExpansion { layer: None, heads: None, d_v }.into()));
    for (number, layer) in architecture.layers.iter().enumerate() {
        transforms.extend(more_heads(number, layer, sizes)?.into_iter().map(Transform::from));
    }
    let (from, to) =
        (architecture.layers.len(), sizes.n_layers.unwrap_or(architecture.layers.len()));
    let new_layers = to.checked_sub(from);
    let new_layers =
        new_layers.ok_or_else(|| TransformError::Shrinks { what: "n_layers".into(), from, to })?;
    transforms
        .extend((from..from + new_layers).map(|index| LayerAddition { index, shape: None }.into()));
    Ok(transforms)
}

/// The head additions that a layer needs: queries for the heads that are there, then heads.
fn more_heads(
    number: usize,
    layer: &LayerShape,
    sizes: &Sizes,
) -> Result<Vec<HeadAddition>, TransformError> {
    let (to, queries) = sizes.heads(number, layer)?;
    let from = layer.heads.len();
    let shrinks = |what: &str, from, to| TransformError::Shrinks {
        what: format!("{what} of layer {number}"),
        from,
        to,
    };
    let n_new_heads = to.checked_sub(from).ok_or_else(|| shrinks("n_kv_heads", from, to))?;
    let mut additions = vec![];
    let new = |n_new_heads, n_new_queries, heads| HeadAddition {
        layer: Some(number),
        heads,
        n_new_queries,
        n_new_heads,
        n_queries: queries.filter(|&n| n != layer.heads[from - 1].n_queries),
        d_k: None,
        d_v: None,
    };
    if let Some(queries) = queries {
        let gap = |head: &HeadShape| {
            let shrinks = || shrinks("n_heads / n_kv_heads", head.n_queries, queries);
            queries.checked_sub(head.n_queries).ok_or_else(shrinks)
        };
        let gaps = layer.heads.iter().map(gap).collect::<Result<Vec<_>, _>>()?;
        if gaps.iter().all(|gap| *gap == gaps[0]) {
            additions.extend(
                (gaps[0] > 0).then(|| HeadAddition { n_queries: None, ..new(0, gaps[0], None) }),
            );
        } else {
            let one =
                |(head, &gap)| HeadAddition { n_queries: None, ..new(0, gap, Some(vec![head])) };
            additions.extend(gaps.iter().enumerate().filter(|(_, gap)| **gap > 0).map(one));
        }
    }
    additions.extend((n_new_heads > 0).then(|| new(n_new_heads, 0, None)));
    Ok(additions)
}

impl TransformKind {
    /// All six, in the paper's order.
    pub const ALL: [TransformKind; 6] = [
        TransformKind::MlpExpansion,
        TransformKind::HeadAddition,
        TransformKind::HeadsExpansion,
        TransformKind::AttentionExpansion,
        TransformKind::HiddenExpansion,
        TransformKind::LayerAddition,
    ];

    /// Its row of the table.
    pub fn row(self) -> &'static Row {
        TABLE
            .iter()
            .find(|row| row.transform == self)
            .expect("the table has a row for each transform")
    }

    /// Its name in files and tables.
    pub fn name(self) -> &'static str {
        match self {
            TransformKind::MlpExpansion => "mlp_expansion",
            TransformKind::HeadAddition => "head_addition",
            TransformKind::HeadsExpansion => "heads_expansion",
            TransformKind::AttentionExpansion => "attention_expansion",
            TransformKind::HiddenExpansion => "hidden_expansion",
            TransformKind::LayerAddition => "layer_addition",
        }
    }

    /// The size that it enlarges, in the words of this project.
    pub fn axis(self) -> &'static str {
        match self {
            TransformKind::MlpExpansion => "d_ff",
            TransformKind::HeadAddition => "n_heads",
            TransformKind::HeadsExpansion => "d_v",
            TransformKind::AttentionExpansion => "d_k",
            TransformKind::HiddenExpansion => "d_model",
            TransformKind::LayerAddition => "n_layers",
        }
    }
}

impl Row {
    fn fill(&self, kind: ParamKind) -> Option<Fill> {
        match (self.free.contains(&kind), self.zero.contains(&kind)) {
            (true, _) => Some(Fill::Free),
            (_, true) => Some(Fill::Zero),
            _ => None,
        }
    }
}

/// A transform being written down: the sizes so far and the edits so far.
struct Draft {
    architecture: Architecture,
    edits: Vec<Edit>,
    row: &'static Row,
}

impl Draft {
    /// Pads `axis` of every parameter among `params` that has it and that the table names.
    fn pad(&mut self, params: &[ParamId], axis: Axis, at: usize, len: usize, like: Range<usize>) {
        self.pad_with(params, axis, at, len, like, |_, fill| fill);
    }

    /// Likewise, with a last word on what the new entries must be.
    fn pad_with(
        &mut self,
        params: &[ParamId],
        axis: Axis,
        at: usize,
        len: usize,
        like: Range<usize>,
        fill_of: impl Fn(ParamKind, Fill) -> Fill,
    ) {
        for &param in params.iter().filter(|param| param.kind.dim(axis).is_some()) {
            if let Some(fill) = self.row.fill(param.kind).map(|fill| fill_of(param.kind, fill)) {
                self.edits.push(Edit::Pad { param, axis, at, len, fill, like: like.clone() });
            }
        }
    }

    /// Scales the entries `range` of `axis` of every parameter among `params` that the table says
    /// is scaled.
    fn scale(&mut self, params: &[ParamId], axis: Axis, range: Range<usize>, by: f64) {
        let scaled =
            if self.architecture.form.norm_gains { self.row.scaled } else { self.row.scaled_bare };
        for &param in params.iter().filter(|param| scaled.contains(&param.kind)) {
            self.edits.push(Edit::Scale { param, axis, range: range.clone(), by });
        }
    }

    /// The layers that `layer` names: that one, or all of them.
    fn layers(&self, layer: Option<usize>) -> Result<Range<usize>, TransformError> {
        let n_layers = self.architecture.layers.len();
        match layer {
            None => Ok(0..n_layers),
            Some(layer) if layer < n_layers => Ok(layer..layer + 1),
            Some(layer) => Err(TransformError::NoLayer { layer, n_layers }),
        }
    }

    /// The (layer, head) pairs that a selection names, in order.
    fn heads(
        &self,
        layer: Option<usize>,
        heads: &Option<Vec<usize>>,
    ) -> Result<Vec<(usize, usize)>, TransformError> {
        let layers = self.layers(layer)?;
        let Some(heads) = heads else {
            return Ok(layers
                .flat_map(|l| {
                    (0..self.architecture.layers[l].heads.len()).map(move |head| (l, head))
                })
                .collect());
        };
        let layer = layer.ok_or(TransformError::HeadsWithoutLayer)?;
        let n_heads = self.architecture.layers[layer].heads.len();
        match heads.iter().find(|&&head| head >= n_heads) {
            Some(&head) => Err(TransformError::NoHead { layer, head, n_heads }),
            None => Ok(heads.iter().map(|&head| (layer, head)).collect()),
        }
    }

    fn refuse<T>(&self, why: impl Into<String>) -> Result<T, TransformError> {
        Err(TransformError::Refused { transform: self.row.transform.name(), why: why.into() })
    }

    fn head(&mut self, layer: usize, head: usize) -> &mut HeadShape {
        &mut self.architecture.layers[layer].heads[head]
    }
}

/// By how much an axis grows: an error if it would shrink, none if it is there already.
fn gain(
    from: usize,
    to: usize,
    what: impl FnOnce() -> String,
) -> Result<Option<usize>, TransformError> {
    match to.checked_sub(from) {
        _ if to > MAX_SIZE => Err(TransformError::Beyond { what: what(), to }),
        None => Err(TransformError::Shrinks { what: what(), from, to }),
        Some(0) => Ok(None),
        Some(len) => Ok(Some(len)),
    }
}

fn layer_params(architecture: &Architecture, layer: usize) -> Vec<ParamId> {
    ParamKind::of_layer(architecture.form).map(|kind| ParamId::in_layer(layer, kind)).collect()
}
