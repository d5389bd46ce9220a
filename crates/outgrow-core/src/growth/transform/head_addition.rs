use serde::{Deserialize, Serialize};

use crate::growth::{
    builder::{EditBuilder, layer_params},
    error::TransformError,
};
use crate::model::{Axis, HeadShape, check_heads};

/// Head addition, E → E + n (paper, section 3.2): new heads after the others, in one layer or in
/// every layer.
///
/// W_q, W_k and W_v gain the new heads' columns (free), W_o gains their rows (**zero**):
///
/// ```text
/// MHÂ(x) = Σₑ Hₑ W_o,ₑ + Σ_new H_new 0 = MHA(x)
/// ```
///
/// A new head may have any sizes of its own; unless given, they are those of the layer's last head.
///
/// Where several queries share the keys and values of a head, a new query head joins its group: its
/// columns of W_q (free) and its rows of W_o (**zero**) stand behind those of the queries that are
/// there, so that which keys each old query reads does not change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeadAddition {
    /// The layer, or none for every layer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layer: Option<usize>,
    /// The heads of that layer that get new queries, or none for all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heads: Option<Vec<usize>>,
    /// How many queries each of these heads gets in addition.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub n_new_queries: usize,
    /// How many heads come in addition, with keys and values of their own.
    #[serde(default)]
    pub n_new_heads: usize,
    /// How many queries each of the new heads has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub n_queries: Option<usize>,
    /// Key width of the new heads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub d_k: Option<usize>,
    /// Value width of the new heads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub d_v: Option<usize>,
}

fn is_zero(n: &usize) -> bool {
    *n == 0
}

impl HeadAddition {
    /// New heads with keys and values of their own, in the sizes of the last one.
    pub fn heads(layer: Option<usize>, n_new_heads: usize) -> Self {
        Self {
            layer,
            heads: None,
            n_new_queries: 0,
            n_new_heads,
            n_queries: None,
            d_k: None,
            d_v: None,
        }
    }

    /// New queries for heads that are there.
    pub fn queries(layer: Option<usize>, heads: Option<Vec<usize>>, n_new_queries: usize) -> Self {
        Self { heads, n_new_queries, ..Self::heads(layer, 0) }
    }

    /// New heads of this shape in a layer that has such a last head.
    pub fn of_shape(
        layer: Option<usize>,
        n_new_heads: usize,
        shape: HeadShape,
        last: HeadShape,
    ) -> Self {
        let n_queries = (shape.n_queries != last.n_queries).then_some(shape.n_queries);
        Self {
            n_queries,
            d_k: Some(shape.d_k),
            d_v: Some(shape.d_v),
            ..Self::heads(layer, n_new_heads)
        }
    }

    pub(super) fn grow(&self, builder: &mut EditBuilder) -> Result<(), TransformError> {
        if self.n_new_queries > 0 {
            for (layer, head) in builder.heads(self.layer, &self.heads)? {
                self.add_queries(builder, layer, head)?;
            }
        }
        for layer in builder.layers(self.layer)? {
            self.add_heads(builder, layer)?;
        }
        Ok(())
    }

    fn add_queries(
        &self,
        builder: &mut EditBuilder,
        layer: usize,
        head: usize,
    ) -> Result<(), TransformError> {
        let shape = *builder.head(layer, head);
        let n_queries = shape.n_queries.saturating_add(self.n_new_queries);
        check_heads(layer, 1, HeadShape { n_queries, ..shape })?;
        let params = layer_params(&builder.architecture, layer);
        for (axis, width) in [(Axis::Query, shape.d_k), (Axis::Mixed, shape.d_v)] {
            let start = builder.architecture.layers[layer].offset(axis, head);
            let old = start..start + shape.width(axis);
            builder.pad(&params, axis, old.end, self.n_new_queries * width, old);
        }
        builder.head(layer, head).n_queries = n_queries;
        Ok(())
    }

    fn add_heads(&self, builder: &mut EditBuilder, layer: usize) -> Result<(), TransformError> {
        let shape = builder.architecture.layers[layer].clone();
        let last = shape.heads[shape.heads.len() - 1];
        let new = HeadShape {
            n_queries: self.n_queries.unwrap_or(last.n_queries),
            d_k: self.d_k.unwrap_or(last.d_k),
            d_v: self.d_v.unwrap_or(last.d_v),
        };
        // The bound before the multiplication: a request may come from a file.
        let n_heads = shape.heads.len().saturating_add(self.n_new_heads);
        check_heads(layer, n_heads, new)?;
        if self.n_new_heads > 0 {
            let params = layer_params(&builder.architecture, layer);
            for axis in [Axis::Query, Axis::Key, Axis::Value, Axis::Mixed] {
                let old = shape.width(axis);
                builder.pad(&params, axis, old, self.n_new_heads * new.width(axis), 0..old);
            }
            builder.architecture.layers[layer].heads.resize(n_heads, new);
        }
        Ok(())
    }
}
