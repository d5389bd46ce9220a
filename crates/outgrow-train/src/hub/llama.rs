//! Llama, and what is built like it
//! (transformers: models/llama/modeling_llama.py, configuration_llama.py).

use outgrow_core::{Architecture, Form, Norm, ParamKind::*, Positions as PositionKind};
use serde_json::Value;

use super::{
    config::Config,
    error::HubError,
    fields::{activation, even_width, head},
    format::{FormRules, Format},
    layout::{
        Layout::{Same, Transposed},
        Stored, one,
    },
    rope,
    uniform::Uniform,
};

pub(super) static TENSORS: &[Stored] = &[
    one("model.embed_tokens.weight", &[Embedding], Same),
    one("model.layers.{}.input_layernorm.weight", &[AttentionNorm], Same),
    one("model.layers.{}.self_attn.q_proj.weight", &[Wq], Transposed),
    one("model.layers.{}.self_attn.q_proj.bias", &[Bq], Same),
    one("model.layers.{}.self_attn.q_norm.weight", &[QueryNorm], Same),
    one("model.layers.{}.self_attn.k_proj.weight", &[Wk], Transposed),
    one("model.layers.{}.self_attn.k_proj.bias", &[Bk], Same),
    one("model.layers.{}.self_attn.k_norm.weight", &[KeyNorm], Same),
    one("model.layers.{}.self_attn.v_proj.weight", &[Wv], Transposed),
    one("model.layers.{}.self_attn.v_proj.bias", &[Bv], Same),
    one("model.layers.{}.self_attn.o_proj.weight", &[Wo], Transposed),
    one("model.layers.{}.self_attn.o_proj.bias", &[Bo], Same),
    one("model.layers.{}.post_attention_layernorm.weight", &[MlpNorm], Same),
    one("model.layers.{}.mlp.gate_proj.weight", &[Wg], Transposed),
    one("model.layers.{}.mlp.gate_proj.bias", &[Bg], Same),
    one("model.layers.{}.mlp.up_proj.weight", &[W1], Transposed),
    one("model.layers.{}.mlp.up_proj.bias", &[B1], Same),
    one("model.layers.{}.mlp.down_proj.weight", &[W2], Transposed),
    one("model.layers.{}.mlp.down_proj.bias", &[B2], Same),
    one("model.norm.weight", &[FinalNorm], Same),
    one("lm_head.weight", &[Unembedding], Transposed),
];

pub(super) static FORMAT: Format = Format {
    model_type: "llama",
    classes: ["LlamaForCausalLM", "LlamaModel"],
    prefix: "model.",
    tensors: TENSORS,
    unused: &[],
    tied_by_default: false,
    partial_rotary: false,
    length_field: "max_position_embeddings",
    activation_field: "hidden_act",
    rules: RULES,
    refuse_sizes,
    read,
    fields,
    switches,
};

pub(super) const RULES: FormRules = FormRules {
    norm: Norm::RmsNorm,
    gated: true,
    learned_positions: false,
    qk_norm: false,
    parallel: false,
    needs_attention_bias: false,
    mlp_bias: None,
};

fn refuse_sizes(sizes: &Uniform) -> Option<String> {
    let (d_model, n_heads) = (sizes.d_model, sizes.n_heads());
    (!d_model.is_multiple_of(n_heads)).then(|| {
        let next = d_model.next_multiple_of(n_heads);
        format!(
            "transformers demands that d_model be a multiple of n_heads, but they are {d_model} and {n_heads}; --d-model {next} would make it sayable"
        )
    })
}

fn read(config: &Config) -> Result<Architecture, HubError> {
    let (d_model, n_heads) = (config.needed("hidden_size")?, config.needed("num_attention_heads")?);
    let n_kv_heads = config.size("num_key_value_heads")?.unwrap_or(n_heads);
    let head_dim = config.size("head_dim")?;
    let even = even_width(config, d_model, n_heads)?;
    let heads = Heads { d_model, n_heads, n_kv_heads, d_k: head_dim.unwrap_or(even) };
    read_with(config, heads, false)
}

/// The widths of stream and heads.
pub(super) struct Heads {
    pub(super) d_model: usize,
    pub(super) n_heads: usize,
    pub(super) n_kv_heads: usize,
    pub(super) d_k: usize,
}

/// The architecture of a configuration with these heads, with QK-norm (then its MLP has no biases)
/// or without.
pub(super) fn read_with(
    config: &Config,
    heads: Heads,
    qk_norm: bool,
) -> Result<Architecture, HubError> {
    let Heads { d_model, n_heads, n_kv_heads, d_k } = heads;
    let eps = config.number("rms_norm_eps", 1e-6)?;
    let attention_bias = config.flag("attention_bias", false)?;
    let form = Form {
        positions: PositionKind::Rotary(rope::read(config, d_k, false)?),
        activation: activation(config, "hidden_act", "silu")?,
        gated: true,
        qkv_bias: attention_bias,
        output_bias: attention_bias,
        mlp_bias: !qk_norm && config.flag("mlp_bias", false)?,
        qk_norm_eps: qk_norm.then_some(eps),
        tied: config.flag("tie_word_embeddings", false)?,
        ..Form::decoder(Norm::RmsNorm, eps * d_model as f64)
    };
    let sizes = Uniform {
        d_model,
        n_layers: config.needed("num_hidden_layers")?,
        head: head(config, n_heads, n_kv_heads, d_k)?,
        n_kv_heads,
        d_ff: config.needed("intermediate_size")?,
    };
    let (vocab_size, seq_len) =
        (config.needed("vocab_size")?, config.needed("max_position_embeddings")?);
    sizes.architecture(config, vocab_size, seq_len, form)
}

pub(super) fn fields(sizes: &Uniform, _: usize, eps: f64) -> Vec<(&'static str, Value)> {
    vec![
        ("hidden_size", sizes.d_model.into()),
        ("num_hidden_layers", sizes.n_layers.into()),
        ("num_attention_heads", sizes.n_heads().into()),
        ("num_key_value_heads", sizes.n_kv_heads.into()),
        ("head_dim", sizes.head.d_k.into()),
        ("intermediate_size", sizes.d_ff.into()),
        ("rms_norm_eps", eps.into()),
    ]
}

fn switches(form: Form) -> Vec<(&'static str, Value)> {
    vec![("mlp_bias", form.mlp_bias.into()), ("attention_bias", form.qkv_bias.into())]
}
