use serde::{Deserialize, Serialize};

use super::{Method, OperatorError, Spacing, builder::OperatorBuilder, units::first_survives};
use crate::{growth::target::TargetShape, model::Architecture};

/// Stacking: the whole model several times over in depth.
///
/// ```text
/// block (ABCABC):      Ŵ_l = W_{l mod N}          StackBERT (Gong et al. 2019); G_stack (Du et al., arXiv 2405.15319)
/// interleave (AABBCC): Ŵ_l = W_{⌊l N / N̂⌋}        interposition
/// ```
///
/// N̂ must be a multiple of N. Not function preserving. G_stack is one growth by a factor of 4 at
/// an early place, with a fresh optimizer (`growth = { optimizer = "reset", … }`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct Stack {
    pub order: Order,
}

/// The order of copied layers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// ABCABC.
    Block,
    /// AABBCC.
    Interleave,
}

impl Method for Stack {
    fn grow(&self, builder: &mut OperatorBuilder) -> Result<(), OperatorError> {
        builder.only_depth()?;
        let (from, to) = (builder.now.layers.len(), builder.to.layers.len());
        let times = builder.factor("n_layers", from, to)?;
        let source = |layer: usize| match self.order {
            Order::Block => layer % from,
            Order::Interleave => layer / times,
        };
        builder.layers(first_survives((0..to).map(source)));
        Ok(())
    }

    fn preserves(&self, _: &Architecture, _: &TargetShape) -> bool {
        false
    }

    fn spacing(&self) -> Spacing {
        Spacing::Geometric
    }
}
