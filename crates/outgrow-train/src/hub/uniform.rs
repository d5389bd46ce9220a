//! The sizes of a model whose layers are all alike.

use outgrow_core::{Architecture, Form, HeadShape, LayerShape, model::MAX_COUNT};

use super::{config::Config, error::HubError};

/// No model has more heads in all of its layers: a bound for untrusted input.
const MAX_HEADS: usize = 1 << 20;

/// The sizes of a model whose layers are all alike, as every family has them.
pub(super) struct Uniform {
    pub(super) d_model: usize,
    pub(super) n_layers: usize,
    pub(super) head: HeadShape,
    pub(super) n_kv_heads: usize,
    pub(super) d_ff: usize,
}

impl Uniform {
    /// The sizes of an architecture.
    ///
    /// # Errors
    /// If its layers or heads are not all alike: why no family says that.
    pub(super) fn of(architecture: &Architecture) -> Result<Self, String> {
        let layers = &architecture.layers;
        if architecture.shares() {
            return Err("layers that use the weights of others are not in its format; untie them first (the operator untie)".into());
        }
        if let Some(number) = layers.iter().position(|layer| *layer != layers[0]) {
            return Err(format!(
                "its layers must all have the same sizes, but layer {number} differs from layer 0; grow every layer alike, new ones in the shape of their neighbour"
            ));
        }
        let (layer, head) = (&layers[0], layers[0].heads[0]);
        if layer.heads.iter().any(|other| *other != head) {
            return Err("its heads must all have the same sizes; grow every head alike".into());
        }
        let HeadShape { d_k, d_v, .. } = head;
        if d_v != d_k {
            let wider = d_k.max(d_v);
            return Err(format!(
                "keys and values of a head must be equally wide, but d_k is {d_k} and d_v {d_v}; --d-k {wider} --d-v {wider} would make it sayable"
            ));
        }
        Ok(Self {
            d_model: architecture.d_model,
            n_layers: layers.len(),
            head,
            n_kv_heads: layer.heads.len(),
            d_ff: layer.d_ff,
        })
    }

    /// Query heads of a layer.
    pub(super) fn n_heads(&self) -> usize {
        self.n_kv_heads * self.head.n_queries
    }

    /// Why a family whose heads share the stream's width can't say these sizes; none if it can.
    pub(super) fn refuse_unshared(&self) -> Option<String> {
        let (n_heads, d_model, d_k) = (self.n_heads(), self.d_model, self.head.d_k);
        if d_model != n_heads * d_k {
            return Some(format!(
                "d_model must be n_heads × d_k, but it is {d_model} and they are {n_heads} × {d_k}{}",
                remedy(d_model, n_heads, d_k)
            ));
        }
        (self.head.n_queries != 1)
            .then(|| "each of its heads has keys and values of its own, none are shared".into())
    }

    /// The architecture of these sizes.
    pub(super) fn architecture(
        self,
        config: &Config,
        vocab_size: usize,
        seq_len: usize,
        form: Form,
    ) -> Result<Architecture, HubError> {
        if self.n_layers > MAX_COUNT || self.n_kv_heads > MAX_COUNT {
            return config.refuse(format!("more than {MAX_COUNT} layers or heads are no model"));
        }
        // Each head of each layer is a value of its own.
        if self.n_layers * self.n_kv_heads > MAX_HEADS {
            return config.refuse(format!(
                "more than {MAX_HEADS} heads in all layers together are no model"
            ));
        }
        let layer = LayerShape::own(vec![self.head; self.n_kv_heads], self.d_ff);
        let architecture =
            Architecture::uniform(vocab_size, seq_len, self.d_model, self.n_layers, layer, form);
        let path = config.path.display().to_string();
        architecture.validate().map_err(|error| HubError::Architecture { path, error })?;
        Ok(architecture)
    }
}

/// How to make d_model = n_heads × d_k true.
fn remedy(d_model: usize, n_heads: usize, d_k: usize) -> String {
    let mut ways = vec![];
    if d_model.is_multiple_of(d_k) && d_model / d_k > n_heads {
        ways.push(format!("--n-heads {}", d_model / d_k));
    }
    if d_model.is_multiple_of(n_heads) && d_model / n_heads > d_k {
        let d = d_model / n_heads;
        ways.push(format!("--d-k {d} --d-v {d}"));
    }
    if n_heads * d_k > d_model {
        ways.push(format!("--d-model {}", n_heads * d_k));
    }
    match ways.is_empty() {
        true => {
            format!("; a d_model that is a multiple of {d_k} or of {n_heads} could be made sayable")
        }
        false => format!("; {} would make it sayable", ways.join(" or ")),
    }
}
