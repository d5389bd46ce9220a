use serde::{Deserialize, Serialize};

use super::{Method, OperatorError, builder::OperatorBuilder};
use crate::{
    edit::Edit,
    flops,
    growth::target::TargetShape,
    model::{Architecture, Axis, LayerShape, ParamId, parameters},
};

/// LiGO (Wang et al., arXiv 2303.00980): a learned linear map from the small model's weights to the
/// large one's.
///
/// ```text
/// Ŵ_l = Σ_j w_lj B_in W_j B_outᵀ,    B = [I; M]
/// ```
///
/// One B for the channels of the stream (tables, what reads and writes the stream, norms), and for
/// each source layer one for its queries, keys, values and units each; what reads values or units
/// takes the B of what writes them. The B of heads is laid out head by head: the channels of an old
/// head come first in its place among the new ones. Gains are scaled by √(d/d̂) and keys by
/// √(k̂/k), as of the transforms, so that with M = 0 the old model comes out; the paper, which
/// keeps the size of heads, has neither. One table w of depth for each kind of parameter. I stays;
/// M begins with random rows that add up to one, w as stacking plus U(0, 0.03), rows adding up to
/// one. M and w are learned by AdamW on the task's loss for `steps` batches of training text, the
/// rate falling to zero in a straight line; then the large model's weights are made and train on.
/// Not function preserving. Every one of its FLOPs is charged.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ligo {
    /// How many steps M and w are learned for (the paper: 100); with 0 the map is the one that
    /// learning begins with, the control that tells what learning adds.
    pub steps: u64,
    /// Their learning rate at first.
    pub learning_rate: f64,
    /// Sequences of each of these steps.
    pub batch_size: u64,
}

impl Method for Ligo {
    fn grow(&self, builder: &mut OperatorBuilder) -> Result<(), OperatorError> {
        builder.only_plain()?;
        let alike = |layers: &[LayerShape]| layers.iter().all(|layer| *layer == layers[0]);
        if !alike(&builder.now.layers) || !alike(&builder.to.layers) {
            return builder.refuse(
                "it mixes layers, so all layers of the model must have the same sizes, \
                         and all of the target",
            );
        }
        let (from, to) = (builder.now.layers[0].clone(), builder.to.layers[0].clone());
        if !from.fits(&to) {
            return builder
                .refuse("d_ff and the number of heads can't shrink, nor d_k and d_v of any head");
        }
        builder.now.d_model = builder.to.d_model;
        builder.now.layers = builder.to.layers.clone();
        let shapes =
            parameters(&builder.now).into_iter().map(|id| (id, id.shape(&builder.now))).collect();
        builder.edits.push(Edit::Remake(shapes));
        Ok(())
    }

    fn preserves(&self, _: &Architecture, _: &TargetShape) -> bool {
        false
    }

    fn check(&self) -> Result<(), OperatorError> {
        let refuse = |why: String| Err(OperatorError::Refused { operator: "ligo", why });
        match self {
            Ligo { batch_size: 0, .. } => refuse("`batch_size` is 0; it must be at least 1".into()),
            Ligo { learning_rate, .. } if !(learning_rate.is_finite() && *learning_rate > 0.0) => {
                refuse(format!(
                    "`learning_rate` is {learning_rate:?}; it must be a positive number"
                ))
            }
            _ => Ok(()),
        }
    }

    fn needs_data(&self) -> bool {
        true
    }

    fn flops(&self, from: &Architecture, to: &Architecture) -> u128 {
        let (steps, batch_size) = (u128::from(self.steps), u128::from(self.batch_size));
        let (made, step) = (
            expansion_flops(from, to),
            batch_size.saturating_mul(flops::train_flops(to, to.seq_len)),
        );
        steps.saturating_mul(step.saturating_add(3 * made)).saturating_add(made)
    }
}

/// FLOPs of making the large weights once: the products with B on each side, and the sums over
/// source layers.
fn expansion_flops(from: &Architecture, to: &Architecture) -> u128 {
    let size = |id: ParamId, axis: Axis, architecture: &Architecture| {
        id.kind.dim(axis).map_or(1, |dim| id.shape(architecture)[dim] as u128)
    };
    let products = parameters(from).into_iter().map(|id| {
        let target = ParamId { layer: id.layer.map(|_| 0), ..id };
        let mut done = u128::from(id.n_entries(from));
        let mut flops = 0;
        for &axis in id.kind.axes() {
            let (old, new) = (size(id, axis, from), size(target, axis, to));
            flops += if new > old { 2 * done * new } else { 0 };
            done = done / old * new;
        }
        flops
    });
    let in_layers = parameters(to).into_iter().filter(|id| id.layer.is_some());
    let layers: u128 = in_layers.map(|id| u128::from(id.n_entries(to))).sum();
    products.sum::<u128>() + 2 * layers * from.layers.len() as u128
}
