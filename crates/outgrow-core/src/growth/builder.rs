//! Writing down the edits of a transform.

use std::ops::Range;

use super::{error::TransformError, table::Row};
use crate::{
    edit::{Edit, Fill},
    model::{
        Architecture, Axis, HeadShape, LayerShape, MAX_SIZE, ParamId, ParamKind, layer_parameters,
    },
};

/// A transform being written down: the sizes so far and the edits so far.
pub(in crate::growth) struct EditBuilder {
    pub(in crate::growth) architecture: Architecture,
    pub(in crate::growth) edits: Vec<Edit>,
    pub(in crate::growth) row: &'static Row,
}

impl EditBuilder {
    /// Pads `axis` of every parameter among `params` that has it and that the table names.
    pub(in crate::growth) fn pad(
        &mut self,
        params: &[ParamId],
        axis: Axis,
        at: usize,
        len: usize,
        like: Range<usize>,
    ) {
        self.pad_with(params, axis, at, len, like, |_, fill| fill);
    }

    /// Likewise, with a last word on what the new entries must be.
    pub(in crate::growth) fn pad_with(
        &mut self,
        params: &[ParamId],
        axis: Axis,
        at: usize,
        len: usize,
        like: Range<usize>,
        fill_of: impl Fn(ParamKind, Fill) -> Fill,
    ) {
        for &param in params.iter().filter(|param| param.kind.dim(axis).is_some()) {
            if let Some(fill) = self.row.fill(param.kind).map(|fill| fill_of(param.kind, fill)) {
                self.edits.push(Edit::Pad { param, axis, at, len, fill, like: like.clone() });
            }
        }
    }

    /// Scales the entries `range` of `axis` of every parameter among `params` that the table says
    /// is scaled.
    pub(in crate::growth) fn scale(
        &mut self,
        params: &[ParamId],
        axis: Axis,
        range: Range<usize>,
        by: f64,
    ) {
        let scaled =
            if self.architecture.form.norm_gains { self.row.scaled } else { self.row.scaled_bare };
        for &param in params.iter().filter(|param| scaled.contains(&param.kind)) {
            self.edits.push(Edit::Scale { param, axis, range: range.clone(), by });
        }
    }

    /// The layers that `layer` names: that one with all that use its weights, or all of them.
    pub(in crate::growth) fn layers(
        &self,
        layer: Option<usize>,
    ) -> Result<Vec<usize>, TransformError> {
        let layers = &self.architecture.layers;
        let Some(layer) = layer else { return Ok((0..layers.len()).collect()) };
        match layers.get(layer) {
            None => Err(TransformError::NoLayer { layer, n_layers: layers.len() }),
            Some(LayerShape { of: Some(of), .. }) => self.refuse(format!(
                "layer {layer} uses the weights of layer {of}: name that one, which then grows in \
                 all its passes, or untie them first"
            )),
            Some(_) => Ok(self.architecture.passes(layer)),
        }
    }

    /// The (layer, head) pairs that a selection names, in order.
    pub(in crate::growth) fn heads(
        &self,
        layer: Option<usize>,
        heads: &Option<Vec<usize>>,
    ) -> Result<Vec<(usize, usize)>, TransformError> {
        let layers = self.layers(layer)?;
        let Some(heads) = heads else {
            return Ok(layers
                .into_iter()
                .flat_map(|l| {
                    (0..self.architecture.layers[l].heads.len()).map(move |head| (l, head))
                })
                .collect());
        };
        let layer = layer.ok_or(TransformError::HeadsWithoutLayer)?;
        let n_heads = self.architecture.layers[layer].heads.len();
        match heads.iter().find(|&&head| head >= n_heads) {
            Some(&head) => Err(TransformError::NoHead { layer, head, n_heads }),
            None => Ok(layers
                .into_iter()
                .flat_map(|l| heads.iter().map(move |&head| (l, head)))
                .collect()),
        }
    }

    pub(in crate::growth) fn refuse<T>(&self, why: impl Into<String>) -> Result<T, TransformError> {
        Err(TransformError::Refused { transform: self.row.transform.name(), why: why.into() })
    }

    pub(in crate::growth) fn head(&mut self, layer: usize, head: usize) -> &mut HeadShape {
        &mut self.architecture.layers[layer].heads[head]
    }
}

/// By how much an axis grows: an error if it would shrink, none if it is there already.
pub(in crate::growth) fn gain(
    from: usize,
    to: usize,
    what: impl FnOnce() -> String,
) -> Result<Option<usize>, TransformError> {
    match to.checked_sub(from) {
        _ if to > MAX_SIZE => Err(TransformError::Beyond { what: what(), to }),
        None => Err(TransformError::Shrinks { what: what(), from, to }),
        Some(0) => Ok(None),
        Some(len) => Ok(Some(len)),
    }
}

pub(in crate::growth) fn layer_params(architecture: &Architecture, layer: usize) -> Vec<ParamId> {
    layer_parameters(architecture, layer).collect()
}
