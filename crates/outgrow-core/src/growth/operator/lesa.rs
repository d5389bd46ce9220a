use serde::{Deserialize, Serialize};

use super::{Method, OperatorError, builder::OperatorBuilder, units::first_survives};
use crate::{
    growth::target::TargetShape,
    model::{Architecture, ParamId, ParamKind},
};

/// LESA (Yang et al., arXiv 2502.13794): layers between layers, as a network predicts them that has
/// learned to predict each layer from its neighbours.
///
/// ```text
/// [W_1ᵀ … W_Nᵀ] = U S [V_1 … V_N],    V_l ≈ G(V_l−1, V_l+1)  learned row by row
/// Ŵᵀ = U S G(V_l, V_l+1)              for a new layer between l and l + 1
/// ```
///
/// One G for each kind of matrix: a network of two hidden layers of 256 with ReLU, by AdamW in
/// batches of 64 rows on (1 − 5e-4) · squared error + 5e-4 · (difference of the norms)². Gains and
/// biases are the mean of the neighbours'. New layers stand between the last of those that are
/// there, at most one in each gap. It needs three layers of equal sizes and reads no text. Not
/// function preserving. Charged are the products of learning and of the decomposition.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lesa {
    /// Passes through all rows (the paper: 10).
    pub epochs: u64,
    /// Of AdamW (the paper: 1e-3).
    pub learning_rate: f64,
}

impl Lesa {
    /// Units of each hidden layer.
    pub const HIDDEN: usize = 256;

    /// After which layers of `from` the new ones come.
    pub fn gaps(from: usize, to: usize) -> std::ops::Range<usize> {
        from - 1 - (to - from)..from - 1
    }
}

/// Epochs that nobody means.
const MOST_EPOCHS: u64 = 1_000_000;

impl Method for Lesa {
    fn grow(&self, builder: &mut OperatorBuilder) -> Result<(), OperatorError> {
        builder.only_depth()?;
        let layers = &builder.now.layers;
        let (from, to) = (layers.len(), builder.to.layers.len());
        if from < 3 || layers.iter().any(|layer| *layer != layers[0]) {
            return builder.refuse(
                "it learns a layer from the two around it, so it needs at least three layers, all \
                 of the same sizes",
            );
        }
        if to - from > from - 1 {
            return builder.refuse(format!(
                "between {from} layers there are {} gaps, but {} layers are missing",
                from - 1,
                to - from
            ));
        }
        let gaps = Self::gaps(from, to);
        let order = (0..from).flat_map(|l| vec![l; if gaps.contains(&l) { 2 } else { 1 }]);
        builder.layers(first_survives(order));
        Ok(())
    }

    fn preserves(&self, _: &Architecture, _: &TargetShape) -> bool {
        false
    }

    fn check(&self) -> Result<(), OperatorError> {
        let refuse = |why: String| Err(OperatorError::Refused { operator: "lesa", why });
        match self {
            Lesa { epochs, .. } if !(1..=MOST_EPOCHS).contains(epochs) => {
                refuse(format!("`epochs` is {epochs}; it must be from 1 to {MOST_EPOCHS}"))
            }
            Lesa { learning_rate, .. } if !(learning_rate.is_finite() && *learning_rate > 0.0) => {
                refuse(format!(
                    "`learning_rate` is {learning_rate:?}; it must be a positive number"
                ))
            }
            _ => Ok(()),
        }
    }

    fn is_fitted(&self) -> bool {
        true
    }

    fn flops(&self, from: &Architecture, to: &Architecture) -> u128 {
        let of_kind = |kind: ParamKind| {
            let shape = ParamId::in_layer(0, kind).shape(from);
            let (inputs, outputs) = (shape[0] as u128, shape[1] as u128);
            let (n, hidden) = (from.layers.len() as u128, Self::HIDDEN as u128);
            let rows = outputs.min(n * inputs);
            let row = 2 * (2 * inputs * hidden + hidden * hidden + hidden * inputs);
            let learning = u128::from(self.epochs) * (n - 2) * rows * 3 * row;
            let decomposing = 4 * outputs * n * inputs * rows;
            let new = to.layers.len() as u128 - n;
            learning + decomposing + new * rows * (row + 2 * outputs * inputs)
        };
        let matrices = ParamKind::of_layer(from.form).filter(|kind| kind.axes().len() == 2);
        matrices.map(of_kind).sum()
    }
}
