use serde::{Deserialize, Serialize};

use crate::growth::{
    builder::{EditBuilder, gain, layer_params},
    error::TransformError,
};
use crate::model::Axis;

/// Heads expansion, v → v̂ (paper, section 3.3): wider values, of every layer, of one layer, or of
/// single heads.
///
/// W_v gains columns inside the head's slice (free), W_o gains rows inside the slice of each query
/// that reads it (**zero**):
///
/// ```text
/// Ĥₑ Ŵ_o,ₑ = [Hₑ, softmax(·) x M_v] [W_o,ₑ; 0] = Hₑ W_o,ₑ
/// ```
///
/// Valid where `d_v` is at least what it is, and more in some named head.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeadsExpansion {
    /// The layer, or none for every layer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layer: Option<usize>,
    /// The heads of that layer, or none for all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heads: Option<Vec<usize>>,
    /// The new value width.
    pub d_v: usize,
}

impl HeadsExpansion {
    pub(super) fn grow(&self, builder: &mut EditBuilder) -> Result<(), TransformError> {
        for (layer, head) in builder.heads(self.layer, &self.heads)? {
            let old = builder.head(layer, head).d_v;
            if let Some(len) =
                gain(old, self.d_v, || format!("d_v of head {head} of layer {layer}"))?
            {
                let params = layer_params(&builder.architecture, layer);
                let start = builder.architecture.layers[layer].offset(Axis::Value, head);
                builder.pad(&params, Axis::Value, start + old, len, start..start + old);
                let first = builder.architecture.layers[layer].offset(Axis::Mixed, head);
                for query in 0..builder.head(layer, head).n_queries {
                    // Those before it are wider already.
                    let start = first + query * self.d_v;
                    builder.pad(&params, Axis::Mixed, start + old, len, start..start + old);
                }
                builder.head(layer, head).d_v = self.d_v;
            }
        }
        Ok(())
    }
}
