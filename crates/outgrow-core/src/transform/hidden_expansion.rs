use serde::{Deserialize, Serialize};

use super::{Growth, TransformError, gain};
use crate::param::{Axis, parameters};

/// Hidden dimension expansion, h → ĥ (paper, section 3.5): a wider residual stream, in the whole model at once.
///
/// Everything that writes into the stream (embeddings, positions, W_o, W₂, b₂) writes **zero** into the new channels, so
/// by induction over the layers every residual is x̂ = [x, 0]. The gains of all norms are scaled by √(h/ĥ):
///
/// ```text
/// Norm̂([x, 0]) = [x g √(h/ĥ) √ĥ / √(Σx² + ε), 0] = [Norm(x), 0]
/// ```
///
/// and what reads the stream meets zeros in its new rows, which are therefore free, as are the new gains.
/// (With ε on the mean of squares this would not be exact; here it stands on the sum.)
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HiddenExpansion {
    /// The new width of the residual stream.
    pub d_model: usize,
}

impl HiddenExpansion {
    pub(super) fn grow(&self, growth: &mut Growth) -> Result<(), TransformError> {
        let old = growth.architecture.d_model;
        if let Some(len) = gain(old, self.d_model, || "d_model".into())? {
            let params = parameters(&growth.architecture);
            growth.scale(&params, Axis::Model, 0..old, (old as f64 / self.d_model as f64).sqrt());
            growth.pad(&params, Axis::Model, old, len, 0..old);
            growth.architecture.d_model = self.d_model;
        }
        Ok(())
    }
}
