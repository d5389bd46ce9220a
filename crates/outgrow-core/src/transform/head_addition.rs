use serde::{Deserialize, Serialize};

use super::{Draft, TransformError, layer_params};
use crate::{architecture::HeadShape, param::Axis};

/// Head addition, E → E + n (paper, section 3.2): new heads after the others, in one layer or in every layer.
///
/// W_q, W_k and W_v gain the new heads' columns (free), W_o gains their rows (**zero**):
///
/// ```text
/// MHÂ(x) = Σₑ Hₑ W_o,ₑ + Σ_new H_new 0 = MHA(x)
/// ```
///
/// A new head may have any sizes of its own; unless given, they are those of the layer's last head.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeadAddition {
    /// The layer, or none for every layer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layer: Option<usize>,
    /// How many heads come in addition.
    pub n_new_heads: usize,
    /// Key width of the new heads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub d_k: Option<usize>,
    /// Value width of the new heads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub d_v: Option<usize>,
}

impl HeadAddition {
    pub(super) fn grow(&self, draft: &mut Draft) -> Result<(), TransformError> {
        for layer in draft.layers(self.layer)? {
            let shape = &draft.architecture.layers[layer];
            let (keys, values, last) = (shape.keys(), shape.values(), shape.heads[shape.heads.len() - 1]);
            let new = HeadShape { d_k: self.d_k.unwrap_or(last.d_k), d_v: self.d_v.unwrap_or(last.d_v) };
            // The bound before the multiplication: a request may come from a file.
            let n_heads = shape.heads.len().saturating_add(self.n_new_heads);
            crate::architecture::check_heads(layer, n_heads, new)?;
            if self.n_new_heads > 0 {
                let params = layer_params(&draft.architecture, layer);
                draft.pad(&params, Axis::Key, keys, self.n_new_heads * new.d_k, 0..keys);
                draft.pad(&params, Axis::Value, values, self.n_new_heads * new.d_v, 0..values);
                draft.architecture.layers[layer].heads.resize(n_heads, new);
            }
        }
        Ok(())
    }
}
