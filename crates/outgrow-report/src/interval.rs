//! Means with their uncertainty.

use std::collections::BTreeMap;

use serde::Serialize;
use statrs::distribution::{ContinuousCDF, StudentsT};

/// A mean over `n` seeds with its 95 % Student-t interval; none for one seed.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[allow(missing_docs)]
pub struct Interval {
    pub mean: f64,
    /// Lower and upper bound.
    pub bounds: Option<[f64; 2]>,
    pub n: usize,
}

impl Interval {
    /// Of some values; none of none.
    ///
    /// Student-t and not a bootstrap: a percentile bootstrap over 3 seeds covers 74 % instead of 95
    /// %.
    pub fn of(values: &[f64]) -> Option<Self> {
        Self::at(values, 0.05)
    }

    /// The same with an interval that misses the mean with this probability.
    pub fn at(values: &[f64], level: f64) -> Option<Self> {
        let n = values.len();
        if n == 0 {
            return None;
        }
        let (mean, variance) = mean_and_variance(values);
        let bounds = (n > 1).then(|| {
            let half = quantile(n, level) * (variance / n as f64).sqrt();
            [mean - half, mean + half]
        });
        Some(Self { mean, bounds, n })
    }

    /// The difference of two means of seeds that are not the same, with Welch's interval that
    /// misses it with this probability; `n` is the smaller number of seeds.
    pub fn between(values: &[f64], base: &[f64], level: f64) -> Option<Self> {
        let n = values.len().min(base.len());
        if n == 0 {
            return None;
        }
        let mean = mean_and_variance(values).0 - mean_and_variance(base).0;
        let bounds = welch(values, base).map(|[error, freedom]| {
            let student = StudentsT::new(0.0, 1.0, freedom).expect("positive freedom");
            let half = student.inverse_cdf(1.0 - level / 2.0) * error;
            [mean - half, mean + half]
        });
        Some(Self { mean, bounds, n })
    }

    /// The same with both bounds further away by `by`.
    pub fn widened(self, by: f64) -> Self {
        Self { bounds: self.bounds.map(|[low, high]| [low - by, high + by]), ..self }
    }

    /// Half of the distance of the bounds; infinite without bounds.
    pub fn half_width(&self) -> f64 {
        self.bounds.map_or(f64::INFINITY, |[low, high]| (high - low) / 2.0)
    }

    /// The same with bounds that are not beyond these.
    pub fn within(self, [least, most]: [f64; 2]) -> Self {
        Self { bounds: self.bounds.map(|both| both.map(|b| b.clamp(least, most))), ..self }
    }

    /// Whether its bounds are on one side of zero.
    pub fn excludes_zero(&self) -> bool {
        self.bounds.is_some_and(|[low, high]| low > 0.0 || high < 0.0)
    }

    /// The interval of `f` of the value; `f` must be monotonic.
    pub fn map(self, f: impl Fn(f64) -> f64) -> Self {
        let bounds = self.bounds.map(|[low, high]| {
            let (a, b) = (f(low), f(high));
            [a.min(b), a.max(b)]
        });
        Self { mean: f(self.mean), bounds, n: self.n }
    }
}

/// The mean of each seed's values, over the seeds.
pub fn by_seed(values: impl Iterator<Item = (usize, f64)>) -> BTreeMap<usize, f64> {
    let mut groups: BTreeMap<usize, Vec<f64>> = BTreeMap::new();
    values.for_each(|(seed, value)| groups.entry(seed).or_default().push(value));
    groups
        .into_iter()
        .map(|(seed, values)| (seed, values.iter().sum::<f64>() / values.len() as f64))
        .collect()
}

/// The interval over the seeds.
pub fn interval(by_seed: &BTreeMap<usize, f64>) -> Option<Interval> {
    Interval::of(&by_seed.values().copied().collect::<Vec<_>>())
}

/// How many standard errors an interval over `n` > 1 values reaches to each side, if it misses with
/// this probability.
pub fn quantile(n: usize, level: f64) -> f64 {
    student(n - 1).inverse_cdf(1.0 - level / 2.0)
}

/// With n − 1 below the sum of squares.
pub fn mean_and_variance(values: &[f64]) -> (f64, f64) {
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    (mean, values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (values.len() as f64 - 1.0))
}

fn student(freedom: usize) -> StudentsT {
    StudentsT::new(0.0, 1.0, freedom as f64).expect("positive freedom")
}

/// The standard error of the difference of two means and its degrees of freedom (Welch); none where
/// either has fewer than two values.
fn welch(values: &[f64], base: &[f64]) -> Option<[f64; 2]> {
    if values.len().min(base.len()) < 2 {
        return None;
    }
    let [a, b] = [values, base].map(|all| mean_and_variance(all).1 / all.len() as f64);
    let of = |part: f64, n: usize| part * part / (n as f64 - 1.0);
    let freedom = (a + b).powi(2) / (of(a, values.len()) + of(b, base.len()));
    let least = values.len().min(base.len()) as f64 - 1.0;
    Some([(a + b).sqrt(), if freedom.is_finite() { freedom } else { least }])
}

/// The two-sided p-value of Welch's test of two means; none where either has fewer than two values.
pub fn p_between(values: &[f64], base: &[f64]) -> Option<f64> {
    let [error, freedom] = welch(values, base)?;
    let mean = mean_and_variance(values).0 - mean_and_variance(base).0;
    if error == 0.0 {
        return Some(if mean == 0.0 { 1.0 } else { 0.0 });
    }
    let student = StudentsT::new(0.0, 1.0, freedom).expect("positive freedom");
    Some(2.0 * (1.0 - student.cdf(mean.abs() / error)))
}

/// The two-sided p-value of a t-test of the mean against zero; none for fewer than two values.
pub fn p_value(values: &[f64]) -> Option<f64> {
    let n = values.len();
    if n < 2 {
        return None;
    }
    let (mean, variance) = mean_and_variance(values);
    if variance == 0.0 {
        return Some(if mean == 0.0 { 1.0 } else { 0.0 });
    }
    let t = mean.abs() / (variance / n as f64).sqrt();
    Some(2.0 * (1.0 - student(n - 1).cdf(t)))
}

/// With how many seeds a two-sided t-test at this level would find a mean of this size, with this
/// spread, with 80 % power; none for fewer than two values, or where it would take more
/// than a thousand.
pub fn seeds_needed(values: &[f64], level: f64) -> Option<usize> {
    if values.len() < 2 {
        return None;
    }
    let (mean, variance) = mean_and_variance(values);
    let effect = mean.abs() / variance.sqrt();
    (2..=1000).find(|&n| {
        let t = student(n - 1);
        effect * (n as f64).sqrt() >= t.inverse_cdf(1.0 - level / 2.0) + t.inverse_cdf(0.8)
    })
}

/// Holm's correction: p-values as they count when all of them are asked at once (Holm 1979).
pub fn holm(p_values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p_values.len()).collect();
    order.sort_by(|&a, &b| p_values[a].total_cmp(&p_values[b]));
    let mut adjusted = vec![0.0; p_values.len()];
    let mut least = 0.0f64;
    for (place, &number) in order.iter().enumerate() {
        least = least.max(p_values[number] * (p_values.len() - place) as f64).min(1.0);
        adjusted[number] = least;
    }
    adjusted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tests_and_their_correction() {
        // t = 2/(1/√3) = 3.4641 with 2 degrees of freedom: p = 0.0742.
        assert!((p_value(&[1.0, 2.0, 3.0]).expect("three") - 0.074_18).abs() < 1e-4);
        assert_eq!(
            (p_value(&[1.0]), p_value(&[2.0, 2.0]), p_value(&[0.0, 0.0])),
            (None, Some(0.0), Some(1.0))
        );
        assert_eq!(holm(&[0.01, 0.04, 0.03, 0.005]), [0.03, 0.06, 0.06, 0.02]);
        // An effect of one standard deviation takes about ten seeds, one of a tenth about eight
        // hundred.
        assert!((10..=12).contains(&seeds_needed(&[0.0, 1.0, 2.0], 0.05).expect("some")));
        assert!(seeds_needed(&[0.0, 1.0, 2.0], 0.005) > seeds_needed(&[0.0, 1.0, 2.0], 0.05));
        assert_eq!(seeds_needed(&[-1.0, 1.0], 0.05), None);
    }

    #[test]
    fn it_is_students_t() {
        // t(0.975, 2) = 4.302653; sd of 1, 2, 3 is 1.
        let found = Interval::of(&[1.0, 2.0, 3.0]).expect("three values");
        let [low, high] = found.bounds.expect("more than one");
        assert_eq!(found.mean, 2.0);
        assert!(
            (high - 2.0 - 4.302_652_7 / 3f64.sqrt()).abs() < 1e-6
                && (high + low - 4.0).abs() < 1e-12
        );
        assert_eq!(Interval::of(&[5.0]).expect("one value").bounds, None);
        assert_eq!(Interval::of(&[]), None);
        // Welch: means 2 and 5, variances 1 and 4, n 3 and 3; freedom 2.941, t 3.22.
        let [low, high] = Interval::between(&[1.0, 2.0, 3.0], &[3.0, 5.0, 7.0], 0.05)
            .and_then(|interval| interval.bounds)
            .expect("more than one");
        assert!(
            (low + high + 6.0).abs() < 1e-9 && (high - low - 8.31).abs() < 0.02,
            "{low} {high}"
        );
        assert_eq!(Interval::between(&[1.0], &[2.0, 3.0], 0.05).expect("some").bounds, None);
        // t = −3/√(1/3 + 4/3) = −2.324 with 2.941 degrees of freedom: p = 0.104.
        let p = p_between(&[1.0, 2.0, 3.0], &[3.0, 5.0, 7.0]).expect("three each");
        assert!((p - 0.104).abs() < 1e-3, "{p}");
        assert_eq!(p_between(&[1.0], &[2.0, 3.0]), None);
    }

    #[test]
    fn ninety_five_of_a_hundred_cover() {
        use rand_like::Lcg;
        let mut random = Lcg(7);
        let trials = 2000;
        let covered = (0..trials).filter(|_| {
            let values: Vec<f64> = (0..3).map(|_| random.normal()).collect();
            let [low, high] = Interval::of(&values).expect("values").bounds.expect("three");
            low <= 0.0 && 0.0 <= high
        });
        let share = covered.count() as f64 / f64::from(trials);
        assert!((0.935..0.965).contains(&share), "{share} of the intervals cover");
    }

    /// A small fixed source of normal numbers.
    mod rand_like {
        pub struct Lcg(pub u64);

        impl Lcg {
            fn uniform(&mut self) -> f64 {
                self.0 = self
                    .0
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1_442_695_040_888_963_407);
                ((self.0 >> 11) as f64 + 0.5) / (1u64 << 53) as f64
            }

            pub fn normal(&mut self) -> f64 {
                (-2.0 * self.uniform().ln()).sqrt() * (std::f64::consts::TAU * self.uniform()).cos()
            }
        }
    }
}
