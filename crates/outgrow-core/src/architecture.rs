//! The sizes and forms of a model, as plain values.
//!
//! Paper to code (section 2 of arXiv 2308.06103): h is `d_model`, p is `d_ff`, E is the number of heads, k is `d_k`,
//! v is `d_v`, N is the number of layers, s is `seq_len`, o is `n_outputs`. The paper lets every layer have its own
//! p and E, and every head its own k and v; so does this type.

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// No axis may be longer than this: a bound for untrusted files, far above any model that fits a machine.
pub const MAX_SIZE: usize = 1 << 24;
/// No model may have more layers (or a layer more heads) than this.
pub const MAX_COUNT: usize = 1 << 14;
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
    /// Number of learned positions (s), the longest input.
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
}

/// The sizes of one attention head.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct HeadShape {
    /// Width of queries and keys (k).
    pub d_k: usize,
    /// Width of values (v).
    pub d_v: usize,
}

/// A run of neighbouring heads of equal size: what attention computes as one batched product.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeadGroup {
    /// How many heads stand in the run.
    pub n_heads: usize,
    /// Their key width.
    pub d_k: usize,
    /// Their value width.
    pub d_v: usize,
}

/// What does not grow: the parts of a model that every transform leaves as they are.
///
/// The paper's own form is `causal: false, final_norm: false, eps_sum: 0`; a language model of today is causal, has a
/// norm before its unembedding and a positive ε.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Form {
    /// Whether a position sees only itself and earlier ones.
    pub causal: bool,
    /// Whether a norm stands before the unembedding.
    pub final_norm: bool,
    /// Of which kind all norms are; in files RMSNorm where it is left out.
    #[serde(default, skip_serializing_if = "Norm::is_rms")]
    pub norm: Norm,
    /// ε of every norm, on the *sum* of squares: x·g·√d / √(Σx² + ε). On the sum it does not depend on the width, so
    /// hidden expansion is exact; the usual form with ε on the mean is `eps_sum = d_model · eps`. The one number of the form
    /// that may change: an operator that copies every channel n times multiplies it by n.
    pub eps_sum: f64,
}

/// The norms of a model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Norm {
    /// x·g·√d / √(Σx² + ε) (the paper's).
    #[default]
    RmsNorm,
    /// (x − μ)·g·√d / √(Σ(x − μ)² + ε) + b, with μ the mean of x and a bias b per norm.
    LayerNorm,
}

impl Norm {
    fn is_rms(&self) -> bool {
        *self == Norm::RmsNorm
    }
}

/// Why an architecture is not one.
#[derive(Debug, Error, PartialEq)]
pub enum ArchitectureError {
    /// A size is zero or beyond the bound.
    #[error("{what} is {value}; allowed are 1 to {max}")]
    Size {
        /// Which size, with its place.
        what: String,
        /// What it was.
        value: usize,
        /// The largest that is allowed.
        max: usize,
    },
    /// ε is negative, infinite or not a number.
    #[error("eps_sum is {0}; it must be a finite number of at least 0")]
    Epsilon(f64),
    /// More parameters than any machine holds.
    #[error("the architecture has more than {MAX_PARAMETERS} parameters")]
    TooLarge,
}

impl LayerShape {
    /// A layer whose heads are all alike.
    pub fn uniform(n_heads: usize, d_k: usize, d_v: usize, d_ff: usize) -> Self {
        Self { heads: vec![HeadShape { d_k, d_v }; n_heads], d_ff }
    }

    /// Width of all keys together: the columns of W_q and W_k.
    pub fn keys(&self) -> usize {
        self.heads.iter().map(|head| head.d_k).sum()
    }

    /// Width of all values together: the columns of W_v and rows of W_o.
    pub fn values(&self) -> usize {
        self.heads.iter().map(|head| head.d_v).sum()
    }

    /// Where head `head` begins on the key axis.
    pub fn key_offset(&self, head: usize) -> usize {
        self.heads[..head].iter().map(|head| head.d_k).sum()
    }

    /// Where head `head` begins on the value axis.
    pub fn value_offset(&self, head: usize) -> usize {
        self.heads[..head].iter().map(|head| head.d_v).sum()
    }

    /// The heads as runs of equal size, in order.
    pub fn groups(&self) -> Vec<HeadGroup> {
        head_groups::encode(&self.heads)
    }

    /// Whether this layer can grow into `target`: no axis shrinks. Heads match by position, since new heads are appended.
    pub fn fits(&self, target: &LayerShape) -> bool {
        self.d_ff <= target.d_ff
            && self.heads.len() <= target.heads.len()
            && self.heads.iter().zip(&target.heads).all(|(a, b)| a.d_k <= b.d_k && a.d_v <= b.d_v)
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
        Self { vocab_size, n_outputs: vocab_size, seq_len, d_model, layers: vec![layer; n_layers], form }
    }

    /// Checks every size against the bounds.
    ///
    /// # Errors
    /// The first size that is zero or too large, with its place.
    pub fn validate(&self) -> Result<(), ArchitectureError> {
        size(|| "vocab_size".into(), self.vocab_size, MAX_SIZE)?;
        size(|| "n_outputs".into(), self.n_outputs, MAX_SIZE)?;
        size(|| "seq_len".into(), self.seq_len, MAX_SIZE)?;
        size(|| "d_model".into(), self.d_model, MAX_SIZE)?;
        size(|| "the number of layers".into(), self.layers.len(), MAX_COUNT)?;
        for (index, layer) in self.layers.iter().enumerate() {
            size(|| format!("d_ff of layer {index}"), layer.d_ff, MAX_SIZE)?;
            size(|| format!("the number of heads of layer {index}"), layer.heads.len(), MAX_COUNT)?;
            for (e, head) in layer.heads.iter().enumerate() {
                size(|| format!("d_k of head {e} of layer {index}"), head.d_k, MAX_SIZE)?;
                size(|| format!("d_v of head {e} of layer {index}"), head.d_v, MAX_SIZE)?;
            }
        }
        if !(self.form.eps_sum.is_finite() && self.form.eps_sum >= 0.0) {
            return Err(ArchitectureError::Epsilon(self.form.eps_sum));
        }
        if crate::cost::parameters(self) > MAX_PARAMETERS {
            return Err(ArchitectureError::TooLarge);
        }
        Ok(())
    }

    /// The sizes in one line, for people: `2L d_model 32, 2 heads 16/16, d_ff 64`.
    pub fn describe(&self) -> String {
        let n = self.layers.len();
        let first = &self.layers[0];
        let width = format!("{n} layers, d_model {}", self.d_model);
        if self.layers.iter().any(|layer| layer != first) {
            let heads: usize = self.layers.iter().map(|layer| layer.heads.len()).sum();
            let d_ff: usize = self.layers.iter().map(|layer| layer.d_ff).sum();
            return format!("{width}, unequal layers ({heads} heads and d_ff {d_ff} in all)");
        }
        match first.groups()[..] {
            [HeadGroup { n_heads, d_k, d_v }] => {
                format!("{width}, n_heads {n_heads}, d_k {d_k}, d_v {d_v}, d_ff {}", first.d_ff)
            }
            _ => format!("{width}, {} unequal heads, d_ff {}", first.heads.len(), first.d_ff),
        }
    }
}

/// Checks the head count and one head's sizes of a layer that is about to get them.
pub(crate) fn check_heads(layer: usize, n_heads: usize, head: HeadShape) -> Result<(), ArchitectureError> {
    size(|| format!("the number of heads of layer {layer}"), n_heads, MAX_COUNT)?;
    size(|| format!("d_k of the new heads of layer {layer}"), head.d_k, MAX_SIZE)?;
    size(|| format!("d_v of the new heads of layer {layer}"), head.d_v, MAX_SIZE)
}

fn size(what: impl FnOnce() -> String, value: usize, max: usize) -> Result<(), ArchitectureError> {
    match value {
        v if (1..=max).contains(&v) => Ok(()),
        value => Err(ArchitectureError::Size { what: what(), value, max }),
    }
}

/// Heads in files: `[{"n_heads": 4, "d_k": 16, "d_v": 16}]`, one entry for a run of equal heads.
mod head_groups {
    use super::{HeadGroup, HeadShape, MAX_COUNT};
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

    pub fn encode(heads: &[HeadShape]) -> Vec<HeadGroup> {
        let run = |run: &[HeadShape]| HeadGroup { n_heads: run.len(), d_k: run[0].d_k, d_v: run[0].d_v };
        heads.chunk_by(|a, b| a == b).map(run).collect()
    }

    pub fn serialize<S: Serializer>(heads: &[HeadShape], serializer: S) -> Result<S::Ok, S::Error> {
        encode(heads).serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<HeadShape>, D::Error> {
        let groups = Vec::<HeadGroup>::deserialize(deserializer)?;
        // The bound comes before the allocation: the file is not trusted.
        if groups.iter().try_fold(0usize, |sum, g| sum.checked_add(g.n_heads)).is_none_or(|n| n > MAX_COUNT) {
            return Err(D::Error::custom(format!("a layer may have at most {MAX_COUNT} heads")));
        }
        Ok(groups.iter().flat_map(|g| vec![HeadShape { d_k: g.d_k, d_v: g.d_v }; g.n_heads]).collect())
    }
}
