//! Fields of a configuration that mean the same in several families.

use outgrow_core::{Activation, HeadShape};

use super::{config::Config, error::HubError};

/// The width of a head if all share the stream's, which transformers demands to be possible.
pub(super) fn even_width(
    config: &Config,
    d_model: usize,
    n_heads: usize,
) -> Result<usize, HubError> {
    if n_heads == 0 || !d_model.is_multiple_of(n_heads) {
        return config.refuse(format!(
            "the width {d_model} is not a multiple of the number of heads, {n_heads}"
        ));
    }
    Ok(d_model / n_heads)
}

/// The width of a head in a family whose heads share the stream's.
pub(super) fn shared_width(
    config: &Config,
    d_model: usize,
    n_heads: usize,
) -> Result<usize, HubError> {
    let d_k = even_width(config, d_model, n_heads)?;
    match config.size("head_dim")? {
        Some(other) if other != d_k => config.contradiction([
            &format!("`head_dim` is {other}"),
            &format!("a width of {d_model} in {n_heads} heads is {d_k} each"),
        ]),
        _ => Ok(d_k),
    }
}

/// The shape of heads of which groups share their keys and values.
pub(super) fn head(
    config: &Config,
    n_heads: usize,
    n_kv_heads: usize,
    d_k: usize,
) -> Result<HeadShape, HubError> {
    if n_kv_heads == 0 || !n_heads.is_multiple_of(n_kv_heads) {
        return config.refuse(format!(
            "num_attention_heads {n_heads} is not a multiple of num_key_value_heads {n_kv_heads}"
        ));
    }
    Ok(HeadShape { n_queries: n_heads / n_kv_heads, d_k, d_v: d_k })
}

/// The activation in a field.
pub(super) fn activation(
    config: &Config,
    key: &str,
    default: &str,
) -> Result<Activation, HubError> {
    let name = config.text(key)?.unwrap_or_else(|| default.into());
    match name.as_str() {
        "relu" => Ok(Activation::Relu),
        "gelu" => Ok(Activation::Gelu),
        "gelu_new" | "gelu_pytorch_tanh" | "gelu_fast" => Ok(Activation::GeluTanh),
        "silu" | "swish" => Ok(Activation::Silu),
        other => config.refuse(format!(
            "unknown `{key}` {other:?}; expected one of relu, gelu, gelu_new, silu"
        )),
    }
}

/// What transformers calls an activation.
pub(super) fn activation_name(activation: Activation) -> &'static str {
    match activation {
        Activation::Relu => "relu",
        Activation::Gelu => "gelu",
        Activation::GeluTanh => "gelu_pytorch_tanh",
        Activation::Silu => "silu",
    }
}
