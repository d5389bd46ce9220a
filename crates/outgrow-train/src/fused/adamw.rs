//! AdamW as one pass over flat memory.

use std::ops::Range;

use super::simd::{simd, sum};

/// What all entries have in common.
pub(crate) struct Rates {
    /// 1 − β₁ and 1 − β₂.
    pub new: [f32; 2],
    /// Beside the root of the second moment.
    pub eps: f32,
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
        let rate = stretch.rate(rate);
        simd(|| self.entries(stretch).for_each(|(w, m, v, g)| move_entry(w, m, v, g, rates, rate)));
    }

    /// Steps a stretch in which `ages` says which of the rates is an entry's.
    pub fn step_by_age(&mut self, rates: &Rates, stretch: &Stretch, table: &[Rate], ages: &[i32]) {
        let table: Vec<Rate> = table.iter().map(|rate| stretch.rate(*rate)).collect();
        let ages = &ages[stretch.range.clone()];
        simd(|| {
            for ((w, m, v, g), age) in self.entries(stretch).zip(ages) {
                move_entry(w, m, v, g, rates, table[*age as usize]);
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
fn move_entry(w: &mut f32, m: &mut f32, v: &mut f32, g: f32, rates: &Rates, rate: Rate) {
    let g = g * rates.clip;
    *m += rates.new[0] * (g - *m);
    *v += rates.new[1] * (g * g - *v);
    *w = *w * rate.keep - *m / (v.sqrt() * rate.root + rates.eps) * rate.step;
}
