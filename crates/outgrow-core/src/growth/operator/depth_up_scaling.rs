use serde::{Deserialize, Serialize};

use super::{Method, OperatorError, builder::OperatorBuilder, units::first_survives};
use crate::{growth::target::TargetShape, model::Architecture};

/// Depth up-scaling: two copies of the model on top of each other, the upper without its first m
/// layers, the lower without its last m (SOLAR; Kim et al., arXiv 2312.15166).
///
/// ```text
/// layers 0 … N−m−1, then m … N−1;    N̂ = 2(N − m)
/// ```
///
/// N̂ must be even and at most 2N. Not function preserving.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DepthUpScaling {}

impl Method for DepthUpScaling {
    fn grow(&self, builder: &mut OperatorBuilder) -> Result<(), OperatorError> {
        builder.only_depth()?;
        let (from, to) = (builder.now.layers.len(), builder.to.layers.len());
        if !to.is_multiple_of(2) || to > 2 * from {
            return builder.refuse(format!(
                "from {from} layers it leads to an even number up to {}, not to {to}",
                2 * from
            ));
        }
        let kept = to / 2;
        builder.layers(first_survives((0..kept).chain(from - kept..from)));
        Ok(())
    }

    fn preserves(&self, _: &Architecture, _: &TargetShape) -> bool {
        false
    }
}
