use serde::{Deserialize, Serialize};

use super::{Method, OperatorError, builder::OperatorBuilder};
use crate::{
    edit::{Edit, Fill},
    flops,
    growth::target::TargetShape,
    model::{Architecture, Axis, MAX_SIZE, ParamId, ParamKind},
};

/// GradMax (Evci et al., arXiv 2201.05125): new units that read nothing yet and write where the
/// loss wants it most.
///
/// ```text
/// M = Σ xᵀ ∂L/∂y     x what the layer reads, y what it adds to the stream, over a batch
/// units    Ŵ_1 = 0 on the new columns; new rows of W_2: the first right singular vectors of M, each as long as c times the mean row of W_2
/// values   Ŵ_v = 0 on the new columns; new rows of W_o likewise, with x what the head's attention would pass on of the stream
/// ```
///
/// The gradient on the new incoming weights is then as large as it can be for outgoing weights of
/// that length. It exists for units of MLPs and for value channels; nothing else may grow, and no
/// more than d_model new ones at once. Function preserving. A ReLU has no slope at zero: new units
/// stand at `b_1 = 1`, where it is one, and b_2 takes back the constant that they add. One batch of
/// gradients is charged.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GradMax {
    /// c: length of the new rows over the mean length of the rows that are there.
    pub scale: f64,
    /// Sequences of the batch.
    pub batch_size: u64,
}

impl Method for GradMax {
    fn grow(&self, builder: &mut OperatorBuilder) -> Result<(), OperatorError> {
        builder.only_plain()?;
        for layer in 0..builder.now.layers.len().min(builder.to.layers.len()) {
            let (now, to) = (builder.now.layers[layer].clone(), builder.to.layers[layer].clone());
            let most = builder.now.d_model;
            if to.d_ff > now.d_ff {
                if to.d_ff - now.d_ff > most {
                    return builder.refuse(format!(
                        "there are {most} directions of the stream, but layer {layer} should get \
                         {} new units",
                        to.d_ff - now.d_ff
                    ));
                }
                pad(builder, layer, Axis::Ff, now.d_ff, to.d_ff - now.d_ff);
                builder.now.layers[layer].d_ff = to.d_ff;
            }
            for (head, goal) in to.heads.iter().enumerate().take(now.heads.len()) {
                let old = now.heads[head].d_v;
                if goal.d_v > old && goal.d_v - old <= most {
                    for axis in [Axis::Value, Axis::Mixed] {
                        let at = builder.now.layers[layer].offset(axis, head) + old;
                        pad(builder, layer, axis, at, goal.d_v - old);
                    }
                    builder.now.layers[layer].heads[head].d_v = goal.d_v;
                }
            }
        }
        Ok(())
    }

    fn preserves(&self, _: &Architecture, _: &TargetShape) -> bool {
        true
    }

    fn check(&self) -> Result<(), OperatorError> {
        let refuse = |why: String| Err(OperatorError::Refused { operator: "grad_max", why });
        match self {
            GradMax { batch_size, .. } if !(1..=MAX_SIZE as u64).contains(batch_size) => {
                refuse(format!("`batch_size` is {batch_size}; it must be from 1 to {MAX_SIZE}"))
            }
            GradMax { scale, .. } if !(1e-12..=1e6).contains(scale) => refuse(format!(
                "`scale` is {scale:?}; it must be from 1e-12 to 1e6, or new units never learn"
            )),
            _ => Ok(()),
        }
    }

    fn needs_data(&self) -> bool {
        true
    }

    fn flops(&self, from: &Architecture, _: &Architecture) -> u128 {
        u128::from(self.batch_size).saturating_mul(flops::train_flops(from, from.seq_len))
    }
}

/// New entries of an axis in one layer, zero until the gradients say what they are.
fn pad(builder: &mut OperatorBuilder, layer: usize, axis: Axis, at: usize, len: usize) {
    let kinds = ParamKind::of_layer(builder.now.form).filter(|kind| kind.dim(axis).is_some());
    for kind in kinds.collect::<Vec<_>>() {
        let param = ParamId::in_layer(layer, kind);
        builder.edits.push(Edit::Pad { param, axis, at, len, fill: Fill::Zero, like: 0..at });
    }
}
