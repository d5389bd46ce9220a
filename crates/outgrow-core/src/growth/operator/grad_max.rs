use serde::{Deserialize, Serialize};

use super::{Method, OperatorError, builder::OperatorBuilder};
use crate::{
    edit::{Edit, Fill},
    flops,
    growth::target::TargetShape,
    model::{Activation, Architecture, Axis, MAX_SIZE, ParamId, ParamKind},
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
/// that length: its Euclidean norm, or with `objective = "l1"` the sum of its absolute values, by
/// which Adam's first step lowers the loss (the power iteration r ← Mᵀ sign(M r) from each singular
/// vector, apart from those before it). It exists for units of MLPs and for value channels; nothing
/// else may grow, and no more than d_model new ones at once. Function preserving. A ReLU has no
/// slope at zero: new units stand at `b_1 = 1`, where it is one, and b_2 takes back the constant
/// that they add. Of a gated MLP the new gates are drawn; each unit then has an M of its own, x ∘
/// act(x w_g) for x. Where several queries read a value, M has the columns of all of them. One batch
/// of gradients is charged.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GradMax {
    /// c: length of the new rows over the mean length of the rows that are there.
    pub scale: f64,
    /// Sequences of the batch.
    pub batch_size: u64,
    /// What is made as large as it can be.
    #[serde(default, skip_serializing_if = "is_default")]
    pub objective: Objective,
}

/// The size of the new incoming weights' gradient.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Objective {
    /// ‖g‖₂, as published: what gradient descent's first step is proportional to.
    #[default]
    L2,
    /// Σ|g|: what Adam's is.
    L1,
}

fn is_default(objective: &Objective) -> bool {
    *objective == Objective::default()
}

impl Method for GradMax {
    fn grow(&self, builder: &mut OperatorBuilder) -> Result<(), OperatorError> {
        let form = builder.now.form;
        if form.branch_gains {
            return builder.refuse(
                "what it writes would reach the stream through gains: it is for models without \
                 branch gains",
            );
        }
        for layer in 0..builder.now.layers.len().min(builder.to.layers.len()) {
            let (now, to) = (builder.now.layers[layer].clone(), builder.to.layers[layer].clone());
            let most = builder.now.d_model;
            if to.d_ff > now.d_ff {
                if form.activation == Activation::Relu && !form.gated && !form.mlp_bias {
                    return builder.refuse(
                        "a ReLU has no slope at zero, and without biases no new unit can stand \
                         anywhere else: it would never learn",
                    );
                }
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
                    let len = goal.d_v - old;
                    let at = builder.now.layers[layer].offset(Axis::Value, head) + old;
                    pad(builder, layer, Axis::Value, at, len);
                    let first = builder.now.layers[layer].offset(Axis::Mixed, head);
                    for query in 0..now.heads[head].n_queries {
                        pad(builder, layer, Axis::Mixed, first + query * goal.d_v + old, len);
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

    fn is_fitted(&self) -> bool {
        true
    }

    fn flops(&self, from: &Architecture, _: &Architecture) -> u128 {
        u128::from(self.batch_size).saturating_mul(flops::train_flops(from, from.seq_len))
    }
}

/// New entries of an axis in one layer, zero until the gradients say what they are; gates are drawn.
fn pad(builder: &mut OperatorBuilder, layer: usize, axis: Axis, at: usize, len: usize) {
    let kinds = ParamKind::of_layer(builder.now.form).filter(|kind| kind.dim(axis).is_some());
    for kind in kinds.collect::<Vec<_>>() {
        let param = ParamId::in_layer(layer, kind);
        let fill = if kind == ParamKind::Wg { Fill::Free } else { Fill::Zero };
        builder.edits.push(Edit::Pad { param, axis, at, len, fill, like: 0..at });
    }
}
