//! Frontiers whose truth is known: losses by a law, noise between seeds, tuned learning rates.

use std::{cell::RefCell, collections::HashMap};

use outgrow_report::frontier::{BornEnd, Counts, GrownEnd, Law, RateTrial, choose_rates};
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

pub const SIZES: usize = 7;
pub const STEP: f64 = 1.6;
/// Tokens per parameter of the target.
pub const BUDGETS: [f64; 6] = [2.0, 5.0, 10.0, 20.0, 40.0, 80.0];
/// Correlation of the noise of two budgets on one trunk.
const TRUNK: f64 = 0.7;
/// Nats lost by a learning rate that is off by a factor of two.
const PER_OCTAVE: std::ops::Range<f64> = 0.02..0.04;
const TUNING_SEEDS: usize = 2;

/// A law, and where on the grid of sizes its optimum lies.
#[derive(Clone, Copy, Debug)]
pub struct Truth {
    pub name: &'static str,
    pub law: Law,
}

/// Position on the grid of sizes of the optimum at 20 tokens per parameter; α, β.
const LAWS: [(&str, f64, f64, f64); 3] = [
    ("near-symmetric", 3.4, 0.34, 0.28),
    ("skewed", 3.0, 0.7, 0.25),
    ("between sizes", 3.5, 0.5, 0.35),
];
const LEAST: f64 = 0.9;
const EXCESS: f64 = 0.5;

pub fn truths() -> [Truth; 3] {
    LAWS.map(|(name, place, alpha, beta)| {
        let n = parameters(place);
        let d = compute(3) / per_token(n);
        let share = beta / (alpha + beta);
        let (a, b) = (EXCESS * share * n.powf(alpha), EXCESS * (1.0 - share) * d.powf(beta));
        Truth { name, law: Law { e: LEAST, a, alpha, b, beta } }
    })
}

/// Non-embedding plus unembedding parameters at a place of the grid.
pub fn parameters(place: f64) -> f64 {
    30_000.0 * STEP.powf(place)
}

/// FLOPs of a token: 6 N and attention.
fn per_token(n: f64) -> f64 {
    6.0 * n * (1.0 + 0.1 * (n / parameters(0.0)).powf(-0.3))
}

/// FLOPs of a budget: tokens per parameter of the last but one size.
fn compute(budget: usize) -> f64 {
    let target = parameters(SIZES as f64 - 2.0);
    BUDGETS[budget] * target * per_token(target)
}

pub fn counts(n: f64) -> Counts {
    // 256 tokens times a width that grows as the power 0.4 of the size.
    let embedding = 256.0 * 40.0 * (n / parameters(0.0)).powf(0.4);
    Counts { non_embedding: n - embedding, with_unembedding: n, all: n + embedding }
}

impl Truth {
    /// Least loss over all sizes, and the best size.
    pub fn least(&self, flops: f64) -> (f64, f64) {
        let loss = |log_n: f64| self.law.loss(log_n.exp(), flops / per_token(log_n.exp()));
        let search = || {
            let [mut low, mut high] = [parameters(-4.0).ln(), parameters(12.0).ln()];
            for _ in 0..90 {
                let third = (high - low) / 3.0;
                if loss(low + third) < loss(high - third) { high -= third } else { low += third }
            }
            (loss((low + high) / 2.0), ((low + high) / 2.0).exp())
        };
        self.once(flops, f64::NAN, search)
    }

    /// The compute at which the frontier is higher by `gap` than at `flops`.
    pub fn needed(&self, flops: f64, gap: f64) -> f64 {
        let loss = self.least(flops).0 + gap;
        let search = || {
            let [mut low, mut high] = [flops.ln() - 9.0, flops.ln() + 9.0];
            for _ in 0..60 {
                let middle = (low + high) / 2.0;
                if self.least(middle.exp()).0 > loss { low = middle } else { high = middle }
            }
            (low.exp(), 0.0)
        };
        self.once(flops, gap, search).0
    }

    /// Simulations ask the same again and again.
    fn once(&self, flops: f64, gap: f64, search: impl FnOnce() -> (f64, f64)) -> (f64, f64) {
        let key = [self.law.a, flops, gap].map(f64::to_bits);
        if let Some(known) = KNOWN.with_borrow(|known| known.get(&key).copied()) {
            return known;
        }
        let found = search();
        KNOWN.with_borrow_mut(|known| known.insert(key, found));
        found
    }
}

thread_local! {
    static KNOWN: RefCell<HashMap<[u64; 3], (f64, f64)>> = RefCell::default();
}

/// What is varied.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    pub truth: Truth,
    pub seeds: usize,
    /// Standard deviation of the final loss over seeds, in nats.
    pub noise: f64,
    /// Correlation of the noise of two sizes under one seed.
    pub across: f64,
}

/// Rows whose truth is known.
pub struct Planted {
    pub born: Vec<BornEnd>,
    /// In order of arms.
    pub grown: Vec<GrownEnd>,
    pub sizes: usize,
}

impl Planted {
    /// Losses of an arm minus those of a size at the same budget, seed by seed.
    pub fn differences(&self, arm: &str, budget: usize, size: usize) -> Vec<f64> {
        let own = self.grown.iter().filter(|end| end.arm == arm && end.budget == budget);
        own.map(|end| {
            let is_pair = |born: &&BornEnd| {
                born.size == size && born.budget == budget && born.seed == end.seed
            };
            end.loss - self.born.iter().find(is_pair).expect("every seed").loss
        })
        .collect()
    }
}

/// Over the seeds.
pub fn mean_loss(born: &[BornEnd], budget: usize, size: usize) -> f64 {
    let own = born.iter().filter(|end| end.budget == budget && end.size == size);
    let losses: Vec<f64> = own.map(|end| end.loss).collect();
    losses.iter().sum::<f64>() / losses.len() as f64
}

/// Correlated noise of one seed: of every unit (a size, an arm, a rate) at every budget.
fn noise(setting: &Setting, units: usize, random: &mut impl Rng) -> Vec<[f64; 6]> {
    let mut trunk = || -> [f64; 6] {
        let mut normal = || -> f64 { StandardNormal.sample(random) };
        let shared = normal();
        std::array::from_fn(|_| TRUNK.sqrt() * shared + (1.0 - TRUNK).sqrt() * normal())
    };
    let common = trunk();
    let mix = |own: [f64; 6]| {
        std::array::from_fn(|b| {
            let (all, one) = (setting.across.sqrt(), (1.0 - setting.across).sqrt());
            setting.noise * (all * common[b] + one * own[b])
        })
    };
    (0..units).map(|_| mix(trunk())).collect()
}

/// What the chosen rates of each unit and budget lose against their best.
fn tuned(setting: &Setting, units: usize, random: &mut impl Rng) -> Vec<[f64; 6]> {
    let best: Vec<f64> = (0..units).map(|_| random.random_range(-0.5..0.5)).collect();
    let sharp: Vec<f64> = (0..units).map(|_| random.random_range(PER_OCTAVE)).collect();
    let lost = |unit: usize, octave: f64| sharp[unit] * (octave - best[unit]).powi(2);
    let mut trials = vec![];
    for seed in 0..TUNING_SEEDS {
        let noise = noise(setting, 3 * units, random);
        for (unit, rate, budget) in every(units) {
            let octave = rate as f64 - 1.0;
            let loss = lost(unit, octave) + noise[3 * unit + rate][budget];
            trials.push(RateTrial {
                arm: unit.to_string(),
                rate: octave.exp2(),
                budget,
                seed,
                loss,
            });
        }
    }
    let chosen = choose_rates(&trials);
    let rate = |unit: usize, budget: usize| chosen[&(unit.to_string(), budget)].rate;
    (0..units).map(|unit| std::array::from_fn(|b| lost(unit, rate(unit, b).log2()))).collect()
}

/// Every unit, rate and budget.
fn every(units: usize) -> impl Iterator<Item = (usize, usize, usize)> {
    (0..18 * units).map(|i| (i / 18, i / 6 % 3, i % 6))
}

/// Born ends, and one growing arm at every budget for each of these true gaps.
pub fn plant(setting: &Setting, gaps: &[f64], number: u64) -> Planted {
    let mut random = ChaCha8Rng::seed_from_u64(number);
    let units = SIZES + gaps.len();
    let lost = tuned(setting, units, &mut random);
    let noises: Vec<_> = (0..setting.seeds).map(|_| noise(setting, units, &mut random)).collect();
    let ends = |unit: usize| {
        let (lost, noises) = (&lost, &noises);
        (0..BUDGETS.len()).flat_map(move |budget| {
            let extra = move |seed: usize| lost[unit][budget] + noises[seed][unit][budget];
            (0..setting.seeds).map(move |seed| (budget, seed, extra(seed)))
        })
    };
    let born = (0..SIZES).flat_map(|size| {
        ends(size).map(move |(budget, seed, extra)| {
            let n = parameters(size as f64);
            let flops = rounded(budget, size);
            let tokens = flops / per_token(n);
            let loss = setting.truth.law.loss(n, tokens) + extra;
            BornEnd { size, counts: counts(n), budget, flops, tokens, seed, loss, repeated: false }
        })
    });
    let grown = gaps.iter().enumerate().flat_map(|(arm, gap)| {
        ends(SIZES + arm).map(move |(budget, seed, extra)| {
            let flops = rounded(budget, SIZES + arm);
            let loss = setting.truth.least(flops).0 + gap + extra;
            GrownEnd { arm: format!("arm {arm}"), budget, flops, seed, loss }
        })
    });
    Planted { born: born.collect(), grown: grown.collect(), sizes: SIZES }
}

/// Compute in whole steps: off the budget by up to 1 %.
pub fn rounded(budget: usize, unit: usize) -> f64 {
    let turn = ((budget * 31 + unit * 17) % 11) as f64 / 5.0 - 1.0;
    compute(budget) * (1.0 + 0.01 * turn)
}
