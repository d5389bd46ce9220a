//! The choice of learning rates.

use std::collections::BTreeMap;

use outgrow_core::sweep::Edge;
use serde::Serialize;

use super::jackknife::mean;
use crate::interval::mean_and_variance;

/// The end of a schedule on a tuning seed, which no comparison uses.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct RateTrial {
    /// A growing arm or a size.
    pub arm: String,
    pub budget: usize,
    pub rate: f64,
    pub seed: usize,
    /// Nats.
    pub loss: f64,
}

/// A chosen learning rate.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct RateChoice {
    /// The rate, inside the grid.
    pub rate: f64,
    /// Whether it is the lowest or the highest of the grid: the best one may lie outside.
    pub edge: Option<Edge>,
}

/// A rate for each arm and budget: the vertex, in the logarithm of the rate, of a parabola through
/// the best rate and its two neighbours, by means over tuning seeds. Arms and budgets with fewer
/// than three rates, or without a seed that has all of them, are left out. Trials whose loss is not
/// finite do not count.
///
/// Curvatures are shared: with two tuning seeds the curvature of one budget may come out near zero
/// by noise, and then its vertex is anywhere. All budgets of an arm have one curvature, the mean
/// k of theirs, shrunk towards the mean k̄ of all arms: k̄ + (k − k̄) τ²/(τ² + v). Here v is the
/// variance of k by noise, from the spread between tuning seeds, and τ² what the spread of k between
/// arms has above v (empirical Bayes; Morris 1983). Where this is not positive, the best rate
/// itself is taken; and also where the rate nearest to the vertex is worse than the best one by
/// more than twice the standard error of that difference, for then the seeds know better than a
/// curvature that is not this budget's own. The error is that of pairs of neighbours under the same
/// seed, pooled over all arms and budgets.
pub fn choose_rates(trials: &[RateTrial]) -> BTreeMap<(String, usize), RateChoice> {
    let mut cells: BTreeMap<&str, BTreeMap<usize, Vec<&RateTrial>>> = BTreeMap::new();
    for trial in trials.iter().filter(|trial| trial.loss.is_finite() && trial.rate > 0.0) {
        cells.entry(&trial.arm).or_default().entry(trial.budget).or_default().push(trial);
    }
    let tuned = |budgets: &BTreeMap<usize, Vec<&RateTrial>>| -> Vec<(usize, Tuning)> {
        budgets.iter().filter_map(|(&budget, own)| Some((budget, Tuning::of(own)?))).collect()
    };
    let arms: Vec<(&str, Vec<(usize, Tuning)>)> =
        cells.iter().map(|(&arm, budgets)| (arm, tuned(budgets))).collect();
    let curvatures = shared(&arms.iter().map(|(_, tunings)| &tunings[..]).collect::<Vec<_>>());
    let all = arms.iter().flat_map(|(_, tunings)| tunings);
    let noise = mean(all.flat_map(|(_, tuning)| tuning.noise()));
    let choices = arms.iter().zip(curvatures).flat_map(|((arm, tunings), curvature)| {
        tunings.iter().map(move |(budget, tuning)| {
            (((*arm).to_owned(), *budget), tuning.choice(curvature, noise))
        })
    });
    choices.collect()
}

/// The curvature of each arm.
fn shared(arms: &[&[(usize, Tuning)]]) -> Vec<f64> {
    let known: Vec<_> = arms.iter().filter(|tunings| !tunings.is_empty()).collect();
    let own = |tunings: &[(usize, Tuning)]| mean(tunings.iter().map(|(_, t)| t.curvature));
    let all: Vec<f64> = known.iter().filter_map(|tunings| own(tunings)).collect();
    let (centre, spread) = mean_and_variance(&all);
    let noise = mean(known.iter().filter_map(|tunings| noise(tunings)));
    // Of one tuning seed the noise is not known: nothing but the mean.
    let share = noise.map_or(0.0, |noise| (1.0 - noise / spread).max(0.0));
    let share = if share.is_finite() { share } else { 0.0 };
    let shrunk = |tunings: &&[(usize, Tuning)]| {
        own(tunings).map_or(centre, |own| centre + share * (own - centre))
    };
    arms.iter().map(shrunk).collect()
}

/// The variance by noise of an arm's mean curvature; none for one tuning seed.
fn noise(tunings: &[(usize, Tuning)]) -> Option<f64> {
    let mut seeds: BTreeMap<usize, Vec<f64>> = BTreeMap::new();
    let own = tunings.iter().flat_map(|(_, tuning)| &tuning.by_seed);
    own.for_each(|&(seed, curvature)| seeds.entry(seed).or_default().push(curvature));
    let means: Vec<f64> = seeds.into_values().filter_map(|all| mean(all.into_iter())).collect();
    (means.len() > 1).then(|| mean_and_variance(&means).1 / means.len() as f64)
}

/// The parabola through three points, and the best rate; rates as logarithms.
struct Tuning {
    /// Rates, and under each seed the losses at them.
    grid: Vec<f64>,
    losses: Vec<Vec<f64>>,
    best: usize,
    middle: f64,
    /// At the middle of the three points.
    slope: f64,
    curvature: f64,
    /// Curvature of each seed.
    by_seed: Vec<(usize, f64)>,
}

impl Tuning {
    fn of(trials: &[&RateTrial]) -> Option<Self> {
        let mut seeds: BTreeMap<usize, BTreeMap<u64, f64>> = BTreeMap::new();
        for trial in trials {
            // Positive numbers are in the order of their bits.
            seeds.entry(trial.seed).or_default().insert(trial.rate.to_bits(), trial.loss);
        }
        let most = seeds.values().map(BTreeMap::len).max().filter(|most| *most >= 3)?;
        seeds.retain(|_, losses| losses.len() == most);
        let rates: Vec<u64> = seeds.values().next()?.keys().copied().collect();
        seeds.retain(|_, losses| losses.keys().eq(rates.iter()));
        let x: Vec<f64> = rates.iter().map(|&bits| f64::from_bits(bits).ln()).collect();
        let y: Vec<f64> =
            rates.iter().filter_map(|rate| mean(seeds.values().map(|own| own[rate]))).collect();
        let best = (0..most).min_by(|&a, &b| y[a].total_cmp(&y[b]))?;
        let i = best.clamp(1, most - 2);
        let three = [x[i - 1], x[i], x[i + 1]];
        let of_seed =
            |own: &BTreeMap<u64, f64>| curvature(three, [i - 1, i, i + 1].map(|i| own[&rates[i]]));
        Some(Self {
            losses: seeds.values().map(|own| own.values().copied().collect()).collect(),
            best,
            middle: (x[i - 1] + x[i + 1]) / 2.0,
            slope: (y[i + 1] - y[i - 1]) / (x[i + 1] - x[i - 1]),
            curvature: curvature(three, [y[i - 1], y[i], y[i + 1]]),
            by_seed: seeds.iter().map(|(&seed, own)| (seed, of_seed(own))).collect(),
            grid: x,
        })
    }

    fn choice(&self, curvature: f64, noise: Option<f64>) -> RateChoice {
        let best = self.grid[self.best];
        let (low, high) = (self.grid[0], self.grid[self.grid.len() - 1]);
        let vertex = if curvature > 0.0 { self.middle - self.slope / curvature } else { best };
        let vertex = vertex.clamp(low, high);
        let away = |i: &usize| (self.grid[*i] - vertex).abs();
        let nearest = (0..self.grid.len()).min_by(|a, b| away(a).total_cmp(&away(b)));
        let is_worse = nearest.is_some_and(|nearest| self.is_worse(nearest, noise));
        let log = if is_worse { best } else { vertex };
        let edge = match log {
            log if log <= low => Some(Edge::Lowest),
            log if log >= high => Some(Edge::Highest),
            _ => None,
        };
        RateChoice { rate: log.exp(), edge }
    }

    /// Whether the seeds tell a rate from the best one, with this variance of a difference.
    fn is_worse(&self, rate: usize, noise: Option<f64>) -> bool {
        let behind = mean(self.differences(rate).into_iter());
        let error = noise.map(|noise| (noise / self.losses.len() as f64).sqrt());
        behind.zip(error).is_some_and(|(behind, error)| behind > 2.0 * error)
    }

    /// Loss at a rate minus that at the best one, under each seed.
    fn differences(&self, rate: usize) -> Vec<f64> {
        self.losses.iter().map(|losses| losses[rate] - losses[self.best]).collect()
    }

    /// The variance over seeds of the differences between the best rate and its neighbours; of one
    /// seed it is not known.
    fn noise(&self) -> Vec<f64> {
        let beside = [self.best.checked_sub(1), Some(self.best + 1)].into_iter().flatten();
        let beside = beside.filter(|rate| *rate < self.grid.len() && self.losses.len() > 1);
        beside.map(|rate| mean_and_variance(&self.differences(rate)).1).collect()
    }
}

/// The second derivative.
fn curvature(x: [f64; 3], y: [f64; 3]) -> f64 {
    let left = (y[1] - y[0]) / (x[1] - x[0]);
    let right = (y[2] - y[1]) / (x[2] - x[1]);
    2.0 * (right - left) / (x[2] - x[0])
}
