//! AdamW as one pass over flat memory.

use std::ops::Range;

use super::simd::{simd, sum};

/// What all entries have in common.
pub(crate) struct Rates {
    /// 1 − β₁ and 1 − β₂.
    pub new: [f32; 2],
    /// What the gradient is multiplied by: below 1 where it is clipped.
    pub clip: f32,
}

/// What entries of one age have in common.
#[derive(Clone, Copy)]
pub(crate) struct Rate {
    /// The learning rate over 1 − β₁ᵃ.
    pub step: f32,
    /// 1/√(1 − β₂ᵃ).
    pub root: f32,
    /// What a weight that decays is multiplied by.
    pub keep: f32,
}

/// The flat tensors of a training state.
pub(crate) struct Flat<'a> {
    pub weights: &'a mut [f32],
    pub first: &'a mut [f32],
    pub second: &'a mut [f32],
    pub gradient: &'a [f32],
}

/// Entries whose steps are multiplied by the same factor.
pub(crate) struct Stretch {
    pub range: Range<usize>,
    pub factor: f32,
    /// Beside the root of the second moment.
    pub eps: f32,
    pub decays: bool,
}

/// √Σx², the sum in float64 over blocks.
pub(crate) fn norm(x: &[f32]) -> f64 {
    simd(|| x.chunks(4096).map(|block| f64::from(sum(block, block, |a, b| a * b))).sum::<f64>())
        .sqrt()
}

impl Flat<'_> {
    /// Steps a stretch of entries that all have one age.
    pub fn step(&mut self, rates: &Rates, stretch: &Stretch, rate: Rate) {
        let (rate, eps) = (stretch.rate(rate), stretch.eps);
        simd(|| {
            self.entries(stretch).for_each(|(w, m, v, g)| move_entry(w, m, v, g, rates, rate, eps))
        });
    }

    /// Steps a stretch in which `ages` says which of the rates is an entry's.
    pub fn step_by_age(&mut self, rates: &Rates, stretch: &Stretch, table: &[Rate], ages: &[i32]) {
        let table: Vec<Rate> = table.iter().map(|rate| stretch.rate(*rate)).collect();
        let ages = &ages[stretch.range.clone()];
        simd(|| {
            for ((w, m, v, g), age) in self.entries(stretch).zip(ages) {
                move_entry(w, m, v, g, rates, table[*age as usize], stretch.eps);
            }
        });
    }

    #[inline(always)]
    fn entries(
        &mut self,
        stretch: &Stretch,
    ) -> impl Iterator<Item = (&mut f32, &mut f32, &mut f32, f32)> {
        let Range { start, end } = stretch.range;
        let moments = self.first[start..end].iter_mut().zip(&mut self.second[start..end]);
        let entries =
            self.weights[start..end].iter_mut().zip(moments).zip(&self.gradient[start..end]);
        entries.map(|((w, (m, v)), g)| (w, m, v, *g))
    }
}

impl Stretch {
    fn rate(&self, rate: Rate) -> Rate {
        Rate {
            step: rate.step * self.factor,
            keep: if self.decays { rate.keep } else { 1.0 },
            ..rate
        }
    }
}

/// A parameter for each of an entry's numbers: no struct of four references stands between them and
/// their registers.
#[inline(always)]
fn move_entry(w: &mut f32, m: &mut f32, v: &mut f32, g: f32, rates: &Rates, rate: Rate, eps: f32) {
    let g = g * rates.clip;
    *m += rates.new[0] * (g - *m);
    *v += rates.new[1] * (g * g - *v);
    *w = *w * rate.keep - *m / (v.sqrt() * rate.root + eps) * rate.step;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stretch_alone_moves_each_entry_by_the_rate_of_its_age() {
        let n = 37;
        let gradient: Vec<f32> = (0..n).map(|i| (i as f32 * 0.9).cos()).collect();
        let ages: Vec<i32> = (0..n as i32).map(|i| i % 2).collect();
        let rates = Rates { new: [0.1, 0.05], clip: 0.5 };
        let rate = |step| Rate { step, root: 2.0, keep: 0.9 };
        let stretch = Stretch { range: 5..30, factor: 3.0, eps: 1e-2, decays: true };
        let (mut w, mut m, mut v) = (vec![1.0f32; n], vec![0.2f32; n], vec![0.3f32; n]);
        let mut flat = Flat { weights: &mut w, first: &mut m, second: &mut v, gradient: &gradient };
        flat.step_by_age(&rates, &stretch, &[rate(1e-2), rate(2e-2)], &ages);
        for i in 0..n {
            let expected = if stretch.range.contains(&i) {
                let g = gradient[i] * 0.5;
                let (first, second) = (0.2 + 0.1 * (g - 0.2), 0.3 + 0.05 * (g * g - 0.3));
                let step = [3e-2, 6e-2][ages[i] as usize];
                [0.9 - first / (second.sqrt() * 2.0 + 1e-2) * step, first, second]
            } else {
                [1.0, 0.2, 0.3]
            };
            for (found, expected) in [w[i], m[i], v[i]].into_iter().zip(expected) {
                assert!((found - expected).abs() < 1e-6, "{i}: {found}, not {expected}");
            }
        }
    }

    #[test]
    fn the_norm_is_summed_over_blocks() {
        let x: Vec<f32> = (0..10_000).map(|i| (i as f32 * 0.11).sin()).collect();
        let exact = x.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>().sqrt();
        assert!((norm(&x) - exact).abs() < 1e-5 * exact);
        assert_eq!(norm(&[]), 0.0);
    }
}
