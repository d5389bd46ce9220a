//! GPT-NeoX, and with it Pythia
//! (transformers: models/gpt_neox/modeling_gpt_neox.py, configuration_gpt_neox.py).

use outgrow_core::{Architecture, Form, HeadShape, Norm, ParamKind::*, Positions as PositionKind};
use serde_json::Value;

use super::{
    config::Config,
    error::HubError,
    fields::{activation, shared_width},
    format::{FormRules, Format},
    layout::{
        Fused,
        Layout::{Same, Transposed},
        Stored, one,
    },
    rope,
    uniform::Uniform,
};

static TENSORS: &[Stored] = &[
    one("gpt_neox.embed_in.weight", &[Embedding], Same),
    one("gpt_neox.layers.{}.input_layernorm.weight", &[AttentionNorm], Same),
    one("gpt_neox.layers.{}.input_layernorm.bias", &[AttentionNormBias], Same),
    Stored {
        name: "gpt_neox.layers.{}.attention.query_key_value.weight",
        kinds: &[Wq, Wk, Wv],
        layout: Transposed,
        fused: Fused::PerHead,
    },
    Stored {
        name: "gpt_neox.layers.{}.attention.query_key_value.bias",
        kinds: &[Bq, Bk, Bv],
        layout: Same,
        fused: Fused::PerHead,
    },
    one("gpt_neox.layers.{}.attention.dense.weight", &[Wo], Transposed),
    one("gpt_neox.layers.{}.attention.dense.bias", &[Bo], Same),
    one("gpt_neox.layers.{}.post_attention_layernorm.weight", &[MlpNorm], Same),
    one("gpt_neox.layers.{}.post_attention_layernorm.bias", &[MlpNormBias], Same),
    one("gpt_neox.layers.{}.mlp.dense_h_to_4h.weight", &[W1], Transposed),
    one("gpt_neox.layers.{}.mlp.dense_h_to_4h.bias", &[B1], Same),
    one("gpt_neox.layers.{}.mlp.dense_4h_to_h.weight", &[W2], Transposed),
    one("gpt_neox.layers.{}.mlp.dense_4h_to_h.bias", &[B2], Same),
    one("gpt_neox.final_layer_norm.weight", &[FinalNorm], Same),
    one("gpt_neox.final_layer_norm.bias", &[FinalNormBias], Same),
    one("embed_out.weight", &[Unembedding], Transposed),
];

pub(super) static FORMAT: Format = Format {
    model_type: "gpt_neox",
    classes: ["GPTNeoXForCausalLM", "GPTNeoXModel"],
    prefix: "gpt_neox.",
    tensors: TENSORS,
    unused: &[],
    tied_by_default: false,
    partial_rotary: true,
    length_field: "max_position_embeddings",
    activation_field: "hidden_act",
    rules: FormRules {
        norm: Norm::LayerNorm,
        gated: false,
        learned_positions: false,
        qk_norm: false,
        parallel: true,
        needs_attention_bias: false,
        mlp_bias: Some(true),
    },
    refuse_sizes: Uniform::refuse_unshared,
    read,
    fields,
    switches,
};

fn read(config: &Config) -> Result<Architecture, HubError> {
    let (d_model, n_heads) = (config.needed("hidden_size")?, config.needed("num_attention_heads")?);
    let d_k = shared_width(config, d_model, n_heads)?;
    let attention_bias = config.flag("attention_bias", true)?;
    let form = Form {
        positions: PositionKind::Rotary(rope::read(config, d_k, true)?),
        activation: activation(config, "hidden_act", "gelu")?,
        qkv_bias: attention_bias,
        output_bias: attention_bias,
        parallel: config.flag("use_parallel_residual", true)?,
        tied: config.flag("tie_word_embeddings", false)?,
        ..Form::decoder(Norm::LayerNorm, config.number("layer_norm_eps", 1e-5)? * d_model as f64)
    };
    let sizes = Uniform {
        d_model,
        n_layers: config.needed("num_hidden_layers")?,
        head: HeadShape::new(d_k, d_k),
        n_kv_heads: n_heads,
        d_ff: config.needed("intermediate_size")?,
    };
    let (vocab_size, seq_len) =
        (config.needed("vocab_size")?, config.needed("max_position_embeddings")?);
    sizes.architecture(config, vocab_size, seq_len, form)
}

fn fields(sizes: &Uniform, _: usize, eps: f64) -> Vec<(&'static str, Value)> {
    vec![
        ("hidden_size", sizes.d_model.into()),
        ("num_hidden_layers", sizes.n_layers.into()),
        ("num_attention_heads", sizes.n_kv_heads.into()),
        ("intermediate_size", sizes.d_ff.into()),
        ("layer_norm_eps", eps.into()),
    ]
}

fn switches(form: Form) -> Vec<(&'static str, Value)> {
    vec![("use_parallel_residual", form.parallel.into()), ("attention_bias", form.qkv_bias.into())]
}
