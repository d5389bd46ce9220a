//! The sizes of a model, as plain values.
//!
//! Paper to code (section 2 of arXiv 2308.06103): h is `d_model`, p is `d_ff`, E is the number of
//! heads, k is `d_k`, v is `d_v`, N is the number of layers, s is `seq_len`, o is `n_outputs`. The
//! paper lets every layer have its own p and E, and every head its own k and v; so does this type.

use serde::{Deserialize, Serialize};

use super::{axis::Axis, form::Form};

/// No axis may be longer than this: a bound for untrusted files, far above any model that fits a
/// machine.
pub const MAX_SIZE: usize = 1 << 24;

/// No model may have more layers (or a layer more heads) than this.
pub const MAX_COUNT: usize = 1 << 14;

/// No model may have more heads in all its layers together than this.
pub const MAX_HEADS: usize = 1 << 16;

/// No model may have more parameters than this.
pub const MAX_PARAMETERS: u64 = 1 << 40;

/// The sizes and the form of a decoder-only transformer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Architecture {
    /// Rows of the token embedding.
    pub vocab_size: usize,
    /// Columns of the unembedding (o in the paper); equals `vocab_size` for a language model.
    pub n_outputs: usize,
    /// The longest input (s): as many as there are learned positions, if positions are learned.
    pub seq_len: usize,
    /// Width of the residual stream (h).
    pub d_model: usize,
    /// The layers from the input to the output.
    pub layers: Vec<LayerShape>,
    /// What does not grow.
    pub form: Form,
}

/// The sizes of one layer; its width is the model's `d_model`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LayerShape {
    /// The heads in order. In files, neighbours of equal size are written as one group.
    #[serde(with = "head_groups")]
    pub heads: Vec<HeadShape>,
    /// Width of the MLP (p).
    pub d_ff: usize,
    /// The layer before it whose weights it uses, in a pass of its own; none of a layer that owns
    /// its weights.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of: Option<usize>,
}

/// The sizes of one attention head: keys and values, and the queries that read them. The paper's
/// head has one query; with grouped queries (arXiv 2305.13245) several query heads share keys and
/// values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct HeadShape {
    /// How many query heads read these keys and values.
    pub n_queries: usize,
    /// Width of queries and keys (k).
    pub d_k: usize,
    /// Width of values (v).
    pub d_v: usize,
}

/// A run of neighbouring heads of equal size: what attention computes as one batched product.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct HeadGroup {
    /// How many query heads stand in the run.
    pub n_heads: usize,
    /// How many keys and values they share, evenly; each has its own if it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub n_kv_heads: Option<usize>,
    pub d_k: usize,
    pub d_v: usize,
}

impl HeadShape {
    /// A head of its own keys and values.
    pub fn new(d_k: usize, d_v: usize) -> Self {
        Self { n_queries: 1, d_k, d_v }
    }

    /// Its length on one of the axes of the heads.
    ///
    /// # Panics
    /// If it is another axis.
    pub fn width(&self, axis: Axis) -> usize {
        match axis {
            Axis::Query => self.n_queries * self.d_k,
            Axis::Key => self.d_k,
            Axis::Value => self.d_v,
            Axis::Mixed => self.n_queries * self.d_v,
            other => panic!("{other:?} is no axis of heads"),
        }
    }

    /// Whether this head can grow into `target`: nothing shrinks.
    pub fn fits(&self, target: &HeadShape) -> bool {
        self.n_queries <= target.n_queries && self.d_k <= target.d_k && self.d_v <= target.d_v
    }
}

impl HeadGroup {
    /// How many keys and values there are.
    pub fn n_kv_heads(&self) -> usize {
        self.n_kv_heads.unwrap_or(self.n_heads)
    }

    /// The heads one by one, if the queries can be shared out evenly.
    pub fn heads(&self) -> Option<Vec<HeadShape>> {
        let n = self.n_kv_heads();
        let even =
            n > 0 && n <= MAX_COUNT && self.n_heads <= MAX_COUNT && self.n_heads.is_multiple_of(n);
        even.then(|| {
            vec![HeadShape { n_queries: self.n_heads / n, d_k: self.d_k, d_v: self.d_v }; n]
        })
    }
}

impl LayerShape {
    /// A layer whose heads are all alike, each with one query.
    pub fn uniform(n_heads: usize, d_k: usize, d_v: usize, d_ff: usize) -> Self {
        Self::own(vec![HeadShape::new(d_k, d_v); n_heads], d_ff)
    }

    /// A layer with weights of its own.
    pub fn own(heads: Vec<HeadShape>, d_ff: usize) -> Self {
        Self { heads, d_ff, of: None }
    }

    /// The same sizes, with weights of its own.
    pub fn untied(&self) -> Self {
        Self { of: None, ..self.clone() }
    }

    /// How many query heads there are: what the field calls the number of heads.
    pub fn n_heads(&self) -> usize {
        self.heads.iter().map(|head| head.n_queries).sum()
    }

    /// The length of one of the axes of its heads: the width of all keys together, for example.
    pub fn width(&self, axis: Axis) -> usize {
        self.offset(axis, self.heads.len())
    }

    /// Where head `head` begins on one of the axes of the heads.
    ///
    /// # Panics
    /// If it is another axis.
    pub fn offset(&self, axis: Axis, head: usize) -> usize {
        self.heads[..head].iter().map(|head| head.width(axis)).sum()
    }

    /// The heads as runs of equal size, in order.
    pub fn groups(&self) -> Vec<HeadGroup> {
        head_groups::encode(&self.heads)
    }

    /// Whether this layer can grow into `target`: no axis shrinks. Heads match by position, since
    /// new heads are appended.
    pub fn fits(&self, target: &LayerShape) -> bool {
        self.d_ff <= target.d_ff
            && self.heads.len() <= target.heads.len()
            && self.heads.iter().zip(&target.heads).all(|(a, b)| a.fits(b))
    }
}

impl Architecture {
    /// A language model whose layers are all alike.
    #[allow(clippy::too_many_arguments)]
    pub fn uniform(
        vocab_size: usize,
        seq_len: usize,
        d_model: usize,
        n_layers: usize,
        layer: LayerShape,
        form: Form,
    ) -> Self {
        Self {
            vocab_size,
            n_outputs: vocab_size,
            seq_len,
            d_model,
            layers: vec![layer; n_layers],
            form,
        }
    }

    /// Heads with keys and values of their own, in all layers.
    pub fn n_heads(&self) -> usize {
        self.layers.iter().map(|layer| layer.heads.len()).sum()
    }

    /// The layer whose weights a layer uses: its own number, unless it shares another's.
    pub fn owner(&self, layer: usize) -> usize {
        self.layers[layer].of.unwrap_or(layer)
    }

    /// The layers that use the weights of a layer, itself among them, in order.
    pub fn passes(&self, owner: usize) -> Vec<usize> {
        (0..self.layers.len()).filter(|&layer| self.owner(layer) == owner).collect()
    }

    /// Whether some layer uses the weights of another.
    pub fn shares(&self) -> bool {
        self.layers.iter().any(|layer| layer.of.is_some())
    }

    /// Inserts a layer; an owner that it names is a number after the insertion, as are all others'
    /// from then on.
    pub fn insert_layer(&mut self, index: usize, shape: LayerShape) {
        for layer in &mut self.layers {
            layer.of = layer.of.map(|of| if of >= index { of + 1 } else { of });
        }
        self.layers.insert(index, shape);
    }

    /// The sizes in one line, for people: `2L d_model 32, 2 heads 16/16, d_ff 64`.
    pub fn describe(&self) -> String {
        let n = self.layers.len();
        let first = &self.layers[0];
        let own = self.layers.iter().filter(|layer| layer.of.is_none()).count();
        let own = if own < n { format!(" with the weights of {own}") } else { String::new() };
        let width = format!("{n} layers{own}, d_model {}", self.d_model);
        if self.layers.iter().any(|layer| layer.untied() != *first) {
            let heads: usize = self.layers.iter().map(LayerShape::n_heads).sum();
            let d_ff: usize = self.layers.iter().map(|layer| layer.d_ff).sum();
            return format!("{width}, unequal layers ({heads} heads and d_ff {d_ff} in all)");
        }
        match first.groups()[..] {
            [HeadGroup { n_heads, n_kv_heads, d_k, d_v }] => {
                let shared = n_kv_heads.map_or(String::new(), |n| format!(", n_kv_heads {n}"));
                format!(
                    "{width}, n_heads {n_heads}{shared}, d_k {d_k}, d_v {d_v}, d_ff {}",
                    first.d_ff
                )
            }
            _ => format!("{width}, {} unequal heads, d_ff {}", first.n_heads(), first.d_ff),
        }
    }
}

/// Heads in files: `[{"n_heads": 4, "d_k": 16, "d_v": 16}]`, one entry for a run of equal heads.
mod head_groups {
    use super::{HeadGroup, HeadShape, MAX_COUNT};
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

    pub fn encode(heads: &[HeadShape]) -> Vec<HeadGroup> {
        let run = |run: &[HeadShape]| {
            let (n, HeadShape { n_queries, d_k, d_v }) = (run.len(), run[0]);
            HeadGroup { n_heads: n * n_queries, n_kv_heads: (n_queries > 1).then_some(n), d_k, d_v }
        };
        heads.chunk_by(|a, b| a == b).map(run).collect()
    }

    pub fn serialize<S: Serializer>(heads: &[HeadShape], serializer: S) -> Result<S::Ok, S::Error> {
        encode(heads).serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<HeadShape>, D::Error> {
        let groups = Vec::<HeadGroup>::deserialize(deserializer)?;
        // The bound comes before the allocation: the file is not trusted.
        if groups
            .iter()
            .try_fold(0usize, |sum, g| sum.checked_add(g.n_heads))
            .is_none_or(|n| n > MAX_COUNT)
        {
            return Err(D::Error::custom(format!("a layer may have at most {MAX_COUNT} heads")));
        }
        let heads = groups.iter().map(HeadGroup::heads).collect::<Option<Vec<_>>>();
        Ok(heads
            .ok_or_else(|| D::Error::custom("n_heads must be a multiple of n_kv_heads"))?
            .concat())
    }
}
