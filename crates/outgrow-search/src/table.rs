//! A table in which every plan of a lattice was trained: searches on it cost nothing, so there can
//! be many.

use std::collections::BTreeMap;

use outgrow_core::stream::stream;
use rand::seq::SliceRandom;

use crate::{
    history::{History, Outcome},
    racing::Racing,
    searcher::Searcher,
    space::{Plan, Space},
};

/// Final losses of all plans under the same seeds.
#[derive(Clone, Debug)]
pub struct Table {
    space: Space,
    rows: BTreeMap<Plan, Row>,
    seeds: usize,
}

/// What is known of one plan.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// Under each seed, nats per token; none where it diverged.
    pub losses: Vec<Option<f64>>,
    /// What one of them is charged, training FLOPs.
    pub flops: f64,
}

/// How one search goes.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs)]
pub struct Rules {
    pub trials: usize,
    pub batch: usize,
    /// Every so many-th training is one of a known plan; 0 for none.
    pub race_every: usize,
}

/// A search after some trainings.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Progress {
    /// How many.
    pub trials: usize,
    /// What they are charged, training FLOPs.
    pub flops: f64,
    /// How far the plan that is believed to be the best is above the best one, by seeds that the
    /// search did not see, nats.
    pub regret: f64,
}

impl Table {
    /// Of the plans of a space, each under the same number of seeds, at least two.
    ///
    /// # Errors
    /// In words, if a plan is missing, or has fewer seeds than another.
    pub fn new(space: Space, rows: BTreeMap<Plan, Row>) -> Result<Self, String> {
        let all = space.plans();
        let lacking = all.iter().filter(|plan| !rows.contains_key(plan)).count();
        if lacking > 0 {
            return Err(format!(
                "{lacking} of the {} plans of the space were not trained",
                all.len()
            ));
        }
        let seeds = rows.values().map(|row| row.losses.len()).max().unwrap_or(0);
        let fewer = rows.values().filter(|row| row.losses.len() < seeds).count();
        if seeds < 2 || fewer > 0 {
            return Err(format!(
                "plans need at least two seeds, and all as many: the most is {seeds}, and {fewer} \
                 have fewer"
            ));
        }
        Ok(Self { space, rows, seeds })
    }

    /// How many plans it has.
    pub fn plans(&self) -> usize {
        self.rows.len()
    }

    /// How many seeds each plan has.
    pub fn seeds(&self) -> usize {
        self.seeds
    }

    /// One search. Which seeds it sees, at most two and never all, is drawn.
    pub fn search(&self, searcher: &dyn Searcher, rules: Rules, seed: u64) -> Vec<Progress> {
        let (seen, unseen) = self.split(seed);
        let racing = Racing { searcher, every: rules.race_every, seeds: seen.len() };
        let best = self.best(&unseen).map_or(f64::NAN, |(_, loss)| loss);
        let mut history = History::default();
        let mut progress = vec![];
        while history.asked.len() < rules.trials {
            let n = rules.batch.min(rules.trials - history.asked.len());
            let batch = racing.ask(&self.space, &history, seed, n);
            if batch.is_empty() {
                break;
            }
            for asked in batch {
                let row = &self.rows[&asked.plan];
                let loss = row.losses[seen[asked.seed]];
                let number = history.asked.len();
                history.outcomes.push(Outcome { asked: number, loss, flops: row.flops });
                history.asked.push(asked);
            }
            let believed = history.best().and_then(|(plan, _)| self.loss(plan, &unseen));
            progress.push(Progress {
                trials: history.asked.len(),
                flops: history.charged(),
                regret: believed.unwrap_or(f64::INFINITY) - best,
            });
        }
        progress
    }

    /// How much too low the reference is, on average over which seeds are seen: the best of many
    /// plans by a few seeds is so partly by luck. By how much worse it is under the others, beside
    /// what all plans are.
    pub fn luck_of_the_reference(&self) -> f64 {
        let draws = 50;
        let one = |seed: u64| {
            let (seen, unseen) = self.split(seed);
            let (plan, loss) = self.best(&unseen)?;
            let harder: Vec<f64> = self
                .rows
                .keys()
                .filter_map(|plan| Some(self.loss(plan, &seen)? - self.loss(plan, &unseen)?))
                .collect();
            let harder = harder.iter().sum::<f64>() / harder.len().max(1) as f64;
            Some(self.loss(plan, &seen)? - loss - harder)
        };
        let all: Vec<f64> = (0..draws).filter_map(one).collect();
        all.iter().sum::<f64>() / all.len().max(1) as f64
    }

    /// Seeds that a search sees, and the others.
    fn split(&self, seed: u64) -> (Vec<usize>, Vec<usize>) {
        let mut seeds: Vec<usize> = (0..self.seeds).collect();
        seeds.shuffle(&mut stream(seed, "search/seeds"));
        let unseen = seeds.split_off(2.min(self.seeds - 1));
        (seeds, unseen)
    }

    /// Mean loss under some seeds; none if it diverged under one of them.
    fn loss(&self, plan: &Plan, seeds: &[usize]) -> Option<f64> {
        let row = self.rows.get(plan)?;
        let losses: Option<Vec<f64>> = seeds.iter().map(|seed| row.losses[*seed]).collect();
        losses.map(|losses| losses.iter().sum::<f64>() / losses.len() as f64)
    }

    fn best(&self, seeds: &[usize]) -> Option<(&Plan, f64)> {
        let losses = self.rows.keys().filter_map(|plan| Some((plan, self.loss(plan, seeds)?)));
        losses.min_by(|a, b| a.1.total_cmp(&b.1))
    }
}
