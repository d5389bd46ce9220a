use serde::{Deserialize, Serialize};

use super::{Method, OperatorError, Way, first_survives};
use crate::{architecture::Architecture, growth::Goal};

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
    fn grow(&self, way: &mut Way) -> Result<(), OperatorError> {
        way.only_depth()?;
        let (from, to) = (way.now.layers.len(), way.to.layers.len());
        if !to.is_multiple_of(2) || to > 2 * from {
            return way.refuse(format!(
                "from {from} layers it leads to an even number up to {}, not to {to}",
                2 * from
            ));
        }
        let kept = to / 2;
        way.layers(first_survives((0..kept).chain(from - kept..from)));
        Ok(())
    }

    fn preserves(&self, _: &Architecture, _: &Goal) -> bool {
        false
    }
}
