use serde::{Deserialize, Serialize};

use super::{
    Method, OperatorError,
    builder::{HEAD_AXES, OperatorBuilder},
};
use crate::{
    edit::{Edit, Unit},
    growth::target::TargetShape,
    model::{Architecture, Axis, ParamId},
};

/// SPARKLING's copies that preserve the root mean square of activations, and not the function.
///
/// ```text
/// unit j copies j mod d;  what writes it is copied as it is;
/// what reads d̂ channels that copy d:  Ŵ = f W,   f = √(d / (3d̂ − 2d)) for d < d̂ ≤ 2d,   d / d̂ beyond
/// ```
///
/// (With d̂ − d of d inputs counted twice, the variance of a sum is (2d − d̂) + 4(d̂ − d) = 3d̂ −
/// 2d instead of d.) It adds no layers; d_k and d_v stay. The paper keeps the moments of old
/// entries, sets those of new ones to zero, and re-warms the rate of the new entries: `growth = {
/// optimizer = "keep_entry_age", learning_rate = { kind = "rewarm_new", … }, … }`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sparkling {}

impl Method for Sparkling {
    fn grow(&self, builder: &mut OperatorBuilder) -> Result<(), OperatorError> {
        builder.only_width()?;
        builder.check_heads_whole()?;
        for layer in 0..builder.now.layers.len() {
            let (now, to) = (builder.now.layers[layer].clone(), builder.to.layers[layer].clone());
            let heads: Vec<usize> =
                (0..to.heads.len()).map(|head| head % now.heads.len()).collect();
            let of_heads = HEAD_AXES.map(|axis| (axis, now.width(axis), to.width(axis)));
            for (axis, old, new) in [(Axis::Ff, now.d_ff, to.d_ff)].into_iter().chain(of_heads) {
                for param in builder.params(axis, Some(layer)) {
                    copy(builder, param, axis, old, new);
                }
            }
            builder.now.layers[layer].d_ff = to.d_ff;
            builder.now.layers[layer].heads =
                heads.into_iter().map(|head| now.heads[head]).collect();
        }
        let (old, new) = (builder.now.d_model, builder.to.d_model);
        for param in builder.params(Axis::Model, None) {
            copy(builder, param, Axis::Model, old, new);
        }
        builder.now.d_model = new;
        Ok(())
    }

    fn preserves(&self, _: &Architecture, _: &TargetShape) -> bool {
        false
    }
}

/// f, for what reads `new` channels that copy `old` ones.
fn factor(old: usize, new: usize) -> f64 {
    let (d, grown) = (old as f64, new as f64);
    if new <= 2 * old { (d / (3.0 * grown - 2.0 * d)).sqrt() } else { d / grown }
}

fn copy(builder: &mut OperatorBuilder, param: ParamId, axis: Axis, old: usize, new: usize) {
    if new == old {
        return;
    }
    let weight = if param.kind.reads(axis) { factor(old, new) } else { 1.0 };
    let unit = |i: usize| Unit { from: i % old, weight, gradient: 1.0, is_new: i >= old };
    builder.edits.push(Edit::Gather {
        param,
        axis,
        units: (0..new).map(unit).collect(),
        new_from: None,
    });
}
