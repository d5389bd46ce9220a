use serde::{Deserialize, Serialize};

use super::{
    Method, OperatorError,
    builder::{HEAD_AXES, OperatorBuilder},
    units::{Share, drawn, first_survives},
};
use crate::{
    growth::target::TargetShape,
    model::{Architecture, Axis, ParamId, ParamKind},
};

/// bert2BERT (Chen et al., arXiv 2110.07143): width by copying, then depth by stacking.
///
/// ```text
/// in-expansion    U_l[j, ·] = W_l[g_in(j), ·] / c                    (what reads)
/// own (FPI)       Ŵ_l = U_l and, for new outputs j, U_l[·, g_out(j)]
/// next_layer      Ŵ_l = U_l and, for new outputs j, U_{l+1}[·, g_out(j)]   (AKI; the last layer takes its own)
/// depth           the model ⌊N̂/N⌋ times, the rest from the top
/// ```
///
/// The maps g are drawn as in Net2Net, one for the stream, one for each layer's units and heads; a
/// layer's outputs and the inputs that read them share it. AKI needs the same map in neighbouring
/// layers, so all layers of a model share theirs. Heads are copied as wholes. Function preserving
/// only as FPI without new channels and layers (the norm is not: published as a step of the loss
/// from 1.67 to 1.70 when 512 channels become 768).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bert2Bert {
    /// What new outputs know.
    pub knowledge: Knowledge,
}

/// Where new outputs come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Knowledge {
    /// The layer itself (FPI).
    Own,
    /// The next layer (AKI).
    NextLayer,
}

impl Method for Bert2Bert {
    fn grow(&self, builder: &mut OperatorBuilder) -> Result<(), OperatorError> {
        if self.knowledge == Knowledge::NextLayer
            && builder.now.layers.iter().any(|layer| *layer != builder.now.layers[0])
        {
            return builder
                .refuse("with knowledge of the next layer, all layers must have the same sizes");
        }
        let (n, to) = (builder.now.layers.len(), builder.to.layers.len());
        let source = |layer: usize| if layer < to / n * n { layer % n } else { layer + n - to };
        let order: Vec<usize> = (0..to).map(source).collect();
        builder.check_heads_whole()?;
        self.widen(builder);
        if order.len() > n {
            builder.layers(first_survives(order));
        }
        Ok(())
    }

    fn preserves(&self, from: &Architecture, to: &TargetShape) -> bool {
        self.knowledge == Knowledge::Own
            && from.d_model == to.d_model
            && from.layers.len() == to.layers.len()
    }
}

impl Bert2Bert {
    /// In-expansions of all layers first: an out-expansion of AKI reads the next layer's.
    fn widen(&self, builder: &mut OperatorBuilder) {
        let (layer, to) = (builder.now.layers[0].clone(), builder.to.layers[0].clone());
        let shared = [
            drawn(layer.d_ff, to.d_ff, &mut builder.rng),
            drawn(layer.heads.len(), to.heads.len(), &mut builder.rng),
        ];
        let maps: Vec<[Vec<Share>; 2]> = (0..builder.now.layers.len())
            .map(|number| match self.knowledge {
                Knowledge::NextLayer => shared.clone(),
                Knowledge::Own => {
                    let (now, to) =
                        (builder.now.layers[number].clone(), &builder.to.layers[number]);
                    let units = drawn(now.d_ff, to.d_ff, &mut builder.rng);
                    [units, drawn(now.heads.len(), to.heads.len(), &mut builder.rng)]
                }
            })
            .collect();
        let channels = drawn(builder.now.d_model, builder.to.d_model, &mut builder.rng);
        for reads in [true, false] {
            self.expand_channels(builder, &channels, reads);
            for (number, [units, heads]) in maps.iter().enumerate() {
                self.expand_layer(builder, number, units, heads, reads);
            }
        }
        builder.now.d_model = channels.len();
        for (number, [units, heads]) in maps.iter().enumerate() {
            builder.now.layers[number].d_ff = units.len();
            builder.set_heads(number, heads);
        }
    }

    fn expand_channels(&self, builder: &mut OperatorBuilder, channels: &[Share], reads: bool) {
        let params = builder
            .params(Axis::Model, None)
            .into_iter()
            .filter(|id| id.kind.reads(Axis::Model) == reads);
        for param in params.collect::<Vec<_>>() {
            builder.gather(
                param,
                Axis::Model,
                channels,
                builder.now.d_model,
                self.next(builder, param, reads),
            );
        }
    }

    fn expand_layer(
        &self,
        builder: &mut OperatorBuilder,
        layer: usize,
        units: &[Share],
        heads: &[Share],
        reads: bool,
    ) {
        let ff = (Axis::Ff, units.to_vec(), builder.now.layers[layer].d_ff);
        let of_heads = HEAD_AXES.map(|axis| {
            let (entries, old) = builder.head_entries(layer, axis, heads);
            (axis, entries, old)
        });
        for (axis, shares, old) in [ff].into_iter().chain(of_heads) {
            let params = builder
                .params(axis, Some(layer))
                .into_iter()
                .filter(|id| id.kind.reads(axis) == reads);
            for param in params.collect::<Vec<_>>() {
                builder.gather(param, axis, &shares, old, self.next(builder, param, reads));
            }
        }
    }

    /// The next layer's parameter, where new outputs are to come from there. The layers are
    /// expanded from the first to the last, so it is not yet expanded itself.
    fn next(&self, builder: &OperatorBuilder, param: ParamId, reads: bool) -> Option<ParamId> {
        let next =
            param.layer.map(|layer| layer + 1).filter(|&layer| layer < builder.now.layers.len())?;
        let matrix = !param.kind.is_gain()
            && !param.kind.is_norm_bias()
            && !matches!(param.kind, ParamKind::Bo | ParamKind::B2);
        (self.knowledge == Knowledge::NextLayer && !reads && matrix)
            .then(|| ParamId::in_layer(next, param.kind))
    }
}
