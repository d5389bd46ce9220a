use serde::{Deserialize, Serialize};

use crate::growth::{
    builder::{EditBuilder, gain, layer_params},
    error::TransformError,
};
use crate::model::Axis;

/// Attention expansion, k → k̂ (paper, section 3.4): wider queries and keys, of every layer, of one
/// layer, or of single heads.
///
/// W_q gains columns inside each query's slice (free), W_k gains columns (**zero**), and the old
/// W_k is scaled by √(k̂/k), which undoes the softmax scale's change from 1/√k to 1/√k̂ (biases
/// likewise):
///
/// ```text
/// [x W_q, x M_q] · [√(k̂/k) x W_k, 0] / √k̂ = x W_q · x W_k / √k
/// ```
///
/// Rotary positions turn the new pairs, too, at frequencies of their own; the old ones keep theirs
/// ([`crate::Rotary`]), and what is turned of a zero key is zero.
///
/// Valid where `d_k` is at least what it is, and more in some named head; under rotary positions it
/// must stay even. Where queries and keys are normed (QK-norm), it is refused: the norm's mean runs
/// over the new channels, so that free ones move it; were both W_q's and W_k's zero, they would
/// never learn.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AttentionExpansion {
    /// The layer, or none for every layer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layer: Option<usize>,
    /// The heads of that layer, or none for all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heads: Option<Vec<usize>>,
    /// The new key width.
    pub d_k: usize,
}

impl AttentionExpansion {
    pub(super) fn grow(&self, builder: &mut EditBuilder) -> Result<(), TransformError> {
        for (layer, head) in builder.heads(self.layer, &self.heads)? {
            let old = builder.head(layer, head).d_k;
            if let Some(len) =
                gain(old, self.d_k, || format!("d_k of head {head} of layer {layer}"))?
            {
                if builder.architecture.form.qk_norm_eps.is_some() {
                    return builder.refuse(format!(
                        "d_k can't grow from {old} to {} where queries and keys are normed \
                         (QK-norm): free new channels would move the norm's mean, and channels \
                         that are zero in both would never learn; add heads instead",
                        self.d_k
                    ));
                }
                let params = layer_params(&builder.architecture, layer);
                let start = builder.architecture.layers[layer].offset(Axis::Key, head);
                builder.scale(
                    &params,
                    Axis::Key,
                    start..start + old,
                    (self.d_k as f64 / old as f64).sqrt(),
                );
                builder.pad(&params, Axis::Key, start + old, len, start..start + old);
                let first = builder.architecture.layers[layer].offset(Axis::Query, head);
                for query in 0..builder.head(layer, head).n_queries {
                    // Those before it are wider already.
                    let start = first + query * self.d_k;
                    builder.pad(&params, Axis::Query, start + old, len, start..start + old);
                }
                builder.head(layer, head).d_k = self.d_k;
            }
        }
        Ok(())
    }
}
