use serde::{Deserialize, Serialize};

use super::{Method, OperatorError, builder::OperatorBuilder};
use crate::{
    edit::{Edit, Fill},
    growth::{Sizes, TargetShape, reach},
    model::{Architecture, Norm},
};

/// Masked structural growth (Yao et al., arXiv 2305.02869): every new entry is made by the
/// initializer, and a mask c before what the transforms would have to make zero opens from 0 to 1.
///
/// ```text
/// Ŵ_effective = c Ŵ on the entries that must be zero;     c = min(1, tokens since the growth / ramp_tokens)
/// norms: gains × √(h_c / ĥ), keys: W_k × √(k̂ / k_c)       with h_c = h + c (ĥ − h), k_c = k + c (k̂ − k)
/// layers: x + c (attention and MLP of x)                  (the mask stands before W_o, W₂ and b₂)
/// ```
///
/// At c = 0 this is the transforms' own function, so it is preserved whatever the initializer; at c
/// = 1 the mask is gone. With `ramp_tokens = 0` there is never a mask: the same entries without
/// function preservation, the control that tells the one from the other. The paper masks
/// activations; a mask before the weights that read or write them is the same, but for the norms of
/// a growing stream, whose new channels count by c² instead of c while it opens. One growth at a
/// time: the mask must be open before the next one, and before the trial ends.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Msg {
    /// How long the mask takes to open.
    pub ramp_tokens: u64,
}

impl Method for Msg {
    fn grow(&self, builder: &mut OperatorBuilder) -> Result<(), OperatorError> {
        if builder.now.form.norm == Norm::LayerNorm && builder.to.d_model > builder.now.d_model {
            return builder.refuse(
                "a mask can't keep the mean that a LayerNorm subtracts: it widens the stream \
                 under RMSNorm only",
            );
        }
        let [sizes] = &sizes(builder.to)[..] else {
            return builder
                .refuse("all layers and all heads of the target must have the same sizes");
        };
        let operator = builder.operator;
        let refused = |error| OperatorError::Transform { operator, error };
        for transform in reach(&builder.now, sizes).map_err(refused)? {
            // What is there already needs no transform.
            let Ok(grown) = transform.grow(&builder.now) else { continue };
            builder.now = grown.architecture;
            builder.edits.extend(grown.edits.into_iter().map(masked));
        }
        Ok(())
    }

    fn preserves(&self, _: &Architecture, _: &TargetShape) -> bool {
        self.ramp_tokens > 0
    }

    fn ramp_tokens(&self) -> u64 {
        self.ramp_tokens
    }
}

/// The sizes that all layers have; none or several if they differ.
fn sizes(goal: &TargetShape) -> Vec<Sizes> {
    let mut all: Vec<Sizes> = vec![];
    for layer in &goal.layers {
        for head in &layer.heads {
            let sizes = Sizes {
                d_model: Some(goal.d_model),
                n_layers: Some(goal.layers.len()),
                n_heads: Some(layer.n_heads()),
                n_kv_heads: Some(layer.heads.len()),
                d_k: Some(head.d_k),
                d_v: Some(head.d_v),
                d_ff: Some(layer.d_ff),
            };
            if !all.contains(&sizes) {
                all.push(sizes);
            }
        }
    }
    all
}

/// What a transform demands, left to a mask.
fn masked(edit: Edit) -> Edit {
    let open = |fill: Fill| if fill == Fill::Zero { Fill::Masked } else { fill };
    match edit {
        Edit::Pad { param, axis, at, len, fill, like } => {
            Edit::Pad { param, axis, at, len, fill: open(fill), like }
        }
        Edit::Scale { param, axis, range, by } => Edit::MaskedScale { param, axis, range, by },
        Edit::InsertLayer { index, params, like } => {
            let params =
                params.into_iter().map(|(kind, shape, fill)| (kind, shape, open(fill))).collect();
            Edit::InsertLayer { index, params, like }
        }
        other => other,
    }
}
