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

/// The text for one of two cases.
fn either(first: bool, one: &'static str, other: &'static str) -> &'static str {
    if first { one } else { other }
}

impl FormRules {
    /// What of a form the family does not have; none if it has all.
    fn refuse(&self, form: Form) -> Option<&'static str> {
        let rotary = form.rotary().is_some();
        let checks: [(bool, &str); 12] = [
            (form.causal, "it must be causal"),
            (form.final_norm, "it must have a final norm"),
            (form.norm_gains, "its norms must have gains"),
            (
                form.norm == self.norm,
                either(
                    self.norm == Norm::RmsNorm,
                    "its norms must be RMSNorms",
                    "its norms must be LayerNorms",
                ),
            ),
            (
                form.gated == self.gated,
                either(self.gated, "its MLP must have a gate", "its MLP must have no gate"),
            ),
            (
                self.learned_positions != rotary,
                either(
                    self.learned_positions,
                    "positions must be learned",
                    "positions must be rotary",
                ),
            ),
            (
                form.qk_norm_eps.is_some() == self.qk_norm,
                either(self.qk_norm, "it must have QK-norm", "it must have no QK-norm"),
            ),
            (self.parallel || !form.parallel, "attention and MLP must stand one after the other"),
            (form.qkv_bias == form.output_bias, "attention must have all of its biases or none"),
            (!self.needs_attention_bias || form.qkv_bias, "attention must have biases"),
            (self.mlp_bias != Some(true) || form.mlp_bias, "its MLP must have biases"),
            (self.mlp_bias != Some(false) || !form.mlp_bias, "its MLP must have no biases"),
        ];
        checks.into_iter().find(|(holds, _)| !holds).map(|(_, why)| why)
    }
}

impl Format {
    /// The sizes of an architecture that the format can say.
    ///
    /// # Errors
    /// What it can't say, and what would make it sayable.
    pub(super) fn sizes(&self, architecture: &Architecture) -> Result<Uniform, HubError> {
        let unsayable = |why: String| HubError::Unsayable { family: self.model_type, why };
        if let Some(why) = self.refuse_form(architecture.form) {
            return Err(unsayable(why.into()));
        }
        if architecture.n_outputs != architecture.vocab_size {
            return Err(unsayable("it has other outputs than tokens".into()));
        }
        let sizes = Uniform::of(architecture).map_err(unsayable)?;
        match (self.refuse_sizes)(&sizes) {
            Some(why) => Err(unsayable(why)),
            None => Ok(sizes),
        }
    }

    fn refuse_form(&self, form: Form) -> Option<&'static str> {
        let partial = form.rotary().is_some_and(|rotary| rotary.channels.is_some());
        self.rules.refuse(form).or_else(|| {
            (partial && !self.partial_rotary).then_some("rotary positions must turn all channels")
        })
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
