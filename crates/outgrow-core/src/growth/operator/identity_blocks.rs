use serde::{Deserialize, Serialize};

use super::{Method, OperatorError, builder::OperatorBuilder};
use crate::{edit::LayerCopy, growth::target::TargetShape, model::Architecture};

/// Block expansion of LLaMA-Pro (Wu et al., arXiv 2401.02415): after every N/n layers a copy of the
/// layer before, whose outputs are zero.
///
/// ```text
/// Ŵ = W of the layer before, but Ŵ_o = 0, Ŵ_2 = 0, b̂_2 = 0:    x + 0 + 0 = x
/// ```
///
/// N must be a multiple of the number n of new layers. Function preserving. (The norms' gains must
/// not be zeroed: then nothing in the layer would ever get a gradient.) LLaMA-Pro trains the new
/// layers only: `learning_rate = { kind = "new_only" }`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IdentityBlocks {}

impl Method for IdentityBlocks {
    fn grow(&self, builder: &mut OperatorBuilder) -> Result<(), OperatorError> {
        builder.only_depth()?;
        let from = builder.now.layers.len();
        let new = builder.to.layers.len() - from;
        if !from.is_multiple_of(new) {
            return builder.refuse(format!(
                "{new} new layers can't be spread evenly over {from}: it takes a divisor of {from}"
            ));
        }
        insert_silent(builder, &every(from, new));
        Ok(())
    }

    fn preserves(&self, _: &Architecture, _: &TargetShape) -> bool {
        true
    }
}

/// After which layers `new` ones stand, spread as evenly as can be; the last one after the last
/// layer.
pub(super) fn every(from: usize, new: usize) -> Vec<usize> {
    (1..=new).map(|n| (n * from).div_ceil(new) - 1).collect()
}

/// Inserts a silent copy after each of these layers (a layer may be named more than once).
pub(super) fn insert_silent(builder: &mut OperatorBuilder, after: &[usize]) {
    let mut copies = vec![];
    for layer in 0..builder.now.layers.len() {
        copies.push(LayerCopy { from: layer, is_new: false });
        let copy = LayerCopy { from: layer, is_new: true };
        copies.extend(after.iter().filter(|&&place| place == layer).map(|_| copy));
    }
    let new: Vec<usize> = (0..copies.len()).filter(|&layer| copies[layer].is_new).collect();
    builder.layers(copies);
    new.into_iter().for_each(|layer| builder.silence(layer));
}
