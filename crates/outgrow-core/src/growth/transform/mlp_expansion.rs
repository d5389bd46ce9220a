use serde::{Deserialize, Serialize};

use crate::growth::{
    builder::{EditBuilder, gain, layer_params},
    error::TransformError,
};
use crate::model::Axis;

/// MLP expansion, p → p̂ (paper, section 3.1): more units in the MLP of one layer, or of every
/// layer.
///
/// W₁ gains columns and b₁ entries (free), W₂ gains rows (**zero**):
///
/// ```text
/// MLP̂(x) = ReLU(x [W₁ M₁] + [b₁ m₁]) [W₂; 0] = ReLU(x W₁ + b₁) W₂ + ReLU(x M₁ + m₁) 0 = MLP(x)
/// ```
///
/// With a gate, W_g gains columns likewise (free): act(x W_g) ∘ (x W₁) meets the same zero rows of
/// W₂.
///
/// Valid where `d_ff` is at least what it is, and more in some named layer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct MlpExpansion {
    /// The layer, or none for every layer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layer: Option<usize>,
    pub d_ff: usize,
}

impl MlpExpansion {
    pub(super) fn grow(&self, builder: &mut EditBuilder) -> Result<(), TransformError> {
        for layer in builder.layers(self.layer)? {
            let old = builder.architecture.layers[layer].d_ff;
            if let Some(len) = gain(old, self.d_ff, || format!("d_ff of layer {layer}"))? {
                builder.pad(
                    &layer_params(&builder.architecture, layer),
                    Axis::Ff,
                    old,
                    len,
                    0..old,
                );
                builder.architecture.layers[layer].d_ff = self.d_ff;
            }
        }
        Ok(())
    }
}
