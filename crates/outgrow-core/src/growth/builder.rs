//! Writing down the edits of a transform.

use std::ops::Range;

use super::{error::TransformError, table::Row};
use crate::{
    edit::{Edit, Fill},
    model::{Architecture, Axis, HeadShape, MAX_SIZE, ParamId, ParamKind},
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

    /// The layers that `layer` names: that one, or all of them.
    pub(in crate::growth) fn layers(
        &self,
        layer: Option<usize>,
    ) -> Result<Range<usize>, TransformError> {
        let n_layers = self.architecture.layers.len();
        match layer {
            None => Ok(0..n_layers),
            Some(layer) if layer < n_layers => Ok(layer..layer + 1),
            Some(layer) => Err(TransformError::NoLayer { layer, n_layers }),
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
                .flat_map(|l| {
                    (0..self.architecture.layers[l].heads.len()).map(move |head| (l, head))
                })
                .collect());
        };
        let layer = layer.ok_or(TransformError::HeadsWithoutLayer)?;
        let n_heads = self.architecture.layers[layer].heads.len();
        match heads.iter().find(|&&head| head >= n_heads) {
            Some(&head) => Err(TransformError::NoHead { layer, head, n_heads }),
            None => Ok(heads.iter().map(|&head| (layer, head)).collect()),
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
    ParamKind::of_layer(architecture.form).map(|kind| ParamId::in_layer(layer, kind)).collect()
}
