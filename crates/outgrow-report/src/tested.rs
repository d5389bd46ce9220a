//! Means that are tested against zero, several at once.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::interval::{Interval, holm, p_value};

/// How often a difference may be called one where there is none.
const LEVEL: f64 = 0.05;

/// A mean of paired differences with its test against zero.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Tested {
    /// With its 95 % interval, as if it were the only one.
    pub value: Interval,
    /// With the interval that excludes zero exactly where `p_corrected` is below 5 %.
    pub corrected: Interval,
    /// Of the t-test against zero; none for one seed.
    pub p: Option<f64>,
    /// The same, corrected for all that were asked at once (Holm).
    pub p_corrected: Option<f64>,
    #[serde(skip)]
    values: Vec<f64>,
    /// Added to both sides of intervals.
    #[serde(skip)]
    widening: f64,
    /// At which it is decided.
    #[serde(skip)]
    level: f64,
}

impl Tested {
    /// The mean over seeds; none of none. Nothing is corrected yet.
    pub fn of(by_seed: &BTreeMap<usize, f64>) -> Option<Self> {
        let values: Vec<f64> = by_seed.values().copied().collect();
        let value = Interval::of(&values)?;
        let p = p_value(&values);
        Some(Self {
            value,
            corrected: value,
            p,
            p_corrected: p,
            values,
            widening: 0.0,
            level: LEVEL,
        })
    }

    /// The same for a mean with a systematic error of at most `by`, where that is more than the
    /// half-width of the interval: intervals are wider by it, and p is that of the nearest mean.
    pub fn widened(by_seed: &BTreeMap<usize, f64>, by: f64) -> Option<Self> {
        let plain = Self::of(by_seed)?;
        if by.abs() <= plain.value.half_width() {
            return Some(plain);
        }
        let (mean, by) = (plain.value.mean, by.abs());
        let nearest = mean.signum() * (mean.abs() - by).max(0.0);
        let moved: Vec<f64> = plain.values.iter().map(|value| value - mean + nearest).collect();
        let p = p_value(&moved);
        let value = plain.value.widened(by);
        Some(Self { value, corrected: value, p, p_corrected: p, widening: by, ..plain })
    }

    /// The level of the corrected interval, and by how much both sides of intervals are widened.
    pub fn level_and_widening(&self) -> [f64; 2] {
        [self.level, self.widening]
    }

    /// The differences, one a seed.
    pub fn values(&self) -> &[f64] {
        &self.values
    }

    /// Whether it is told from zero, all asked at once.
    pub fn is_significant(&self) -> bool {
        self.p_corrected.is_some_and(|p| p <= LEVEL)
    }
}

/// Corrects the tests of one question, asked of several at once. Holm's test decides about each at
/// a level of its own; the interval at that level says the same as the test.
pub fn correct<'a>(family: impl Iterator<Item = &'a mut Tested>) {
    let mut family: Vec<&mut Tested> = family.filter(|tested| tested.p.is_some()).collect();
    let p: Vec<f64> = family.iter().filter_map(|tested| tested.p).collect();
    for (tested, (p_corrected, level)) in
        family.iter_mut().zip(holm(&p).into_iter().zip(levels(&p)))
    {
        (tested.p_corrected, tested.level) = (Some(p_corrected), level);
        let corrected = Interval::at(&tested.values, level).unwrap_or(tested.value);
        tested.corrected = corrected.widened(tested.widening);
    }
}

/// The level at which each of several tests is decided by Holm's procedure: p is below it exactly
/// where the corrected p is below 5 %.
fn levels(p_values: &[f64]) -> Vec<f64> {
    let n = p_values.len();
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by(|&a, &b| p_values[a].total_cmp(&p_values[b]));
    let mut levels = vec![LEVEL; n];
    let mut most = 0.0f64;
    for (place, &number) in order.iter().enumerate() {
        let left = (n - place) as f64;
        most = most.max(p_values[number] * left);
        levels[number] = if most > 0.0 { LEVEL * p_values[number] / most } else { LEVEL / left };
    }
    levels
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn intervals_say_what_the_test_says(
            all in prop::collection::vec(prop::collection::vec(-1.0..3.0f64, 2..6), 1..12),
            by in prop_oneof![Just(0.0), -2.0..2.0f64],
        ) {
            let tested = |values: &Vec<f64>| {
                Tested::widened(&values.iter().copied().enumerate().collect(), by)
            };
            let mut all: Vec<Tested> = all.iter().filter_map(tested).collect();
            correct(all.iter_mut());
            for one in &all {
                let [p, corrected] = [one.p, one.p_corrected].map(|p| p.expect("two seeds"));
                prop_assume!((corrected - LEVEL).abs() > 1e-6);
                prop_assert_eq!(one.corrected.excludes_zero(), one.is_significant());
                prop_assert!(p <= corrected);
                let width = |interval: Interval| interval.bounds.map_or(0.0, |[low, high]| high - low);
                prop_assert!(width(one.corrected) >= width(one.value) - 1e-9);
            }
        }
    }
}
