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
    #[serde(default)]
    pub tied: bool,
}

fn yes() -> bool {
    true
}

impl ModelSpec {
    /// What a sweep whose target is `width` wide says of models of this form.
    pub(super) fn of(form: &Form, width: usize) -> Self {
        let &Form { causal, final_norm, norm, norm_gains, eps_sum, positions, .. } = form;
        let &Form { activation, gated, qkv_bias, output_bias, mlp_bias, .. } = form;
        let &Form { qk_norm_eps, parallel, tied, .. } = form;
        Self {
            causal,
            final_norm,
            norm,
            norm_gains,
            norm_eps: eps_sum / width as f64,
            positions,
            activation,
            gated,
            qkv_bias,
            output_bias,
            mlp_bias,
            qk_norm_eps,
            parallel,
            tied,
        }
    }

    /// The form of the models of a sweep whose target is `width` wide.
    pub(super) fn form(&self, width: usize) -> Form {
        let &Self { causal, final_norm, norm, norm_gains, norm_eps, positions, .. } = self;
        let &Self { activation, gated, qkv_bias, output_bias, mlp_bias, .. } = self;
        let &Self { qk_norm_eps, parallel, tied, .. } = self;
        Form {
            causal,
            final_norm,
            norm,
            norm_gains,
            eps_sum: norm_eps * width as f64,
            positions,
            activation,
            gated,
            qkv_bias,
            output_bias,
            mlp_bias,
            qk_norm_eps,
            parallel,
            tied,
        }
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
