//! The sizes that a growth leads to.

use serde::{Deserialize, Serialize};

use super::error::TransformError;
use crate::model::{Architecture, LayerShape, MAX_COUNT};

/// The sizes that an operator leads to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct TargetShape {
    /// Width of the residual stream.
    pub d_model: usize,
    pub layers: Vec<LayerShape>,
}

impl TargetShape {
    /// The sizes of an architecture whose layers all grow to `sizes`; new layers are like the last
    /// one.
    ///
    /// # Errors
    /// If queries can't share keys and values evenly.
    pub fn reach(architecture: &Architecture, sizes: &Sizes) -> Result<Self, TransformError> {
        let mut layers = architecture.layers.clone();
        let n_layers = sizes.n_layers.unwrap_or(layers.len()).min(MAX_COUNT + 1);
        layers.resize(n_layers, layers[layers.len() - 1].untied());
        for (number, layer) in layers.iter_mut().enumerate() {
            let (n, queries) = sizes.heads(number, layer)?;
            let last = layer.heads[layer.heads.len() - 1];
            layer.heads.resize(n.min(MAX_COUNT + 1), last);
            layer.d_ff = sizes.d_ff.unwrap_or(layer.d_ff);
            for head in &mut layer.heads {
                head.n_queries = queries.unwrap_or(head.n_queries);
                head.d_k = sizes.d_k.unwrap_or(head.d_k);
                head.d_v = sizes.d_v.unwrap_or(head.d_v);
            }
        }
        Ok(Self { d_model: sizes.d_model.unwrap_or(architecture.d_model), layers })
    }

    /// The sizes of an architecture.
    pub fn of(architecture: &Architecture) -> Self {
        Self { d_model: architecture.d_model, layers: architecture.layers.clone() }
    }
}

/// Sizes that a whole model is to reach, the same in every layer; what is left out stays as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct Sizes {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub d_model: Option<usize>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub n_layers: Option<usize>,
    /// Query heads of a layer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub n_heads: Option<usize>,
    /// How many keys and values they share; in a model where each head has its own, as many as
    /// there are heads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub n_kv_heads: Option<usize>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub d_k: Option<usize>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub d_v: Option<usize>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub d_ff: Option<usize>,
}

impl Sizes {
    /// Others, and these where the others say nothing.
    pub fn over(self, others: Self) -> Self {
        Self {
            d_model: others.d_model.or(self.d_model),
            n_layers: others.n_layers.or(self.n_layers),
            n_heads: others.n_heads.or(self.n_heads),
            n_kv_heads: others.n_kv_heads.or(self.n_kv_heads),
            d_k: others.d_k.or(self.d_k),
            d_v: others.d_v.or(self.d_v),
            d_ff: others.d_ff.or(self.d_ff),
        }
    }

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
