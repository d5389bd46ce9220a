//! The form of a model: what every transform leaves as it is.

use serde::{Deserialize, Serialize};

use super::rotary::Rotary;

/// What does not grow: the parts of a model that every transform leaves as they are.
///
/// The paper's own form is `causal: false, final_norm: false, eps_sum: 0` and the defaults of the
/// rest; a language model of today is causal, has a norm before its unembedding and a positive ε.
/// In files, what has a default is left out where it has that value.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Form {
    /// Whether a position sees only itself and earlier ones.
    pub causal: bool,
    /// Whether a norm stands before the unembedding.
    pub final_norm: bool,
    /// Of which kind all norms are; in files RMSNorm where it is left out.
    #[serde(default, skip_serializing_if = "is_default")]
    pub norm: Norm,
    /// Whether the norms have gains (and a LayerNorm biases).
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub norm_gains: bool,
    /// ε of every norm, on the *sum* of squares: x·g·√d / √(Σx² + ε). On the sum it does not depend
    /// on the width, so hidden expansion is exact; the usual form with ε on the mean is `eps_sum =
    /// d_model · eps`. The one number of the form that may change: an operator that copies every
    /// channel n times multiplies it by n.
    pub eps_sum: f64,
    /// How the model knows positions.
    #[serde(default, skip_serializing_if = "is_default")]
    pub positions: Positions,
    /// The MLP's nonlinearity.
    #[serde(default, skip_serializing_if = "is_default")]
    pub activation: Activation,
    /// Whether the nonlinearity is that of a gate: act(x W_g) ∘ (x W₁), as in SwiGLU (arXiv
    /// 2002.05202).
    #[serde(default, skip_serializing_if = "is_no")]
    pub gated: bool,
    /// Whether queries, keys and values have biases.
    #[serde(default, skip_serializing_if = "is_no")]
    pub qkv_bias: bool,
    /// Whether the attention's output has a bias.
    #[serde(default, skip_serializing_if = "is_no")]
    pub output_bias: bool,
    /// Whether the MLP's layers have biases.
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub mlp_bias: bool,
    /// Where queries and keys are normed, each head's by an RMSNorm of its own before their product
    /// (arXiv 2302.05442): its ε, on the mean of squares over the head's channels.
    #[serde(default, skip_serializing_if = "is_default")]
    pub qk_norm_eps: Option<f64>,
    /// Whether attention and MLP read the same residual, side by side, instead of the MLP what
    /// attention has added to.
    #[serde(default, skip_serializing_if = "is_no")]
    pub parallel: bool,
    /// Whether what attention and MLP of each layer add to the stream has a gain for each channel,
    /// which is the layer's own even where its weights are another's.
    #[serde(default, skip_serializing_if = "is_no")]
    pub branch_gains: bool,
    /// Whether the unembedding is the token embedding, transposed.
    #[serde(default, skip_serializing_if = "is_no")]
    pub tied: bool,
}

/// The norms of a model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Norm {
    /// x·g·√d / √(Σx² + ε) (the paper's).
    #[default]
    RmsNorm,
    /// (x − μ)·g·√d / √(Σ(x − μ)² + ε) + b, with μ the mean of x and a bias b per norm.
    LayerNorm,
}

/// The nonlinearity of the MLP.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Activation {
    /// max(0, x) (the paper's).
    #[default]
    Relu,
    /// x·Φ(x) with the normal distribution Φ.
    Gelu,
    /// The same with Φ approximated by a tanh (GPT-2).
    GeluTanh,
    /// x·σ(x), also called Swish.
    Silu,
}

/// How a model knows positions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Positions {
    /// A learned vector for each, added to the token's (the paper's).
    #[default]
    Learned,
    /// Queries and keys are turned by an angle in proportion to their position (RoPE, arXiv
    /// 2104.09864).
    Rotary(Rotary),
}

fn yes() -> bool {
    true
}

fn is_yes(value: &bool) -> bool {
    *value
}

fn is_no(value: &bool) -> bool {
    !*value
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl Form {
    /// A decoder of the paper's kind, with norms of one kind before every part and before the
    /// unembedding.
    pub fn decoder(norm: Norm, eps_sum: f64) -> Self {
        Self { causal: true, final_norm: true, norm, eps_sum, ..Self::paper() }
    }

    /// The paper's own.
    pub fn paper() -> Self {
        Self {
            causal: false,
            final_norm: false,
            norm: Norm::RmsNorm,
            norm_gains: true,
            eps_sum: 0.0,
            positions: Positions::Learned,
            activation: Activation::Relu,
            gated: false,
            qkv_bias: false,
            output_bias: false,
            mlp_bias: true,
            qk_norm_eps: None,
            parallel: false,
            branch_gains: false,
            tied: false,
        }
    }

    /// Whether it is the paper's but for the mask, the kind of norm, the final norm and ε.
    pub fn is_plain(&self) -> bool {
        let &Self { causal, final_norm, norm, eps_sum, .. } = self;
        *self == Self { causal, final_norm, norm, eps_sum, ..Self::paper() }
    }

    /// The rotary positions, if it has such.
    pub fn rotary(&self) -> Option<Rotary> {
        match self.positions {
            Positions::Rotary(rotary) => Some(rotary),
            Positions::Learned => None,
        }
    }

    /// The next `d_k` that the form allows: rotary positions turn pairs.
    pub(crate) fn whole_d_k(&self, d_k: usize) -> usize {
        if self.rotary().is_some() { d_k.next_multiple_of(2) } else { d_k }
    }
}

impl Activation {
    /// Its value, in f64.
    pub fn of(self, x: f64) -> f64 {
        match self {
            Activation::Relu => x.max(0.0),
            Activation::Gelu => 0.5 * x * (1.0 + libm::erf(x / std::f64::consts::SQRT_2)),
            Activation::GeluTanh => {
                0.5 * x
                    * (1.0
                        + ((2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x.powi(3))).tanh())
            }
            Activation::Silu => x / (1.0 + (-x).exp()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_usual_is_not_written() {
        let text = serde_json::to_string(&Form::decoder(Norm::RmsNorm, 1e-5)).expect("plain data");
        assert_eq!(text, r#"{"causal":true,"final_norm":true,"eps_sum":0.00001}"#);
    }
}
