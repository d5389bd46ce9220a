use serde::{Deserialize, Serialize};

use crate::growth::{
    builder::{EditBuilder, gain},
    error::TransformError,
};
use crate::{
    edit::Fill,
    model::{Axis, Norm, ParamId, ParamKind, parameters},
};

/// Hidden dimension expansion, h → ĥ (paper, section 3.5): a wider residual stream, in the whole
/// model at once.
///
/// Everything that writes into the stream (embeddings, positions, W_o, W₂, b₂) writes **zero** into
/// the new channels, so by induction over the layers every residual is x̂ = [x, 0]. The gains of
/// all norms are scaled by √(h/ĥ):
///
/// ```text
/// Norm̂([x, 0]) = [x g √(h/ĥ) √ĥ / √(Σx² + ε), 0] = [Norm(x), 0]
/// ```
///
/// and what reads the stream meets zeros in its new rows, which are therefore free, as are the new
/// gains. (With ε on the mean of squares this would not be exact; here it stands on the sum.)
///
/// A LayerNorm subtracts the mean of the channels, which zeros would move. There the writers write
/// the **mean** of the old channels into each new one (average expansion: LEMON, arXiv 2310.07999):
/// the mean μ and the sum of (x − μ)² stay what they were, the new channels are normalised to
/// exactly 0, and with the same gains, and biases of **zero** there, the rest is as above; only an
/// unembedding that reads the stream without a norm before it must be **zero** in its new rows.
///
/// Where the norms have no gains, the scale stands in the old rows of what reads a norm. Where the
/// unembedding is the token embedding, its new rows are what the embedding's new columns are, and
/// meet zeros. Refused is what can't be exact: a tied unembedding that would need a scale of its
/// own (no gains), or that reads the means that a LayerNorm needs without a norm before it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HiddenExpansion {
    /// The new width of the residual stream.
    pub d_model: usize,
}

impl HiddenExpansion {
    pub(super) fn grow(&self, builder: &mut EditBuilder) -> Result<(), TransformError> {
        let old = builder.architecture.d_model;
        if let Some(len) = gain(old, self.d_model, || "d_model".into())? {
            let form = builder.architecture.form;
            if form.tied && form.final_norm && !form.norm_gains {
                return builder.refuse(
                    "d_model can't grow where the final norm has no gain and the unembedding is \
                     the token embedding: both would need different scales",
                );
            }
            if form.tied && !form.final_norm && form.norm == Norm::LayerNorm {
                return builder.refuse(
                    "d_model can't grow in a LayerNorm model whose unembedding is the token \
                     embedding and has no norm before it: it would read the means that the new \
                     channels must hold",
                );
            }
            if form.branch_gains && form.norm == Norm::LayerNorm {
                return builder.refuse(
                    "d_model can't grow in a LayerNorm model with branch gains: behind a gain for \
                     each channel no new channel is the mean of the others",
                );
            }
            let params = parameters(&builder.architecture);
            let reads_norm =
                |param: &ParamId| param.kind != ParamKind::Unembedding || form.final_norm;
            let scaled: Vec<ParamId> = params.iter().copied().filter(reads_norm).collect();
            builder.scale(&scaled, Axis::Model, 0..old, (old as f64 / self.d_model as f64).sqrt());
            let by_mean = |kind: ParamKind, fill| match (kind, fill) {
                (ParamKind::Unembedding, _) if !form.final_norm => Fill::Zero,
                (kind, Fill::Zero) if !kind.is_norm_bias() => Fill::Mean,
                (_, fill) => fill,
            };
            builder.pad_with(&params, Axis::Model, old, len, 0..old, |kind, fill| {
                match form.norm {
                    Norm::RmsNorm => fill,
                    Norm::LayerNorm => by_mean(kind, fill),
                }
            });
            builder.architecture.d_model = self.d_model;
        }
        Ok(())
    }
}
