use serde::{Deserialize, Serialize};

use super::{
    Method, OperatorError, Way,
    identity_blocks::{every, insert_silent},
    tiled, unequal,
};
use crate::{architecture::Architecture, growth::Goal, transform::HiddenExpansion};

/// LEMON (Wang et al., arXiv 2310.07999): lossless expansion to any width.
///
/// ```text
/// units, heads     unit j copies j mod n; what reads its copies gets unequal parts α_1 + … + α_c = 1
/// channels         ⌊ĥ/h⌋ whole copies; the rest are the mean of the channels (LayerNorm) or zero (RMSNorm), and what
///                  reads them is free; gains × √(⌊ĥ/h⌋ h / ĥ)
/// layers           copies with W_o = 0, W_2 = 0, b_2 = 0
/// ```
///
/// d_k and d_v stay. Function preserving. Unequal parts give equal units unequal gradients, so they
/// become different. New layers are spread evenly, each after the layer that it copies. The paper
/// trains on with the learning rate of a model of the target size and a faster decay.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lemon {}

impl Method for Lemon {
    fn grow(&self, way: &mut Way) -> Result<(), OperatorError> {
        let (from, to) = (way.now.layers.len(), way.to.layers.len());
        if way.to.layers.iter().any(|layer| *layer != way.to.layers[0]) && from != to {
            return way.refuse("to add layers, all layers of the target must have the same sizes");
        }
        way.check_heads_whole()?;
        widen(way)?;
        if to > from {
            insert_silent(way, &every(from, to - from));
        }
        Ok(())
    }

    fn preserves(&self, _: &Architecture, _: &Goal) -> bool {
        true
    }
}

fn widen(way: &mut Way) -> Result<(), OperatorError> {
    way.copy_in_layers(unequal);
    let copies = way.to.d_model / way.now.d_model;
    if copies > 1 {
        way.copy_channels(&tiled(way.now.d_model, copies));
        way.multiply_eps(copies);
    }
    if way.to.d_model > way.now.d_model {
        way.transform(HiddenExpansion { d_model: way.to.d_model })?;
    }
    Ok(())
}
