//! What was asked, and what came of it.

use std::collections::BTreeMap;

use crate::space::Plan;

/// A plan to train under one of several paired seeds.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs)]
pub struct Asked {
    pub plan: Plan,
    /// From 0.
    pub seed: usize,
    /// How many outcomes were known when it was asked for.
    pub after: usize,
}

/// How a training ended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Outcome {
    /// Which of those that were asked.
    pub asked: usize,
    /// The final loss, nats per token; none where it diverged.
    pub loss: Option<f64>,
    /// What it is charged, training FLOPs.
    pub flops: f64,
}

/// All of a search so far.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct History {
    /// In order of asking; those without an outcome are being trained.
    pub asked: Vec<Asked>,
    /// In order of recording.
    pub outcomes: Vec<Outcome>,
}

/// What is believed of a plan.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// Its loss as under seed 0, drawn towards that of all plans as far as few trainings say little.
    pub loss: f64,
    /// Standard error of that.
    pub error: f64,
    /// How many seeds.
    pub seeds: usize,
}

impl History {
    /// Under how many seeds each plan was asked for.
    pub fn times_asked(&self) -> BTreeMap<Plan, usize> {
        let mut times = BTreeMap::new();
        for asked in &self.asked {
            *times.entry(asked.plan.clone()).or_default() += 1;
        }
        times
    }

    /// FLOPs of all trainings that have ended.
    pub fn charged(&self) -> f64 {
        self.outcomes.iter().map(|outcome| outcome.flops).sum()
    }

    /// Outcomes with a loss: the plan, the seed and the loss, in order of recording.
    pub fn losses(&self) -> impl Iterator<Item = (&Plan, usize, f64)> {
        self.outcomes.iter().filter_map(|outcome| {
            let Asked { plan, seed, .. } = self.asked.get(outcome.asked)?;
            Some((plan, *seed, outcome.loss.filter(|loss| loss.is_finite())?))
        })
    }

    /// What is believed of every plan that came to its end, and of the seeds: a loss is that of its
    /// plan, what its seed adds for all plans, and noise; plans and noise are normal (a mixed model,
    /// by expectation maximisation). The lowest of many single trainings is low by luck, and plans
    /// that were trained again were chosen for it, which the model takes into account because it
    /// sees the losses that they were chosen by.
    pub fn believed(&self) -> Believed<'_> {
        let mut rows: BTreeMap<&Plan, Vec<(usize, f64)>> = BTreeMap::new();
        for (plan, seed, loss) in self.losses() {
            rows.entry(plan).or_default().push((seed, loss));
        }
        let plans: Vec<&Plan> = rows.keys().copied().collect();
        let losses: Vec<Vec<(usize, f64)>> = rows.into_values().collect();
        let Model { means, spread, noise, of_plan } = Model::fit(&losses);
        let estimate = |(own, effect): (&Vec<(usize, f64)>, &f64)| Estimate {
            loss: means.get(&0).copied().unwrap_or(0.0) + effect,
            error: (noise / (own.len() as f64 + noise / spread)).sqrt(),
            seeds: own.len(),
        };
        let all = losses.iter().zip(&of_plan).map(estimate);
        Believed { plans: plans.into_iter().zip(all).collect(), means }
    }

    /// The plan that is believed to be the best.
    pub fn best(&self) -> Option<(&Plan, Estimate)> {
        self.believed().plans.into_iter().min_by(|a, b| a.1.loss.total_cmp(&b.1.loss))
    }
}

/// What a searcher is asked with.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs)]
pub struct Known<'a> {
    /// With what was asked for in the same batch before.
    pub history: &'a History,
    /// Of its outcomes.
    pub believed: &'a Believed<'a>,
    /// Under how many seeds each plan was asked for.
    pub times_asked: &'a BTreeMap<Plan, usize>,
}

impl<'a> Known<'a> {
    /// Whether a plan was asked for under any seed.
    pub fn knows(&self, plan: &Plan) -> bool {
        self.times_asked.contains_key(plan)
    }

    /// Outcomes with a loss, as they would be under seed 0.
    pub fn paired(&self) -> (Vec<&'a Plan>, Vec<f64>) {
        let paired = |(plan, seed, loss)| (plan, self.believed.paired(seed, loss));
        self.history.losses().map(paired).unzip()
    }
}

/// What is believed of plans and seeds.
#[derive(Clone, Debug)]
pub struct Believed<'a> {
    /// Every plan that came to its end under some seed.
    pub plans: BTreeMap<&'a Plan, Estimate>,
    /// The mean loss of all plans under each seed.
    means: BTreeMap<usize, f64>,
}

impl Believed<'_> {
    /// What is to be added to an estimate, which is that under seed 0, for the mean over some seeds; none
    /// if no plan was trained under one of them.
    pub fn over_seeds(&self, seeds: impl Iterator<Item = usize>) -> Option<f64> {
        let seen: Option<Vec<f64>> = seeds.map(|seed| self.means.get(&seed).copied()).collect();
        let seen = seen.filter(|seen| !seen.is_empty())?;
        Some(seen.iter().sum::<f64>() / seen.len() as f64 - self.means.get(&0)?)
    }

    /// A loss as it would be under seed 0.
    pub fn paired(&self, seed: usize, loss: f64) -> f64 {
        match (self.means.get(&seed), self.means.get(&0)) {
            (Some(own), Some(first)) => loss - own + first,
            _ => loss,
        }
    }
}

/// Loss = mean of the seed + effect of the plan + noise.
struct Model {
    means: BTreeMap<usize, f64>,
    /// Variance of the effects of plans, and of noise.
    spread: f64,
    noise: f64,
    of_plan: Vec<f64>,
}

/// Steps of expectation maximisation, at most; ...
const STEPS: usize = 40;
/// ... it is at its end when variances change by less than this share.
const SETTLED: f64 = 1e-3;

impl Model {
    fn fit(losses: &[Vec<(usize, f64)>]) -> Self {
        let all = || losses.iter().flatten();
        let n = all().count().max(1) as f64;
        let mean = all().map(|(_, loss)| loss).sum::<f64>() / n;
        let variance = all().map(|(_, loss)| (loss - mean).powi(2)).sum::<f64>() / n;
        // Of single trainings nobody knows how much of their spread is noise.
        let least = (1e-6 * variance).max(1e-18);
        let mut model = Self {
            means: all().map(|(seed, _)| (*seed, mean)).collect(),
            spread: (0.7 * variance).max(least),
            noise: (0.3 * variance).max(least),
            of_plan: vec![0.0; losses.len()],
        };
        for _ in 0..STEPS {
            let before = [model.spread, model.noise];
            model.step(losses, least);
            let still = |(now, before): (f64, f64)| (now - before).abs() < SETTLED * before;
            if [model.spread, model.noise].into_iter().zip(before).all(still) {
                break;
            }
        }
        model
    }

    fn step(&mut self, losses: &[Vec<(usize, f64)>], least: f64) {
        let (mut about, mut effects, mut n) = (0.0, 0.0, 0.0);
        let mut sums: BTreeMap<usize, (f64, f64)> = BTreeMap::new();
        for (own, effect) in losses.iter().zip(&mut self.of_plan) {
            let weight = own.len() as f64 + self.noise / self.spread;
            let rest: f64 = own.iter().map(|(seed, loss)| loss - self.means[seed]).sum();
            *effect = rest / weight;
            let unsure = self.noise / weight;
            effects += *effect * *effect + unsure;
            for (seed, loss) in own {
                about += (loss - self.means[seed] - *effect).powi(2) + unsure;
                let (sum, count) = sums.entry(*seed).or_default();
                (*sum, *count) = (*sum + loss - *effect, *count + 1.0);
                n += 1.0;
            }
        }
        self.means = sums.into_iter().map(|(seed, (sum, count))| (seed, sum / count)).collect();
        self.noise = (about / f64::max(n, 1.0)).max(least);
        self.spread = (effects / losses.len().max(1) as f64).max(least);
    }
}
