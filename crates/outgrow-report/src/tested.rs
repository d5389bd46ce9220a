//! Means that are tested against zero, several at once.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::interval::{Interval, holm, p_between, p_value, seeds_needed};

/// How often a difference may be called one where there is none.
pub const LEVEL: f64 = 0.05;

/// A mean of paired differences, or a difference of two means of other seeds, with its test against
/// zero.
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
    /// The level at which it is decided: that of `corrected`.
    pub level: f64,
    #[serde(skip)]
    values: Vec<f64>,
    /// Values that the mean of is subtracted, where they are not of the same seeds.
    #[serde(skip)]
    base: Option<Vec<f64>>,
    /// Added to both sides of intervals.
    #[serde(skip)]
    widening: f64,
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
            level: LEVEL,
            values,
            base: None,
            widening: 0.0,
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

    /// The difference of two means of seeds that are not the same (Welch's test); none where one
    /// side has none. Nothing is corrected yet.
    pub fn between(by_seed: &BTreeMap<usize, f64>, base: &BTreeMap<usize, f64>) -> Option<Self> {
        let [values, base] = [by_seed, base].map(|all| all.values().copied().collect::<Vec<_>>());
        let value = Interval::between(&values, &base, LEVEL)?;
        let p = p_between(&values, &base);
        Some(Self {
            value,
            corrected: value,
            p,
            p_corrected: p,
            level: LEVEL,
            values,
            base: Some(base),
            widening: 0.0,
        })
    }

    /// Its interval that misses the truth with this probability.
    fn at(&self, level: f64) -> Option<Interval> {
        let plain = match &self.base {
            None => Interval::at(&self.values, level),
            Some(base) => Interval::between(&self.values, base, level),
        };
        plain.map(|interval| interval.widened(self.widening))
    }

    /// By how much both sides of intervals are widened.
    pub fn widening(&self) -> f64 {
        self.widening
    }

    /// The differences, one a seed.
    pub fn values(&self) -> &[f64] {
        &self.values
    }

    /// With how many seeds a difference of this size would be told from zero with 80 % power, at the
    /// level at which this one is decided; none where seeds are not paired, where it would take more
    /// than a thousand, or where an error stands in the way that no seed makes smaller.
    pub fn seeds_needed(&self) -> Option<usize> {
        let is_open = self.base.is_none() && self.widening == 0.0;
        is_open.then(|| seeds_needed(&self.values, self.level)).flatten()
    }

    /// The same with intervals that are not beyond these bounds.
    pub fn within(self, bounds: [f64; 2]) -> Self {
        Self { value: self.value.within(bounds), corrected: self.corrected.within(bounds), ..self }
    }

    /// The same difference, the other way round.
    pub fn negated(&self) -> Self {
        let negative = |values: &Vec<f64>| values.iter().map(|value| -value).collect();
        Self {
            value: self.value.map(|value| -value),
            corrected: self.corrected.map(|value| -value),
            values: negative(&self.values),
            base: self.base.as_ref().map(negative),
            ..self.clone()
        }
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
        tested.p_corrected = Some(p_corrected);
        tested.level = level;
        tested.corrected = tested.at(level).unwrap_or(tested.value);
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
