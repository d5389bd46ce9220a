//! The form of all models of a sweep, as sweep files have it.

use serde::{Deserialize, Serialize};

use super::error::{SweepError, bad, shown};
use crate::model::{Activation, Form, Norm, Positions};

/// Larger than any ε that is meant.
const LARGEST_EPS: f64 = 1.0;

/// `[model]`: what does not grow. The fields of [`Form`], with the norms' ε as PyTorch has it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct ModelSpec {
    pub causal: bool,
    pub final_norm: bool,
    #[serde(default)]
    pub norm: Norm,
    #[serde(default = "yes")]
    pub norm_gains: bool,
    /// ε of every norm on the *mean* of squares at the width of the target. On the sum it stays the
    /// same while a model grows in width, so that the function does.
    pub norm_eps: f64,
    #[serde(default)]
    pub positions: Positions,
    #[serde(default)]
    pub activation: Activation,
    #[serde(default)]
    pub gated: bool,
    #[serde(default)]
    pub qkv_bias: bool,
    #[serde(default)]
    pub output_bias: bool,
    #[serde(default = "yes")]
    pub mlp_bias: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub qk_norm_eps: Option<f64>,
    #[serde(default)]
    pub parallel: bool,
    #[serde(default, skip_serializing_if = "is_no")]
    pub branch_gains: bool,
    #[serde(default)]
    pub tied: bool,
}

fn is_no(value: &bool) -> bool {
    !*value
}

fn yes() -> bool {
    true
}

/// A form, or what a sweep says of one, with the fields of the other and an ε of its own.
macro_rules! with_fields_of {
    ($to:ident, $from:expr, $eps:ident: $value:expr) => {
        $to {
            causal: $from.causal,
            final_norm: $from.final_norm,
            norm: $from.norm,
            norm_gains: $from.norm_gains,
            $eps: $value,
            positions: $from.positions,
            activation: $from.activation,
            gated: $from.gated,
            qkv_bias: $from.qkv_bias,
            output_bias: $from.output_bias,
            mlp_bias: $from.mlp_bias,
            qk_norm_eps: $from.qk_norm_eps,
            parallel: $from.parallel,
            branch_gains: $from.branch_gains,
            tied: $from.tied,
        }
    };
}

impl ModelSpec {
    /// What a sweep whose target is `width` wide says of models of this form.
    pub(super) fn of(form: &Form, width: usize) -> Self {
        with_fields_of!(ModelSpec, form, norm_eps: form.eps_sum / width as f64)
    }

    /// The form of the models of a sweep whose target is `width` wide.
    pub(super) fn form(&self, width: usize) -> Form {
        with_fields_of!(Form, self, eps_sum: self.norm_eps * width as f64)
    }

    /// Whether both say the same, but for the last digits of ε.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        let (a, b) = (self.norm_eps, other.norm_eps);
        (a - b).abs() <= 1e-9 * a.abs().max(b.abs()) && Self { norm_eps: b, ..*self } == *other
    }

    pub(super) fn check(&self) -> Result<(), SweepError> {
        if (0.0..=LARGEST_EPS).contains(&self.norm_eps) {
            return Ok(());
        }
        bad("model.norm_eps", shown(self.norm_eps), "it must be a number from 0 to 1")
    }
}
