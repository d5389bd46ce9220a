//! Qwen3 (dense): Llama with QK-norm
//! (transformers: models/qwen3/modeling_qwen3.py, configuration_qwen3.py).

use outgrow_core::{Architecture, Form};
use serde_json::Value;

use super::{
    config::Config,
    error::HubError,
    format::{FormRules, Format},
    llama::{self, Heads},
};

pub(super) static FORMAT: Format = Format {
    model_type: "qwen3",
    classes: ["Qwen3ForCausalLM", "Qwen3Model"],
    prefix: "model.",
    tensors: llama::TENSORS,
    // Without its switch, Qwen3's window is not used.
    unused: &["sliding_window"],
    tied_by_default: false,
    partial_rotary: false,
    length_field: "max_position_embeddings",
    activation_field: "hidden_act",
    rules: FormRules { qk_norm: true, mlp_bias: Some(false), ..llama::RULES },
    refuse_sizes: |_| None,
    read,
    fields: llama::fields,
    switches,
};

fn read(config: &Config) -> Result<Architecture, HubError> {
    let (d_model, n_heads) = (config.needed("hidden_size")?, config.needed("num_attention_heads")?);
    // What transformers takes where a field is left out; null is each head's own.
    let n_kv_heads = match config.size("num_key_value_heads")? {
        None if !config.fields.contains_key("num_key_value_heads") => 32,
        n => n.unwrap_or(n_heads),
    };
    let d_k = config.size("head_dim")?.unwrap_or(128);
    llama::read_with(config, Heads { d_model, n_heads, n_kv_heads, d_k }, true)
}

fn switches(form: Form) -> Vec<(&'static str, Value)> {
    vec![("attention_bias", form.qkv_bias.into())]
}
