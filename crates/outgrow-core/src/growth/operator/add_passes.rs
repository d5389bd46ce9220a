use serde::{Deserialize, Serialize};

use super::{Method, OperatorError, builder::OperatorBuilder};
use crate::{
    edit::{Edit, Fill},
    growth::target::TargetShape,
    model::{Architecture, LayerShape, ParamKind},
};

/// More passes through weights that are there: the target has more layers that use those of others.
///
/// ```text
/// x + ĝ ∘ MHA(Norm(x)) = x,    ĝ = 0
/// ```
///
/// The gains of what a new pass adds to the stream are zero, so it is silent at first, and all of
/// them have a gradient from the first step on. Function preserving; it needs a model with
/// `branch_gains`. Widths, and the layers with weights of their own, stay.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AddPasses {}

impl Method for AddPasses {
    fn grow(&self, builder: &mut OperatorBuilder) -> Result<(), OperatorError> {
        builder.only_depth()?;
        if !builder.now.form.branch_gains {
            return builder.refuse(
                "a new pass would change the function at once: it needs `branch_gains = true` in \
                 [model], and begins with gains of zero",
            );
        }
        for (index, layer) in builder.to.layers.iter().enumerate() {
            // What is there counts as the first passes, those behind them are new.
            if builder.now.layers.get(index) == Some(layer) {
                continue;
            }
            let LayerShape { of: Some(owner), .. } = *layer else {
                return builder.refuse(
                    "it adds passes alone: layers with weights of their own must stay as they are",
                );
            };
            let gains = [ParamKind::AttentionGain, ParamKind::MlpGain];
            let params = gains.map(|kind| (kind, vec![builder.now.d_model], Fill::Zero)).to_vec();
            builder.now.insert_layer(index, layer.clone());
            builder.edits.push(Edit::InsertLayer { index, params, like: owner });
        }
        Ok(())
    }

    fn preserves(&self, _: &Architecture, _: &TargetShape) -> bool {
        true
    }

    fn shares(&self) -> bool {
        true
    }
}
