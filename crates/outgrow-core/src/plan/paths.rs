//! Paths through a model, from its first to its last parameter: each sub-layer is passed by on the
//! residual stream, or gone through.
//!
//! A model of sub-layers whose branches have weights w_s (and the stream beside them 1 − w_s) has
//! paths of weight Σ_k c_k z^k = Π_s (1 − w_s + w_s z), k being how many sub-layers they go
//! through. A path through k of them has L = k + 1 edges with parameters, the readout's among them,
//! and what Chen et al. (arXiv 2402.17440) divide the rate by is the root of F = Σ_k c_k (k + 1)³.
//!
//! With weights that add up to one, the number k is a sum of independent coins, so that F comes
//! from their first three cumulants, without the polynomial.

use crate::Architecture;

/// The edge with parameters behind all sums.
const READOUT: f64 = 1.0;

/// What a sum of the residual stream weighs its summands by.
#[derive(Clone, Copy, Debug)]
struct Merge {
    /// What came along the stream.
    stream: f64,
    /// All that the branches add.
    branches: f64,
}

/// ln Σ_k c_k (k + `outside`)³, `outside` being the edges that all paths have beside those of the
/// merges.
fn ln_cubes(merges: &[Merge], outside: f64) -> f64 {
    let (mut ln_total, mut mean, mut variance, mut skew) = (0.0, 0.0, 0.0, 0.0);
    for Merge { stream, branches } in merges {
        let total = stream + branches;
        let w = branches / total;
        ln_total += total.ln();
        mean += w;
        variance += w * (1.0 - w);
        skew += w * (1.0 - w) * (1.0 - 2.0 * w);
    }
    // E (k + a)³ is the third central moment, and what the mean adds to it.
    let mean = mean + outside;
    ln_total + (skew + 3.0 * mean * variance + mean.powi(3)).ln()
}

/// ln F of all paths, each counted once.
pub fn ln_sum(architecture: &Architecture) -> f64 {
    ln_cubes(&merges(architecture, |branches| Merge { stream: 1.0, branches }), READOUT)
}

/// ln F where every summand of a sum has the same weight.
pub fn ln_mean(architecture: &Architecture) -> f64 {
    let mean = |branches: f64| Merge {
        stream: 1.0 / (1.0 + branches),
        branches: branches / (1.0 + branches),
    };
    ln_cubes(&merges(architecture, mean), READOUT)
}

/// What a sub-layer does to the stream.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SubLayer {
    /// Root mean square of the stream before it.
    pub stream: f64,
    /// Root mean square of what it adds.
    pub adds: f64,
}

impl SubLayer {
    /// The share of what it adds in the variance of the two.
    pub fn share(&self) -> f64 {
        let [stream, adds] = [self.stream, self.adds].map(|rms| rms * rms);
        if adds > 0.0 { adds / (stream + adds) } else { 0.0 }
    }
}

/// ln F where a summand has its share of the variance of the sum. `layers` has the attention and
/// the MLP of each layer.
pub fn ln_variance(architecture: &Architecture, layers: &[[SubLayer; 2]]) -> f64 {
    let merge = |branches: f64| Merge { stream: 1.0 - branches, branches };
    let of_layer = |[attention, mlp]: &[SubLayer; 2]| match architecture.form.parallel {
        true => {
            let adds = attention.adds.hypot(mlp.adds);
            vec![merge(SubLayer { adds, ..*attention }.share())]
        }
        false => [attention, mlp].map(|sublayer| merge(sublayer.share())).to_vec(),
    };
    ln_cubes(&layers.iter().flat_map(of_layer).collect::<Vec<_>>(), READOUT)
}

/// One merge for every sum of the stream, with the number of its branches.
fn merges(architecture: &Architecture, merge: impl Fn(f64) -> Merge) -> Vec<Merge> {
    let (sums, branches) = if architecture.form.parallel { (1, 2.0) } else { (2, 1.0) };
    vec![merge(branches); sums * architecture.layers.len()]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{Form, LayerShape, Norm};

    /// Path by path.
    fn enumerated(merges: &[Merge], outside: u32) -> f64 {
        let path = |through: u32| {
            let weight = |(s, merge): (usize, &Merge)| match through >> s & 1 {
                1 => merge.branches,
                _ => merge.stream,
            };
            let weight: f64 = merges.iter().enumerate().map(weight).product();
            weight * f64::from(through.count_ones() + outside).powi(3)
        };
        (0..1u32 << merges.len()).map(path).sum()
    }

    fn decoder(n_layers: usize) -> Architecture {
        let form = Form::decoder(Norm::RmsNorm, 1e-5);
        Architecture::uniform(8, 4, 6, n_layers, LayerShape::uniform(1, 2, 2, 4), form)
    }

    proptest! {
        #[test]
        fn cumulants_are_the_sum_over_paths(
            weights in proptest::collection::vec((0.0..3.0, 0.01..3.0), 0..=10), outside in 1u32..4,
        ) {
            let merges: Vec<Merge> =
                weights.iter().map(|&(branches, stream)| Merge { stream, branches }).collect();
            let found = ln_cubes(&merges, f64::from(outside));
            prop_assert!((found - enumerated(&merges, outside).ln()).abs() < 1e-9);
        }
    }

    fn near(found: [f64; 4], expected: [f64; 4], within: f64) {
        for (found, expected) in found.into_iter().zip(expected) {
            assert!((found - expected).abs() < within * expected, "{found}, not {expected}");
        }
    }

    #[test]
    fn a_deeper_stack_learns_more_slowly() {
        // √(F(4 sub-layers)/F(8, 16, 24, 48)).
        let factors = |ln: fn(&Architecture) -> f64| {
            [4, 8, 12, 24].map(|n| (0.5 * (ln(&decoder(2)) - ln(&decoder(n)))).exp())
        };
        near(factors(ln_mean), [0.48, 0.21, 0.12, 0.047], 0.02);
        near(factors(ln_sum), [0.12, 3e-3, 1e-4, 1e-8], 0.5);
        // Embedding and sub-layers all have the same share of the last stream's variance.
        let equal = |n: usize| {
            let w = 1.0 / (n + 1) as f64;
            ln_cubes(&vec![Merge { stream: 1.0 - w, branches: w }; n], READOUT)
        };
        let shares = [8, 16, 24, 48].map(|n| (0.5 * (equal(4) - equal(n))).exp());
        near(shares, [0.90, 0.85, 0.84, 0.82], 0.007);
    }

    #[test]
    fn the_published_networks_have_their_published_factors() {
        // Three edges with parameters outside, as the base network has in all; "2_02_002" is a
        // chain of three more, "2_12" one of two and a skip past both.
        let chain = |edges| ln_cubes(&vec![Merge { stream: 0.0, branches: 1.0 }; edges], 3.0).exp();
        let factor = |cubes: f64| (cubes / chain(0)).powf(-0.5);
        assert!((factor(chain(3)) - 0.353553).abs() < 1e-6);
        assert!((factor(chain(2) + chain(0)) - 0.421464).abs() < 1e-6);
    }

    #[test]
    fn who_is_silent_is_not_there() {
        let layer = |stream, attention, mlp| {
            [SubLayer { stream, adds: attention }, SubLayer { stream: 2.0, adds: mlp }]
        };
        let layers = [layer(1.0, 0.5, 0.25), layer(1.3, 0.0, 0.0)];
        assert_eq!(ln_variance(&decoder(2), &layers), ln_variance(&decoder(1), &layers[..1]));
        assert_eq!(ln_variance(&decoder(1), &[layer(0.0, 0.0, 0.0)]), 0.0);
        // Side by side they are one sum, of 1 and 3 + 5.
        let mut parallel = decoder(1);
        parallel.form.parallel = true;
        let one = [Merge { stream: 1.0 / 9.0, branches: 8.0 / 9.0 }];
        let found = ln_variance(&parallel, &[layer(1.0, 3f64.sqrt(), 5f64.sqrt())]);
        assert!((found - ln_cubes(&one, READOUT)).abs() < 1e-12);
    }
}
