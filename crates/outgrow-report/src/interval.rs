//! Means with their uncertainty.

use serde::Serialize;
use statrs::distribution::{ContinuousCDF, StudentsT};

/// A mean over `n` seeds with its 95 % Student-t interval; none for one seed.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Interval {
    /// The mean.
    pub mean: f64,
    /// Lower and upper bound.
    pub bounds: Option<[f64; 2]>,
    /// How many seeds.
    pub n: usize,
}

impl Interval {
    /// Of some values; none of none.
    ///
    /// Student-t and not a bootstrap: a percentile bootstrap over 3 seeds covers 74 % instead of 95 %.
    pub fn of(values: &[f64]) -> Option<Self> {
        let n = values.len();
        if n == 0 {
            return None;
        }
        let mean = values.iter().sum::<f64>() / n as f64;
        let bounds = (n > 1).then(|| {
            let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (n - 1) as f64;
            let t = StudentsT::new(0.0, 1.0, (n - 1) as f64).expect("positive freedom").inverse_cdf(0.975);
            let half = t * (variance / n as f64).sqrt();
            [mean - half, mean + half]
        });
        Some(Self { mean, bounds, n })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_students_t() {
        // t(0.975, 2) = 4.302653; sd of 1, 2, 3 is 1.
        let found = Interval::of(&[1.0, 2.0, 3.0]).expect("three values");
        let [low, high] = found.bounds.expect("more than one");
        assert_eq!(found.mean, 2.0);
        assert!((high - 2.0 - 4.302_652_7 / 3f64.sqrt()).abs() < 1e-6 && (high + low - 4.0).abs() < 1e-12);
        assert_eq!(Interval::of(&[5.0]).expect("one value").bounds, None);
        assert_eq!(Interval::of(&[]), None);
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
                self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                ((self.0 >> 11) as f64 + 0.5) / (1u64 << 53) as f64
            }

            pub fn normal(&mut self) -> f64 {
                (-2.0 * self.uniform().ln()).sqrt() * (std::f64::consts::TAU * self.uniform()).cos()
            }
        }
    }
}
