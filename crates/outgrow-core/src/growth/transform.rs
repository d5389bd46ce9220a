//! The six function-preserving transforms of arXiv 2308.06103, section 3, as lists of edits.
//!
//! One rule makes all six exact: *what reads the new entries is free; what writes them into
//! something old is zero; a mean or a 1/√d is undone by a scale.* Who is free, zero or scaled
//! stands in [`super::TABLE`] and nowhere else; each transform's file says which axes it pads, and
//! why that preserves the function.

mod attention_expansion;
mod head_addition;
mod heads_expansion;
mod hidden_expansion;
mod layer_addition;
mod mlp_expansion;

use serde::{Deserialize, Serialize};

pub use self::{
    attention_expansion::AttentionExpansion, head_addition::HeadAddition,
    heads_expansion::HeadsExpansion, hidden_expansion::HiddenExpansion,
    layer_addition::LayerAddition, mlp_expansion::MlpExpansion,
};

use super::{builder::EditBuilder, error::TransformError, grown::Grown, table::TransformKind};
use crate::model::Architecture;

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

impl Transform {
    /// Enlarges `architecture`: the new sizes, and the edits that take parameters there.
    ///
    /// # Errors
    /// If the transform names what is not there, shrinks an axis, or changes nothing.
    pub fn grow(&self, architecture: &Architecture) -> Result<Grown, TransformError> {
        let mut builder = EditBuilder {
            architecture: architecture.clone(),
            edits: vec![],
            row: self.kind().row(),
        };
        match self {
            Transform::MlpExpansion(t) => t.grow(&mut builder)?,
            Transform::HeadAddition(t) => t.grow(&mut builder)?,
            Transform::HeadsExpansion(t) => t.grow(&mut builder)?,
            Transform::AttentionExpansion(t) => t.grow(&mut builder)?,
            Transform::HiddenExpansion(t) => t.grow(&mut builder)?,
            Transform::LayerAddition(t) => t.grow(&mut builder)?,
        }
        if builder.edits.is_empty() {
            return Err(TransformError::Nothing(self.kind().name()));
        }
        builder.architecture.validate()?;
        Ok(Grown { architecture: builder.architecture, edits: builder.edits })
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
