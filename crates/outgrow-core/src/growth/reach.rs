//! The transforms that take a whole model to given sizes.

use super::{
    error::TransformError,
    target::Sizes,
    transform::{
        AttentionExpansion, HeadAddition, HeadsExpansion, HiddenExpansion, LayerAddition,
        MlpExpansion, Transform,
    },
};
use crate::model::{Architecture, HeadShape, LayerShape};

/// The transforms that take every layer of `architecture` to `sizes`: widths first, then heads,
/// then layers (as the last ones, in the shape of their neighbour).
///
/// # Errors
/// If an axis would shrink.
pub fn reach(architecture: &Architecture, sizes: &Sizes) -> Result<Vec<Transform>, TransformError> {
    let mut transforms: Vec<Transform> = vec![];
    transforms.extend(sizes.d_model.map(|d_model| HiddenExpansion { d_model }.into()));
    transforms.extend(sizes.d_ff.map(|d_ff| MlpExpansion { layer: None, d_ff }.into()));
    transforms
        .extend(sizes.d_k.map(|d_k| AttentionExpansion { layer: None, heads: None, d_k }.into()));
    transforms.extend(sizes.d_v.map(|d_v| HeadsExpansion { layer: None, heads: None, d_v }.into()));
    let own = architecture.layers.iter().enumerate().filter(|(_, layer)| layer.of.is_none());
    for (number, layer) in own {
        transforms.extend(more_heads(number, layer, sizes)?.into_iter().map(Transform::from));
    }
    let (from, to) =
        (architecture.layers.len(), sizes.n_layers.unwrap_or(architecture.layers.len()));
    let new_layers = to.checked_sub(from);
    let new_layers =
        new_layers.ok_or_else(|| TransformError::Shrinks { what: "n_layers".into(), from, to })?;
    transforms
        .extend((from..from + new_layers).map(|index| LayerAddition { index, shape: None }.into()));
    Ok(transforms)
}

/// The head additions that a layer needs: queries for the heads that are there, then heads.
fn more_heads(
    number: usize,
    layer: &LayerShape,
    sizes: &Sizes,
) -> Result<Vec<HeadAddition>, TransformError> {
    let (to, queries) = sizes.heads(number, layer)?;
    let from = layer.heads.len();
    let shrinks = |what: &str, from, to| TransformError::Shrinks {
        what: format!("{what} of layer {number}"),
        from,
        to,
    };
    let n_new_heads = to.checked_sub(from).ok_or_else(|| shrinks("n_kv_heads", from, to))?;
    let mut additions = vec![];
    let new = |n_new_heads, n_new_queries, heads| HeadAddition {
        layer: Some(number),
        heads,
        n_new_queries,
        n_new_heads,
        n_queries: queries.filter(|&n| n != layer.heads[from - 1].n_queries),
        d_k: None,
        d_v: None,
    };
    if let Some(queries) = queries {
        let gap = |head: &HeadShape| {
            let shrinks = || shrinks("n_heads / n_kv_heads", head.n_queries, queries);
            queries.checked_sub(head.n_queries).ok_or_else(shrinks)
        };
        let gaps = layer.heads.iter().map(gap).collect::<Result<Vec<_>, _>>()?;
        if gaps.iter().all(|gap| *gap == gaps[0]) {
            additions.extend(
                (gaps[0] > 0).then(|| HeadAddition { n_queries: None, ..new(0, gaps[0], None) }),
            );
        } else {
            let one =
                |(head, &gap)| HeadAddition { n_queries: None, ..new(0, gap, Some(vec![head])) };
            additions.extend(gaps.iter().enumerate().filter(|(_, gap)| **gap > 0).map(one));
        }
    }
    additions.extend((n_new_heads > 0).then(|| new(n_new_heads, 0, None)));
    Ok(additions)
}
