//! What a family says of itself.

use outgrow_core::{
    Architecture, Form, Norm,
    ParamKind::{self, *},
};
use serde_json::Value;

use super::{config::Config, error::HubError, layout::Stored, uniform::Uniform};

/// The format of a family of transformers: its tensors, its configuration, and what it can't say.
pub(super) struct Format {
    /// What `model_type` says.
    pub(super) model_type: &'static str,
    /// transformers' classes of the model with its head and without.
    pub(super) classes: [&'static str; 2],
    /// What begins the names of all tensors but the head's, which a model without its head lacks.
    pub(super) prefix: &'static str,
    /// The tensors, in the order of computation.
    pub(super) tensors: &'static [Stored],
    /// Fields that its code does not read, though other families compute something else by them.
    pub(super) unused: &'static [&'static str],
    /// Whether the head is the embedding where a configuration does not say.
    pub(super) tied_by_default: bool,
    /// Whether it can turn a part of the channels.
    pub(super) partial_rotary: bool,
    /// The fields of the longest input and of the activation.
    pub(super) length_field: &'static str,
    pub(super) activation_field: &'static str,
    /// The forms that it has.
    pub(super) rules: FormRules,
    /// Why it can't say these sizes; none if it can.
    pub(super) refuse_sizes: fn(&Uniform) -> Option<String>,
    /// The architecture that a configuration means.
    pub(super) read: fn(&Config) -> Result<Architecture, HubError>,
    /// The fields that follow from sizes, the longest input and ε on the mean of squares.
    pub(super) fields: fn(&Uniform, usize, f64) -> Vec<(&'static str, Value)>,
    /// The switches of a form.
    pub(super) switches: fn(Form) -> Vec<(&'static str, Value)>,
}

/// The forms that a family has.
pub(super) struct FormRules {
    pub(super) norm: Norm,
    pub(super) gated: bool,
    pub(super) learned_positions: bool,
    pub(super) qk_norm: bool,
    /// Whether attention and MLP may stand side by side.
    pub(super) parallel: bool,
    pub(super) needs_attention_bias: bool,
    /// Whether its MLP has biases; none where both can be said.
    pub(super) mlp_bias: Option<bool>,
}

/// Something that a family needs of a form.
struct Need {
    holds: bool,
    /// That it must be so.
    why: &'static str,
    /// As it stands in `[model]`; nothing where several values would do.
    field: &'static str,
}

impl FormRules {
    /// What the family needs of a form.
    fn needs(&self, form: Form) -> Vec<Need> {
        let need = |holds, why, field| Need { holds, why, field };
        let mut all = vec![
            need(form.causal, "it must be causal", "causal = true"),
            need(form.final_norm, "it must have a final norm", "final_norm = true"),
            need(form.norm_gains, "its norms must have gains", "norm_gains = true"),
            match self.norm {
                Norm::RmsNorm => need(
                    form.norm == self.norm,
                    "its norms must be RMSNorms",
                    "norm = \"rms_norm\"",
                ),
                Norm::LayerNorm => need(
                    form.norm == self.norm,
                    "its norms must be LayerNorms",
                    "norm = \"layer_norm\"",
                ),
            },
            match self.gated {
                true => need(form.gated, "its MLP must have a gate", "gated = true"),
                false => need(!form.gated, "its MLP must have no gate", "gated = false"),
            },
        ];
        all.extend(self.of_attention(form));
        all.extend(self.of_mlp_bias(form));
        all
    }

    fn of_attention(&self, form: Form) -> [Need; 6] {
        let need = |holds, why, field| Need { holds, why, field };
        let (rotary, normed) = (form.rotary().is_some(), form.qk_norm_eps.is_some());
        [
            match self.learned_positions {
                true => {
                    need(!rotary, "positions must be learned", "positions = { kind = \"learned\" }")
                }
                false => need(
                    rotary,
                    "positions must be rotary",
                    "positions = { kind = \"rotary\", theta = 10000.0, width = D_K }",
                ),
            },
            match self.qk_norm {
                true => need(normed, "it must have QK-norm", "qk_norm_eps = 1e-6"),
                false => need(!normed, "it must have no QK-norm", ""),
            },
            need(
                self.parallel || !form.parallel,
                "attention and MLP must stand one after the other",
                if self.parallel { "" } else { "parallel = false" },
            ),
            need(
                form.qkv_bias == form.output_bias,
                "attention must have all of its biases or none",
                "",
            ),
            need(
                !self.needs_attention_bias || form.qkv_bias,
                "attention must have biases",
                if self.needs_attention_bias { "qkv_bias = true, output_bias = true" } else { "" },
            ),
            need(!form.branch_gains, "what layers add must have no gains", ""),
        ]
    }

    fn of_mlp_bias(&self, form: Form) -> Option<Need> {
        Some(match self.mlp_bias? {
            true => Need {
                holds: form.mlp_bias,
                why: "its MLP must have biases",
                field: "mlp_bias = true",
            },
            false => Need {
                holds: !form.mlp_bias,
                why: "its MLP must have no biases",
                field: "mlp_bias = false",
            },
        })
    }
}

impl Format {
    /// The sizes of an architecture that the format can say.
    ///
    /// # Errors
    /// All that it can't say, and what would make it sayable.
    pub(super) fn sizes(&self, architecture: &Architecture) -> Result<Uniform, HubError> {
        let wrong = self.needs(architecture.form, false);
        let mut why: Vec<String> = wrong.iter().map(|need| need.why.to_owned()).collect();
        if architecture.n_outputs != architecture.vocab_size {
            why.push("it has other outputs than tokens".into());
        }
        let sizes = Uniform::of(architecture);
        match &sizes {
            Ok(sizes) => why.extend((self.refuse_sizes)(sizes)),
            Err(error) => why.push(error.clone()),
        }
        match (sizes, &why[..]) {
            (Ok(sizes), []) => Ok(sizes),
            _ => {
                let why = why.join("; ") + &self.hint(architecture, wrong.is_empty());
                Err(HubError::Unsayable { family: self.model_type, why })
            }
        }
    }

    /// Which models the family has, in the words of a sweep file; nothing of a model of such a form.
    fn hint(&self, architecture: &Architecture, is_such: bool) -> String {
        if is_such {
            return String::new();
        }
        let d_k = architecture.layers[0].heads[0].d_k.to_string();
        let all = self.needs(architecture.form, true);
        let fields: Vec<String> = all.iter().map(|need| need.field.replace("D_K", &d_k)).collect();
        format!(
            ". The {} format needs {}; [model] of a sweep file with these fields trains a model \
             that converts from the first token on, and so does the built-in preset `llama-tiny` \
             (`extends = \"llama-tiny\"`)",
            self.model_type,
            fields.join(", ")
        )
    }

    /// What the format needs of a form: what this one has otherwise, or `all` of it.
    fn needs(&self, form: Form, all: bool) -> Vec<Need> {
        let partial = form.rotary().is_some_and(|rotary| rotary.channels.is_some());
        let whole = Need {
            holds: !partial || self.partial_rotary,
            why: "rotary positions must turn all channels",
            field: "",
        };
        let needs = self.rules.needs(form).into_iter().chain([whole]);
        let is_told = |need: &Need| if all { !need.field.is_empty() } else { !need.holds };
        needs.filter(is_told).collect()
    }

    /// The tensors that a model of a form has.
    pub(super) fn tensors_of(&self, form: Form) -> impl Iterator<Item = &'static Stored> {
        self.tensors.iter().filter(move |stored| stored.kinds[0].exists(form))
    }

    /// The tensors of the embedding and of the head, which may be one.
    pub(super) fn tables(&self) -> [&'static str; 2] {
        let name = |kind: ParamKind| {
            self.tensors.iter().find(|stored| stored.kinds == [kind]).map(|stored| stored.name)
        };
        [Embedding, Unembedding].map(|kind| name(kind).expect("every family has both"))
    }
}
