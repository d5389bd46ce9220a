//! How fast each parameter of a model learns beside the same parameter of a base model.
//!
//! All rules stand in *folded* form: where a paper multiplies the output of a matrix by a, the
//! matrix is a times as large here, its rate is multiplied by a and Adam's ε divided by a, which is
//! the same training to the last bit where a is a power of two. So a model has no multipliers that
//! a growth would have to carry along, and stays exact.

use serde::{Deserialize, Serialize};

use super::paths;
use crate::{Architecture, ParamId, model::ParamKind};

/// Which rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RateRule {
    /// The same rates at all sizes.
    Standard,
    /// Of a matrix, divided by the growth of its inputs (muP for Adam: Yang et al., arXiv
    /// 2203.03466, table 8).
    Mup,
    /// Likewise, and of tables divided by the root of the growth of the stream (u-muP's rule for
    /// widths: Blake et al., arXiv 2407.17465).
    UMup,
    /// muP, and what a layer writes 1/√N as large: rates of a layer's insides fall with the root of
    /// its depth, those of what writes (W_o, W₂) with the depth (Yang et al., arXiv 2310.02244).
    DepthMup,
    /// muP, and what a layer writes 1/N as large: only rates of what writes fall with the depth
    /// (Dey et al., arXiv 2505.01618, α = 1).
    CompleteP,
    /// (Σ L³)^(−1/2) over all paths of L matrices from the first to the last (Chen et al., arXiv
    /// 2402.17440), as it stands there: halves the rate with every layer of a residual stream.
    PathsSum,
    /// The same over the mean path, every branch of a sum weighted equally.
    PathsMean,
    /// The same, each sub-layer weighted by its share of the variance of the stream behind it: it
    /// is measured before the first growth, after each, and at each evaluation, so that a silent new
    /// layer changes nothing and counts as far as it has learned to speak.
    PathsVariance,
    /// Of what a transform scales (keys, gains of norms), scaled as much: old entries then go on
    /// as if nothing had grown.
    Dynamics,
}

/// On the learning rate of a parameter, and on Adam's ε in its update.
#[derive(Clone, Copy, Debug, PartialEq)]
#[allow(missing_docs)]
pub struct Factors {
    pub rate: f64,
    pub eps: f64,
}

impl Factors {
    /// Nothing changes.
    pub const ONE: Self = Self { rate: 1.0, eps: 1.0 };

    fn rate(rate: f64) -> Self {
        Self { rate, eps: 1.0 }
    }

    /// Of what was scaled: c on its rate and 1/c on ε, as its moments m and v were divided by c and
    /// c² at the growth.
    pub fn as_scaled(by: f64) -> Self {
        Self { rate: by, eps: 1.0 / by }
    }
}

impl std::ops::Mul for Factors {
    type Output = Self;

    fn mul(self, other: Self) -> Self {
        Self { rate: self.rate * other.rate, eps: self.eps * other.eps }
    }
}

impl RateRule {
    /// As in files.
    pub fn name(self) -> String {
        let name = serde_json::to_value(self).expect("a word is plain data");
        name.as_str().expect("a word").to_owned()
    }

    /// The factor on the rates of all parameters alike, of what the sizes say alone.
    pub fn of_all(self, base: &Architecture, now: &Architecture) -> f64 {
        let ln = match self {
            Self::PathsSum => paths::ln_sum,
            Self::PathsMean => paths::ln_mean,
            _ => return 1.0,
        };
        (0.5 * (ln(base) - ln(now))).exp()
    }

    /// The factors of one parameter, beside that of all.
    pub fn of(self, param: ParamId, base: &Architecture, now: &Architecture) -> Factors {
        let depth = || base.layers.len() as f64 / now.layers.len() as f64;
        let tables = matches!(param.kind, ParamKind::Embedding | ParamKind::Positions);
        match self {
            Self::Standard | Self::PathsSum | Self::PathsMean => Factors::ONE,
            // Those of a trial are measured, or follow from the edits of its growths.
            Self::PathsVariance | Self::Dynamics => Factors::ONE,
            Self::Mup => by_width(param, base, now),
            Self::UMup if tables => {
                let root = (base.d_model as f64 / now.d_model as f64).sqrt();
                by_width(param, base, now) * Factors::rate(root)
            }
            Self::UMup => by_width(param, base, now),
            Self::DepthMup => by_width(param, base, now) * by_depth(param.kind, depth(), 0.5),
            Self::CompleteP => by_width(param, base, now) * by_depth(param.kind, depth(), 1.0),
        }
    }

    /// Factor on the standard deviation of fresh W_o and W₂, beside 1/√(2N).
    pub fn of_writers(self, base: &Architecture, now: &Architecture) -> f64 {
        match self {
            Self::CompleteP => (base.layers.len() as f64 / now.layers.len() as f64).sqrt(),
            _ => 1.0,
        }
    }
}

/// muP's. A gradient is shared by the units that are written, so ε falls with their number; a
/// matrix that reads n times as much moves its output n times as far.
fn by_width(param: ParamId, base: &Architecture, now: &Architecture) -> Factors {
    let ratio = |dim: fn(&[usize]) -> usize| {
        let len = |param: ParamId, of: &Architecture| dim(&param.shape(of)) as f64;
        len(in_base(param, base), base) / len(param, now)
    };
    let rate = if param.kind.decays() { ratio(|shape| shape[0]) } else { 1.0 };
    Factors { rate, eps: ratio(|shape| shape[shape.len() - 1]) }
}

/// Of a model whose layers write (N₀/N)^α times as much, N₀/N = `depth`.
fn by_depth(kind: ParamKind, depth: f64, alpha: f64) -> Factors {
    use ParamKind::*;
    match kind {
        Embedding | Positions | FinalNorm | FinalNormBias | Unembedding => Factors::ONE,
        Wo | Bo | W2 | B2 => Factors::rate(depth),
        _ => Factors { rate: depth.powf(1.0 - alpha), eps: depth.powf(alpha) },
    }
}

/// Whose sizes it is compared with: a layer that is not in the base, with the first one.
fn in_base(param: ParamId, base: &Architecture) -> ParamId {
    let layer = param.layer.map(|layer| if layer < base.layers.len() { layer } else { 0 });
    ParamId { layer, ..param }
}
