use serde::{Deserialize, Serialize};

use super::{Method, OperatorError, builder::OperatorBuilder, units::first_survives};
use crate::{growth::target::TargetShape, model::Architecture};

/// Gradual stacking: b more layers at each growth, as copies of b layers that stand together.
///
/// ```text
/// last:    layers 0 … N−1, then N−b … N−1 again          (progressive stacking; Reddi et al. 2023)
/// middle:  the block from ⌊(N−b)/2⌋ on stands twice      MIDAS (Saunshi et al., arXiv 2409.19044)
/// ```
///
/// At most N layers can be copied at once. Not function preserving.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct GradualStack {
    pub block: Block,
}

/// Which layers are copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Block {
    /// Those nearest to the output.
    Last,
    /// Those in the middle.
    Middle,
}

impl Method for GradualStack {
    fn grow(&self, builder: &mut OperatorBuilder) -> Result<(), OperatorError> {
        builder.only_depth()?;
        let from = builder.now.layers.len();
        let new = builder.to.layers.len() - from;
        if new > from {
            return builder.refuse(format!(
                "it can copy at most the {from} layers that are there at once, but {new} are \
                 missing"
            ));
        }
        let begin = match self.block {
            Block::Last => from - new,
            Block::Middle => (from - new) / 2,
        };
        builder.layers(first_survives((0..begin + new).chain(begin..from)));
        Ok(())
    }

    fn preserves(&self, _: &Architecture, _: &TargetShape) -> bool {
        false
    }
}
