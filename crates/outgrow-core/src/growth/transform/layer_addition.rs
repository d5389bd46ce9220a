use serde::{Deserialize, Serialize};

use crate::growth::{builder::EditBuilder, error::TransformError};
use crate::{
    edit::Edit,
    model::{LayerShape, ParamId, ParamKind},
};

/// Layer addition, N → N + 1 (paper, section 3.6): a new layer at any index from 0 to N.
///
/// W_o, W₂ and the biases b_o and b₂ of the new layer are **zero**, the rest is free:
///
/// ```text
/// x + MHA(Norm(x)) = x + H 0 = x,    x + MLP(Norm(x)) = x + ReLU(·) 0 + 0 = x
/// ```
///
/// The new layer may have any sizes of its own; unless given, they are those of the layer before it
/// (after it, at index 0).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct LayerAddition {
    /// Where the new layer will stand.
    pub index: usize,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shape: Option<LayerShape>,
}

impl LayerAddition {
    pub(super) fn grow(&self, builder: &mut EditBuilder) -> Result<(), TransformError> {
        let n_layers = builder.architecture.layers.len();
        if self.index > n_layers {
            return Err(TransformError::NoPlace { index: self.index, n_layers });
        }
        let like = self.index.saturating_sub(1);
        let shape =
            self.shape.clone().unwrap_or_else(|| builder.architecture.layers[like].untied());
        if shape.of.is_some() {
            return builder.refuse(
                "a new layer has weights of its own; the operator add_passes adds passes through \
                 those that are there",
            );
        }
        let like = builder.architecture.owner(like);
        builder.architecture.insert_layer(self.index, shape);
        builder.architecture.validate()?;
        let param = |kind: ParamKind| {
            let fill = builder.row.fill(kind).expect("the table names every parameter of a layer");
            (kind, ParamId::in_layer(self.index, kind).shape(&builder.architecture), fill)
        };
        let params = ParamKind::of_layer(builder.architecture.form).map(param).collect();
        builder.edits.push(Edit::InsertLayer { index: self.index, params, like });
        Ok(())
    }
}
