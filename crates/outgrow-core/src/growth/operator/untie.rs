use serde::{Deserialize, Serialize};

use super::{Method, OperatorError, builder::OperatorBuilder};
use crate::{edit::Edit, growth::target::TargetShape, model::Architecture};

/// Gives layers that use another's weights weights of their own, which are equal at first (share,
/// then untie: Yang et al., arXiv 2110.03848).
///
/// ```text
/// Ŵ_l = W_of(l)
/// ```
///
/// Function preserving to the last bit: the forward pass reads equal values in other memory. All
/// layers are untied, or those that have weights of their own in the target; no size changes. Until
/// then the gradient of the shared weights was the sum over their R passes; the moments of each
/// that survives become its part of it, m/R and v/R². With `growth.optimizer = "scaled_copy"` the
/// new owners bring theirs along, too.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Untie {}

impl Method for Untie {
    fn grow(&self, builder: &mut OperatorBuilder) -> Result<(), OperatorError> {
        let (now, to) = (builder.now.clone(), builder.to);
        let same_sizes = |layer: usize| now.layers[layer].untied() == to.layers[layer].untied();
        if to.d_model != now.d_model
            || to.layers.len() != now.layers.len()
            || !(0..now.layers.len()).all(same_sizes)
        {
            return builder.refuse(
                "it changes no sizes: initial and target must differ only in which layers have \
                 weights of their own",
            );
        }
        for owner in 0..now.layers.len() {
            let passes = now.passes(owner);
            let leaves = |&layer: &usize| layer != owner && to.layers[layer].of.is_none();
            let layers: Vec<usize> = passes.iter().copied().filter(leaves).collect();
            if layers.is_empty() {
                continue;
            }
            layers.iter().for_each(|&layer| builder.now.layers[layer].of = None);
            builder.edits.push(Edit::Untie { owner, layers, passes: passes.len() });
        }
        Ok(())
    }

    fn preserves(&self, _: &Architecture, _: &TargetShape) -> bool {
        true
    }

    fn shares(&self) -> bool {
        true
    }
}
