use serde::{Deserialize, Serialize};

use super::{
    Method, OperatorError, Spacing, builder::OperatorBuilder, identity_blocks::insert_silent,
    units::first_survives,
};
use crate::{
    edit::{Edit, Unit},
    growth::target::TargetShape,
    model::{Architecture, Axis, ParamId, ParamKind, parameters},
};

/// Staged training (Shen et al., arXiv 2203.06211): width or depth times two, weights and moments.
///
/// ```text
/// width   Ŵ = [W 0; 0 W];  embeddings, positions, gains of the layers' norms: [w w]
///         gain and bias of the final norm: [w w] / 2 (without one: the unembedding [U; U] / 2)
///         moments m/2, v/4, but those of the final norm as they are
/// depth   copy: each layer followed by its copy;    identity: by a copy that writes nothing
/// ```
///
/// d_model, the heads and d_ff must all be doubled together, or n_layers, or both. ε on the sum of
/// squares doubles with the width. Width is function preserving, depth only by identity. The
/// moments follow with `growth = { optimizer = "scaled_copy", … }`. Without any noise the two
/// halves of the width stay equal for ever: `outgrow doctor` shows it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Staged {
    /// How layers are added.
    pub depth: StagedDepth,
}

/// What a new layer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StagedDepth {
    /// A copy of the layer before it.
    Copy,
    /// One that writes nothing into the stream.
    Identity,
}

impl Method for Staged {
    fn grow(&self, builder: &mut OperatorBuilder) -> Result<(), OperatorError> {
        let from = builder.now.layers.len();
        let deeper = builder.factor("n_layers", from, builder.to.layers.len())?;
        let wider = builder.factor("d_model", builder.now.d_model, builder.to.d_model)?;
        if deeper > 2 || wider > 2 {
            return builder
                .refuse("width and depth are doubled, not more at once; give more places in `at`");
        }
        if wider == 2 {
            double_width(builder)?;
        }
        if deeper == 2 {
            match self.depth {
                StagedDepth::Copy => {
                    builder.layers(first_survives((0..2 * from).map(|layer| layer / 2)))
                }
                StagedDepth::Identity => insert_silent(builder, &(0..from).collect::<Vec<_>>()),
            }
        }
        Ok(())
    }

    fn preserves(&self, from: &Architecture, to: &TargetShape) -> bool {
        from.layers.len() == to.layers.len() || self.depth == StagedDepth::Identity
    }

    fn spacing(&self) -> Spacing {
        Spacing::Geometric
    }
}

fn double_width(builder: &mut OperatorBuilder) -> Result<(), OperatorError> {
    let before = builder.now.clone();
    for param in parameters(&before) {
        for (dim, &axis) in param.kind.axes().iter().enumerate() {
            if !matches!(axis, Axis::Vocab | Axis::Position | Axis::Output | Axis::HeadKey) {
                double(builder, &before, param, axis, param.shape(&before)[dim]);
            }
        }
        separate(builder, &before, param);
    }
    builder.now.d_model *= 2;
    builder.multiply_eps(2);
    for layer in &mut builder.now.layers {
        layer.d_ff *= 2;
        layer.heads = layer.heads.repeat(2);
    }
    Ok(())
}

/// An axis twice: gradients are halved, but those of what is halved itself are not.
fn double(
    builder: &mut OperatorBuilder,
    before: &Architecture,
    param: ParamId,
    axis: Axis,
    len: usize,
) {
    let halved = match param.kind {
        ParamKind::FinalNorm | ParamKind::FinalNormBias => true,
        ParamKind::Unembedding => !before.form.final_norm,
        _ => false,
    };
    // A matrix has two axes, but its gradient is halved once: by the half of the gradient that
    // comes from above.
    let first = param.kind.axes().iter().find(|axis| !matches!(axis, Axis::Vocab | Axis::Position))
        == Some(&axis);
    let (weight, gradient) = if halved { (0.5, 1.0) } else { (1.0, if first { 0.5 } else { 1.0 }) };
    let unit = |i: usize| Unit { from: i % len, weight, gradient, is_new: i >= len };
    builder.edits.push(Edit::Gather {
        param,
        axis,
        units: (0..2 * len).map(unit).collect(),
        new_from: None,
    });
}

/// The halves of a matrix do not read each other.
fn separate(builder: &mut OperatorBuilder, before: &Architecture, param: ParamId) {
    let lens = param.shape(before);
    let ([one, other], &[n, m]) = (param.kind.axes(), &lens[..]) else { return };
    if matches!(one, Axis::Vocab | Axis::Position) || *other == Axis::Output {
        return;
    }
    for [rows, columns] in [[0..n, m..2 * m], [n..2 * n, 0..m]] {
        builder.edits.push(Edit::Clear { param, block: vec![(*one, rows), (*other, columns)] });
    }
}
