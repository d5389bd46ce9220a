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
    /// Its loss over its seeds, without what these have in common, drawn towards that of all plans
    /// as far as one training says little.
    pub loss: f64,
    /// Standard error of that.
    pub error: f64,
    /// How many seeds.
    pub seeds: usize,
}

impl History {
    /// Whether a plan was asked for under any seed.
    pub fn knows(&self, plan: &Plan) -> bool {
        self.asked.iter().any(|asked| asked.plan == *plan)
    }

    /// FLOPs of all trainings that have ended.
    pub fn charged(&self) -> f64 {
        self.outcomes.iter().map(|outcome| outcome.flops).sum()
    }

    /// Outcomes with a loss: the plan, the seed and the loss, in order of recording.
    pub fn losses(&self) -> impl Iterator<Item = (&Plan, usize, f64)> {
        self.outcomes.iter().filter_map(|outcome| {
            let Asked { plan, seed } = self.asked.get(outcome.asked)?;
            Some((plan, *seed, outcome.loss.filter(|loss| loss.is_finite())?))
        })
    }

    /// The same without what the seeds have in common: differences of plans that were trained under
    /// both seed 0 and another say how much harder that is.
    pub fn paired(&self) -> Vec<(&Plan, usize, f64)> {
        let losses: Vec<(&Plan, usize, f64)> = self.losses().collect();
        let first: BTreeMap<&Plan, f64> = losses
            .iter()
            .filter(|(_, seed, _)| *seed == 0)
            .map(|(plan, _, loss)| (*plan, *loss))
            .collect();
        let mut offsets: BTreeMap<usize, (f64, f64)> = BTreeMap::new();
        for (plan, seed, loss) in &losses {
            if let Some(other) = first.get(plan).filter(|_| *seed > 0) {
                let (sum, n) = offsets.entry(*seed).or_default();
                (*sum, *n) = (*sum + loss - other, *n + 1.0);
            }
        }
        let offset = |seed: usize| offsets.get(&seed).map_or(0.0, |(sum, n)| sum / n);
        losses.into_iter().map(|(plan, seed, loss)| (plan, seed, loss - offset(seed))).collect()
    }

    /// What is believed of every plan that came to its end. Each is the posterior mean of a normal
    /// prior with the spread of all plans, and of normal noise with that of seeds within plans
    /// (empirical Bayes): the lowest of many single trainings is low by luck.
    pub fn estimates(&self) -> BTreeMap<&Plan, Estimate> {
        let mut plans: BTreeMap<&Plan, Vec<f64>> = BTreeMap::new();
        for (plan, _, loss) in self.paired() {
            plans.entry(plan).or_default().push(loss);
        }
        let mean = |losses: &[f64]| losses.iter().sum::<f64>() / losses.len() as f64;
        let means: Vec<f64> = plans.values().map(|losses| mean(losses)).collect();
        let (centre, spread) = (mean(&means), variance(&means, 1.0));
        let within: f64 = plans
            .values()
            .map(|losses| losses.iter().map(|loss| (loss - mean(losses)).powi(2)).sum::<f64>())
            .sum();
        let freedom: usize = plans.values().map(|losses| losses.len() - 1).sum();
        let noise = if freedom > 0 { within / freedom as f64 } else { 0.0 };
        let one_by: f64 = plans.values().map(|losses| 1.0 / losses.len() as f64).sum();
        let prior = (spread - noise * one_by / plans.len().max(1) as f64).max(0.0);
        let estimate = |losses: &[f64]| {
            let n = losses.len() as f64;
            let share = if noise > 0.0 { prior / (prior + noise / n) } else { 1.0 };
            let loss = centre + share * (mean(losses) - centre);
            Estimate { loss, error: (share * noise / n).sqrt(), seeds: losses.len() }
        };
        plans.iter().map(|(plan, losses)| (*plan, estimate(losses))).collect()
    }

    /// The plan that is believed to be the best; the simplest of equal ones.
    pub fn best(&self) -> Option<(&Plan, Estimate)> {
        self.estimates().into_iter().min_by(|a, b| a.1.loss.total_cmp(&b.1.loss))
    }
}

fn variance(values: &[f64], freedom: f64) -> f64 {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (n - freedom).max(1.0)
}
