//! GPT-2
//! (transformers: models/gpt2/modeling_gpt2.py, configuration_gpt2.py).

use outgrow_core::{Architecture, Form, HeadShape, Norm, ParamKind::*};
use serde_json::Value;

use super::{
    config::Config,
    error::HubError,
    fields::{activation, shared_width},
    format::{FormRules, Format},
    layout::{
        Layout::{Same, Transposed},
        Stored, one,
    },
    uniform::Uniform,
};

static TENSORS: &[Stored] = &[
    one("transformer.wte.weight", &[Embedding], Same),
    one("transformer.wpe.weight", &[Positions], Same),
    one("transformer.h.{}.ln_1.weight", &[AttentionNorm], Same),
    one("transformer.h.{}.ln_1.bias", &[AttentionNormBias], Same),
    one("transformer.h.{}.attn.c_attn.weight", &[Wq, Wk, Wv], Same),
    one("transformer.h.{}.attn.c_attn.bias", &[Bq, Bk, Bv], Same),
    one("transformer.h.{}.attn.c_proj.weight", &[Wo], Same),
    one("transformer.h.{}.attn.c_proj.bias", &[Bo], Same),
    one("transformer.h.{}.ln_2.weight", &[MlpNorm], Same),
    one("transformer.h.{}.ln_2.bias", &[MlpNormBias], Same),
    one("transformer.h.{}.mlp.c_fc.weight", &[W1], Same),
    one("transformer.h.{}.mlp.c_fc.bias", &[B1], Same),
    one("transformer.h.{}.mlp.c_proj.weight", &[W2], Same),
    one("transformer.h.{}.mlp.c_proj.bias", &[B2], Same),
    one("transformer.ln_f.weight", &[FinalNorm], Same),
    one("transformer.ln_f.bias", &[FinalNormBias], Same),
    one("lm_head.weight", &[Unembedding], Transposed),
];

pub(super) static FORMAT: Format = Format {
    model_type: "gpt2",
    classes: ["GPT2LMHeadModel", "GPT2Model"],
    prefix: "transformer.",
    tensors: TENSORS,
    unused: &[],
    tied_by_default: true,
    partial_rotary: false,
    length_field: "n_positions",
    activation_field: "activation_function",
    rules: FormRules {
        norm: Norm::LayerNorm,
        gated: false,
        learned_positions: true,
        qk_norm: false,
        parallel: false,
        needs_attention_bias: true,
        mlp_bias: Some(true),
    },
    refuse_sizes: Uniform::refuse_unshared,
    read,
    fields,
    switches: |_| vec![],
};

fn read(config: &Config) -> Result<Architecture, HubError> {
    let (d_model, n_heads) = (config.needed("n_embd")?, config.needed("n_head")?);
    let form = Form {
        activation: activation(config, "activation_function", "gelu_new")?,
        qkv_bias: true,
        output_bias: true,
        tied: config.flag("tie_word_embeddings", true)?,
        ..Form::decoder(
            Norm::LayerNorm,
            config.number("layer_norm_epsilon", 1e-5)? * d_model as f64,
        )
    };
    let d_k = shared_width(config, d_model, n_heads)?;
    let sizes = Uniform {
        d_model,
        n_layers: config.needed("n_layer")?,
        head: HeadShape::new(d_k, d_k),
        n_kv_heads: n_heads,
        d_ff: config.size("n_inner")?.unwrap_or(d_model.saturating_mul(4)),
    };
    let (vocab_size, seq_len) = (config.needed("vocab_size")?, config.needed("n_positions")?);
    sizes.architecture(config, vocab_size, seq_len, form)
}

fn fields(sizes: &Uniform, seq_len: usize, eps: f64) -> Vec<(&'static str, Value)> {
    vec![
        ("n_embd", sizes.d_model.into()),
        ("n_layer", sizes.n_layers.into()),
        ("n_head", sizes.n_kv_heads.into()),
        ("n_inner", sizes.d_ff.into()),
        ("n_positions", seq_len.into()),
        ("layer_norm_epsilon", eps.into()),
    ]
}
