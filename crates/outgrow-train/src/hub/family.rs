//! The families, and which of them a `config.json` or an architecture is of.

use std::path::Path;

use outgrow_core::{Architecture, Norm, ParamId, Positions as PositionKind};
use serde_json::{Map, Value, json};

use super::{
    config::Config, error::HubError, facts, fields::activation_name, format::Format, gpt_neox,
    gpt2, layout::Stored, llama, longrope, qwen3, rope,
};
use crate::dtype::Dtype;

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

/// Buffers that older versions of transformers stored, and that follow from the configuration.
const BUFFERS: [&str; 5] = [
    "rotary_emb.inv_freq",
    ".attn.bias",
    ".attn.masked_bias",
    ".attention.bias",
    ".attention.masked_bias",
];

impl Family {
    /// All of them, in the order in which errors name them.
    pub const ALL: [Family; 4] = [Family::Llama, Family::Qwen3, Family::Gpt2, Family::GptNeox];

    pub(super) fn format(self) -> &'static Format {
        match self {
            Family::Llama => &llama::FORMAT,
            Family::Qwen3 => &qwen3::FORMAT,
            Family::Gpt2 => &gpt2::FORMAT,
            Family::GptNeox => &gpt_neox::FORMAT,
        }
    }

    /// What `model_type` says in a configuration.
    pub fn model_type(self) -> &'static str {
        self.format().model_type
    }

    /// Whether a tensor of that name in a file means nothing beyond the configuration.
    pub(super) fn is_redundant(self, name: &str) -> bool {
        BUFFERS.iter().any(|buffer| name.ends_with(buffer))
    }

    /// The tensor that a parameter is stored in.
    pub(super) fn name_of(self, id: ParamId) -> String {
        let holds = |stored: &&Stored| stored.kinds.contains(&id.kind);
        self.format()
            .tensors
            .iter()
            .find(holds)
            .map_or_else(|| id.to_string(), |stored| stored.name_of(id.layer))
    }

    /// The family that a configuration names.
    pub(super) fn of_config(config: &Config) -> Result<Self, HubError> {
        let known = || Self::ALL.map(Self::model_type).join(", ");
        let Some(model_type) = config.text("model_type")? else {
            return config.refuse(format!("`model_type` is missing; expected one of {}", known()));
        };
        match Self::ALL.into_iter().find(|family| family.model_type() == model_type) {
            Some(family) => Ok(family),
            None => config.refuse(format!(
                "unknown `model_type` {model_type:?}; expected one of {}",
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
        facts::check(config, self.format())?;
        (self.format().read)(config)
    }

    /// Refuses an architecture that the family's format has no words for.
    ///
    /// # Errors
    /// What it can't say, and what would make it sayable.
    pub fn check(self, architecture: &Architecture) -> Result<(), HubError> {
        self.format().sizes(architecture).map(drop)
    }

    /// The configuration of an architecture: what `base` says, with the sizes of this one.
    pub(super) fn config(
        self,
        architecture: &Architecture,
        base: Option<&Map<String, Value>>,
        dtype: Dtype,
    ) -> Result<Map<String, Value>, HubError> {
        let format = self.format();
        let sizes = format.sizes(architecture)?;
        let mut config = base.cloned().unwrap_or_else(|| fresh(format, architecture));
        let eps = architecture.form.eps_sum / architecture.d_model as f64;
        let fields = (format.fields)(&sizes, architecture.seq_len, eps);
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
            rope::write(&mut config, rotary, sizes.head.d_k, format.partial_rotary);
            if dtype == Dtype::Float64 && !format.partial_rotary {
                longrope::write(&mut config, rotary, sizes.head.d_k, architecture.seq_len);
            }
        }
        Ok(config)
    }
}

/// What does not follow from sizes, for a model that did not come from transformers.
fn fresh(format: &Format, architecture: &Architecture) -> Map<String, Value> {
    let form = architecture.form;
    let mut config = Map::new();
    let mut set = |key: &str, value: Value| drop(config.insert(key.into(), value));
    set("architectures", json!([format.classes[0]]));
    set("model_type", format.model_type.into());
    set("vocab_size", architecture.vocab_size.into());
    set(format.length_field, architecture.seq_len.into());
    set(format.activation_field, activation_name(form.activation).into());
    set("tie_word_embeddings", form.tied.into());
    // The defaults of transformers name tokens that a small vocabulary does not have.
    set("bos_token_id", Value::Null);
    set("eos_token_id", Value::Null);
    (format.switches)(form).into_iter().for_each(|(key, value)| set(key, value));
    config
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
