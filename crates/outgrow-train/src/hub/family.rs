//! The families: which architecture a `config.json` means, and where each family keeps its tensors.

use std::path::Path;

use outgrow_core::{
    Activation, Architecture, Form, HeadShape, LayerShape, Norm,
    ParamKind::{self, *},
    Positions as PositionKind,
    model::MAX_COUNT,
};
use serde_json::{Map, Value, json};

use super::{Dtype, HubError, config::Config, facts, longrope, rope};

/// A family of models that transformers knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// Llama, and what is built like it.
    Llama,
    /// Qwen3 (dense): Llama with QK-norm.
    Qwen3,
    /// GPT-2.
    Gpt2,
    /// GPT-NeoX, and with it Pythia.
    GptNeox,
}

/// How a family stores a matrix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// As we do: a vector, a table, or in × out.
    Same,
    /// Out × in.
    Transposed,
}

/// How several of our parameters lie in one tensor, along the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fused {
    /// One after the other.
    Blocks,
    /// Head by head: of each head first this one's part, then that one's.
    PerHead,
}

/// One tensor of a family, `{}` for the number of a layer, and which of our parameters it holds.
pub struct Stored {
    pub name: &'static str,
    pub kinds: &'static [ParamKind],
    pub layout: Layout,
    pub fused: Fused,
}

const fn one(name: &'static str, kinds: &'static [ParamKind], layout: Layout) -> Stored {
    Stored { name, kinds, layout, fused: Fused::Blocks }
}

use Layout::{Same, Transposed};

const LLAMA: &[Stored] = &[
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

const GPT2: &[Stored] = &[
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

const GPT_NEOX: &[Stored] = &[
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

/// Buffers that older versions of transformers stored, and that follow from the configuration.
const BUFFERS: [&str; 5] = [
    "rotary_emb.inv_freq",
    ".attn.bias",
    ".attn.masked_bias",
    ".attention.bias",
    ".attention.masked_bias",
];

/// No model has more heads in all of its layers: a bound for untrusted input.
const MAX_HEADS: usize = 1 << 20;

/// The sizes of a model whose layers are all alike, as every family has them.
struct Uniform {
    d_model: usize,
    n_layers: usize,
    head: HeadShape,
    n_kv_heads: usize,
    d_ff: usize,
}

impl Family {
    /// All of them.
    pub const ALL: [Family; 4] = [Family::Llama, Family::Qwen3, Family::Gpt2, Family::GptNeox];

    /// What `model_type` says in a configuration.
    pub fn model_type(self) -> &'static str {
        match self {
            Family::Llama => "llama",
            Family::Qwen3 => "qwen3",
            Family::Gpt2 => "gpt2",
            Family::GptNeox => "gpt_neox",
        }
    }

    /// transformers' classes of the model with its head and without.
    pub(super) fn classes(self) -> [&'static str; 2] {
        match self {
            Family::Llama => ["LlamaForCausalLM", "LlamaModel"],
            Family::Qwen3 => ["Qwen3ForCausalLM", "Qwen3Model"],
            Family::Gpt2 => ["GPT2LMHeadModel", "GPT2Model"],
            Family::GptNeox => ["GPTNeoXForCausalLM", "GPTNeoXModel"],
        }
    }

    /// The tensors, in the order of computation.
    pub(super) fn tensors(self) -> &'static [Stored] {
        match self {
            Family::Llama | Family::Qwen3 => LLAMA,
            Family::Gpt2 => GPT2,
            Family::GptNeox => GPT_NEOX,
        }
    }

    /// The prefix that a model without its head lacks.
    pub(super) fn prefix(self) -> &'static str {
        match self {
            Family::Llama | Family::Qwen3 => "model.",
            Family::Gpt2 => "transformer.",
            Family::GptNeox => "gpt_neox.",
        }
    }

    /// The tensors of the embedding and of the head, which may be one.
    pub(super) fn tables(self) -> [&'static str; 2] {
        let name = |kind: ParamKind| {
            self.tensors().iter().find(|stored| stored.kinds == [kind]).map(|stored| stored.name)
        };
        [Embedding, Unembedding].map(|kind| name(kind).expect("every family has both"))
    }

    /// Whether a tensor of that name in a file means nothing beyond the configuration.
    pub(super) fn is_redundant(self, name: &str) -> bool {
        BUFFERS.iter().any(|buffer| name.ends_with(buffer))
    }

    /// The family that a configuration names.
    pub(super) fn of_config(config: &Config) -> Result<Self, HubError> {
        let known = || Self::ALL.map(Self::model_type).join(", ");
        let Some(model_type) = config.text("model_type")? else {
            return config.refuse(format!("`model_type` is missing; known are {}", known()));
        };
        match Self::ALL.into_iter().find(|family| family.model_type() == model_type) {
            Some(family) => Ok(family),
            None => config.refuse(format!(
                "`model_type` {model_type:?} is not known here; known are {}",
                known()
            )),
        }
    }

    /// The family whose form an architecture has.
    ///
    /// # Errors
    /// If none has it: what the nearest one would need.
    pub fn of(architecture: &Architecture) -> Result<Self, HubError> {
        let form = architecture.form;
        let family = match (form.norm, form.positions, form.qk_norm_eps) {
            (Norm::RmsNorm, _, Some(_)) => Family::Qwen3,
            (Norm::RmsNorm, ..) => Family::Llama,
            (Norm::LayerNorm, PositionKind::Learned, _) => Family::Gpt2,
            (Norm::LayerNorm, PositionKind::Rotary(_), _) => Family::GptNeox,
        };
        family.check(architecture).map(|()| family)
    }

    /// The architecture that a configuration means.
    pub(super) fn architecture(self, config: &Config) -> Result<Architecture, HubError> {
        if config.get("quantization_config").is_some() {
            return config.refuse(
                "the model is quantized; growing needs its weights in a floating-point type",
            );
        }
        facts::check(config, self)?;
        match self {
            Family::Llama | Family::Qwen3 => self.read_llama(config),
            Family::Gpt2 => self.read_gpt2(config),
            Family::GptNeox => self.read_gpt_neox(config),
        }
    }

    fn read_llama(self, config: &Config) -> Result<Architecture, HubError> {
        let is_qwen = self == Family::Qwen3;
        let (d_model, n_heads) =
            (config.needed("hidden_size")?, config.needed("num_attention_heads")?);
        // What transformers takes where a field is left out; null is each head's own.
        let n_kv_heads = match config.size("num_key_value_heads")? {
            None if is_qwen && !config.fields.contains_key("num_key_value_heads") => 32,
            n => n.unwrap_or(n_heads),
        };
        let d_k = match config.size("head_dim")? {
            None if is_qwen => 128,
            Some(d_k) if is_qwen => d_k,
            head_dim => {
                let even = even_width(config, d_model, n_heads)?;
                head_dim.unwrap_or(even)
            }
        };
        let eps = config.number("rms_norm_eps", 1e-6)?;
        let attention_bias = config.flag("attention_bias", false)?;
        let form = Form {
            positions: PositionKind::Rotary(rope::read(config, d_k, false)?),
            activation: activation(config, "hidden_act", "silu")?,
            gated: true,
            qkv_bias: attention_bias,
            output_bias: attention_bias,
            mlp_bias: !is_qwen && config.flag("mlp_bias", false)?,
            qk_norm_eps: is_qwen.then_some(eps),
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
        sizes.architecture(
            config,
            config.needed("vocab_size")?,
            config.needed("max_position_embeddings")?,
            form,
        )
    }

    fn read_gpt2(self, config: &Config) -> Result<Architecture, HubError> {
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
        sizes.architecture(
            config,
            config.needed("vocab_size")?,
            config.needed("n_positions")?,
            form,
        )
    }

    fn read_gpt_neox(self, config: &Config) -> Result<Architecture, HubError> {
        let (d_model, n_heads) =
            (config.needed("hidden_size")?, config.needed("num_attention_heads")?);
        let d_k = shared_width(config, d_model, n_heads)?;
        let attention_bias = config.flag("attention_bias", true)?;
        let form = Form {
            positions: PositionKind::Rotary(rope::read(config, d_k, true)?),
            activation: activation(config, "hidden_act", "gelu")?,
            qkv_bias: attention_bias,
            output_bias: attention_bias,
            parallel: config.flag("use_parallel_residual", true)?,
            tied: config.flag("tie_word_embeddings", false)?,
            ..Form::decoder(
                Norm::LayerNorm,
                config.number("layer_norm_eps", 1e-5)? * d_model as f64,
            )
        };
        let sizes = Uniform {
            d_model,
            n_layers: config.needed("num_hidden_layers")?,
            head: HeadShape::new(d_k, d_k),
            n_kv_heads: n_heads,
            d_ff: config.needed("intermediate_size")?,
        };
        sizes.architecture(
            config,
            config.needed("vocab_size")?,
            config.needed("max_position_embeddings")?,
            form,
        )
    }

    /// Refuses an architecture that the family's format has no words for.
    ///
    /// # Errors
    /// What it can't say, and what would make it sayable.
    pub fn check(self, architecture: &Architecture) -> Result<(), HubError> {
        self.uniform(architecture).map(drop)
    }

    fn uniform(self, architecture: &Architecture) -> Result<Uniform, HubError> {
        let unsayable = |why: String| Err(HubError::Unsayable { family: self.model_type(), why });
        let (form, layers) = (architecture.form, &architecture.layers);
        if let Some(why) = self.foreign(form) {
            return unsayable(why);
        }
        if architecture.n_outputs != architecture.vocab_size {
            return unsayable("it has other outputs than tokens".into());
        }
        if let Some(number) = layers.iter().position(|layer| *layer != layers[0]) {
            return unsayable(format!(
                "its layers must all have the same sizes, but layer {number} differs from layer 0; grow every layer alike, new ones in the shape of their neighbour"
            ));
        }
        let (layer, head) = (&layers[0], layers[0].heads[0]);
        if layer.heads.iter().any(|other| *other != head) {
            return unsayable(
                "its heads must all have the same sizes; grow every head alike".into(),
            );
        }
        let HeadShape { n_queries, d_k, d_v } = head;
        if d_v != d_k {
            let wider = d_k.max(d_v);
            return unsayable(format!(
                "keys and values of a head must be equally wide, but d_k is {d_k} and d_v {d_v}; --d-k {wider} --d-v {wider} would make it sayable"
            ));
        }
        let (n_heads, d_model) = (layer.n_heads(), architecture.d_model);
        match self {
            Family::Llama if !d_model.is_multiple_of(n_heads) => {
                let next = d_model.next_multiple_of(n_heads);
                return unsayable(format!(
                    "transformers demands that d_model be a multiple of n_heads, but they are {d_model} and {n_heads}; --d-model {next} would make it sayable"
                ));
            }
            Family::Gpt2 | Family::GptNeox if d_model != n_heads * d_k => {
                return unsayable(format!(
                    "d_model must be n_heads × d_k, but it is {d_model} and they are {n_heads} × {d_k}{}",
                    remedy(d_model, n_heads, d_k)
                ));
            }
            Family::Gpt2 | Family::GptNeox if n_queries != 1 => {
                return unsayable(
                    "each of its heads has keys and values of its own, none are shared".into(),
                );
            }
            _ => {}
        }
        let (n_layers, n_kv_heads) = (layers.len(), layer.heads.len());
        Ok(Uniform { d_model, n_layers, head, n_kv_heads, d_ff: layer.d_ff })
    }

    /// What of a form the family does not have.
    fn foreign(self, form: Form) -> Option<String> {
        let Form {
            causal,
            final_norm,
            norm_gains,
            norm,
            gated,
            parallel,
            qkv_bias,
            output_bias,
            mlp_bias,
            ..
        } = form;
        let llama = matches!(self, Family::Llama | Family::Qwen3);
        let rules: [(bool, &str); 12] = [
            (causal, "it must be causal"),
            (final_norm, "it must have a final norm"),
            (norm_gains, "its norms must have gains"),
            (
                (norm == Norm::RmsNorm) == llama,
                if llama { "its norms must be RMSNorms" } else { "its norms must be LayerNorms" },
            ),
            (
                gated == llama,
                if llama { "its MLP must have a gate" } else { "its MLP must have no gate" },
            ),
            (
                (self == Family::Gpt2) == form.rotary().is_none(),
                if self == Family::Gpt2 {
                    "positions must be learned"
                } else {
                    "positions must be rotary"
                },
            ),
            (
                form.qk_norm_eps.is_some() == (self == Family::Qwen3),
                if self == Family::Qwen3 {
                    "it must have QK-norm"
                } else {
                    "it must have no QK-norm"
                },
            ),
            (
                self == Family::GptNeox || !parallel,
                "attention and MLP must stand one after the other",
            ),
            (qkv_bias == output_bias, "attention must have all of its biases or none"),
            (self != Family::Gpt2 || qkv_bias, "attention must have biases"),
            (llama || mlp_bias, "its MLP must have biases"),
            (self != Family::Qwen3 || !mlp_bias, "its MLP must have no biases"),
        ];
        if let Some((_, why)) = rules.into_iter().find(|(holds, _)| !holds) {
            return Some(why.into());
        }
        let partial = form.rotary().is_some_and(|rotary| rotary.channels.is_some());
        (llama && partial).then(|| "rotary positions must turn all channels".into())
    }

    /// The configuration of an architecture: what `base` says, with the sizes of this one.
    pub(super) fn config(
        self,
        architecture: &Architecture,
        base: Option<&Map<String, Value>>,
        dtype: Dtype,
    ) -> Result<Map<String, Value>, HubError> {
        let sizes = self.uniform(architecture)?;
        let mut config = base.cloned().unwrap_or_else(|| self.fresh(architecture));
        let eps = architecture.form.eps_sum / architecture.d_model as f64;
        let fields: Vec<(&str, Value)> = match self {
            Family::Llama | Family::Qwen3 => vec![
                ("hidden_size", sizes.d_model.into()),
                ("num_hidden_layers", sizes.n_layers.into()),
                ("num_attention_heads", (sizes.n_kv_heads * sizes.head.n_queries).into()),
                ("num_key_value_heads", sizes.n_kv_heads.into()),
                ("head_dim", sizes.head.d_k.into()),
                ("intermediate_size", sizes.d_ff.into()),
                ("rms_norm_eps", eps.into()),
            ],
            Family::Gpt2 => vec![
                ("n_embd", sizes.d_model.into()),
                ("n_layer", sizes.n_layers.into()),
                ("n_head", sizes.n_kv_heads.into()),
                ("n_inner", sizes.d_ff.into()),
                ("n_positions", architecture.seq_len.into()),
                ("layer_norm_epsilon", eps.into()),
            ],
            Family::GptNeox => vec![
                ("hidden_size", sizes.d_model.into()),
                ("num_hidden_layers", sizes.n_layers.into()),
                ("num_attention_heads", sizes.n_kv_heads.into()),
                ("intermediate_size", sizes.d_ff.into()),
                ("layer_norm_eps", eps.into()),
            ],
        };
        let own: Vec<&str> = fields.iter().map(|(key, _)| *key).collect();
        config.extend(fields.into_iter().map(|(key, value)| (key.to_owned(), value)));
        facts::rename(&mut config, &own);
        // Of families that have no such field: it says what follows from others.
        if config.get("head_dim").is_some_and(|value| !value.is_null()) {
            config.insert("head_dim".into(), sizes.head.d_k.into());
        }
        if config.get("layer_types").is_some_and(Value::is_array) {
            config.insert("layer_types".into(), vec!["full_attention"; sizes.n_layers].into());
        }
        if let Some(rotary) = architecture.form.rotary() {
            longrope::remove(&mut config);
            rope::write(&mut config, rotary, sizes.head.d_k, self == Family::GptNeox);
            if dtype == Dtype::Float64 && self != Family::GptNeox {
                longrope::write(&mut config, rotary, sizes.head.d_k, architecture.seq_len);
            }
        }
        Ok(config)
    }

    /// What does not follow from sizes, for a model that did not come from transformers.
    fn fresh(self, architecture: &Architecture) -> Map<String, Value> {
        let form = architecture.form;
        let positions =
            if self == Family::Gpt2 { "n_positions" } else { "max_position_embeddings" };
        let act = if self == Family::Gpt2 { "activation_function" } else { "hidden_act" };
        let name = match form.activation {
            Activation::Relu => "relu",
            Activation::Gelu => "gelu",
            Activation::GeluTanh => "gelu_pytorch_tanh",
            Activation::Silu => "silu",
        };
        let mut config = Map::new();
        let mut set = |key: &str, value: Value| drop(config.insert(key.into(), value));
        set("architectures", json!([self.classes()[0]]));
        set("model_type", self.model_type().into());
        set("vocab_size", architecture.vocab_size.into());
        set(positions, architecture.seq_len.into());
        set(act, name.into());
        set("tie_word_embeddings", form.tied.into());
        // The defaults of transformers name tokens that a small vocabulary does not have.
        set("bos_token_id", Value::Null);
        set("eos_token_id", Value::Null);
        match self {
            Family::Llama => set("mlp_bias", form.mlp_bias.into()),
            Family::GptNeox => set("use_parallel_residual", form.parallel.into()),
            Family::Qwen3 | Family::Gpt2 => {}
        }
        if self != Family::Gpt2 {
            set("attention_bias", form.qkv_bias.into());
        }
        config
    }
}

impl Uniform {
    fn architecture(
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
        let layer = LayerShape { heads: vec![self.head; self.n_kv_heads], d_ff: self.d_ff };
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

/// The width of a head if all share the stream's, which transformers demands to be possible.
fn even_width(config: &Config, d_model: usize, n_heads: usize) -> Result<usize, HubError> {
    if n_heads == 0 || !d_model.is_multiple_of(n_heads) {
        return config.refuse(format!(
            "the width {d_model} is not a multiple of the number of heads, {n_heads}"
        ));
    }
    Ok(d_model / n_heads)
}

/// The width of a head in a family whose heads share the stream's.
fn shared_width(config: &Config, d_model: usize, n_heads: usize) -> Result<usize, HubError> {
    let d_k = even_width(config, d_model, n_heads)?;
    match config.size("head_dim")? {
        Some(other) if other != d_k => config.contradiction([
            &format!("`head_dim` is {other}"),
            &format!("a width of {d_model} in {n_heads} heads is {d_k} each"),
        ]),
        _ => Ok(d_k),
    }
}

fn head(
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

fn activation(config: &Config, key: &str, default: &str) -> Result<Activation, HubError> {
    let name = config.text(key)?.unwrap_or_else(|| default.into());
    match name.as_str() {
        "relu" => Ok(Activation::Relu),
        "gelu" => Ok(Activation::Gelu),
        "gelu_new" | "gelu_pytorch_tanh" | "gelu_fast" => Ok(Activation::GeluTanh),
        "silu" | "swish" => Ok(Activation::Silu),
        other => config.refuse(format!(
            "`{key}` {other:?} is not known here; known are relu, gelu, gelu_new, silu"
        )),
    }
}

/// Reads a configuration and says what it means.
pub(super) fn read(
    path: &Path,
    fields: &Map<String, Value>,
) -> Result<(Family, Architecture), HubError> {
    let config = Config { path, fields };
    let family = Family::of_config(&config)?;
    Ok((family, family.architecture(&config)?))
}
