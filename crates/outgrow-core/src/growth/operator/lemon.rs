use serde::{Deserialize, Serialize};

use super::{
    Method, OperatorError,
    builder::OperatorBuilder,
    identity_blocks::{every, insert_silent},
    units::{tiled, unequal},
};
use crate::{
    growth::{TargetShape, transform::HiddenExpansion},
    model::Architecture,
};

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
    fn grow(&self, builder: &mut OperatorBuilder) -> Result<(), OperatorError> {
        let (from, to) = (builder.now.layers.len(), builder.to.layers.len());
        if builder.to.layers.iter().any(|layer| *layer != builder.to.layers[0]) && from != to {
            return builder
                .refuse("to add layers, all layers of the target must have the same sizes");
        }
        builder.check_heads_whole()?;
        widen(builder)?;
        if to > from {
            insert_silent(builder, &every(from, to - from));
        }
        Ok(())
    }

    fn preserves(&self, _: &Architecture, _: &TargetShape) -> bool {
        true
    }
}

fn widen(builder: &mut OperatorBuilder) -> Result<(), OperatorError> {
    builder.copy_in_layers(unequal);
    let copies = builder.to.d_model / builder.now.d_model;
    if copies > 1 {
        builder.copy_channels(&tiled(builder.now.d_model, copies));
        builder.multiply_eps(copies);
    }
    if builder.to.d_model > builder.now.d_model {
        builder.transform(HiddenExpansion { d_model: builder.to.d_model })?;
    }
    Ok(())
}
