//! The learning rates that the seeds prefer which only tune.

use std::collections::BTreeMap;

use crate::{
    frontier::{RateChoice, RateTrial, choose_rates},
    input::Input,
    runs::Runs,
};

/// A rate for each strategy, setting and budget that has at least three on seeds of their own. One
/// rule for all: born sizes, controls and growing strategies.
#[derive(Debug, Default)]
pub struct Tuned(BTreeMap<(String, usize), RateChoice>);

/// Final losses of the plans of an arm at a budget, under one seed at one rate.
type Cells = BTreeMap<((String, usize), (usize, u64)), Vec<f64>>;

impl Tuned {
    /// By the complete trials of a sweep that tune.
    pub fn of(input: &Input, runs: &Runs) -> Self {
        let mut cells = Cells::new();
        for trial in input.trials.iter().filter(|trial| trial.tuning) {
            let Some(run) = runs.run(trial).filter(|run| run.complete) else { continue };
            let at = (trial.replicate, trial.learning_rate.to_bits());
            let arm = key(&trial.strategy, &trial.setting, trial.budget);
            cells.entry((arm, at)).or_default().push(run.last().loss);
        }
        // A mean over some of the plans would prefer the rate at which the hard ones diverged.
        let mut plans: BTreeMap<(String, usize), usize> = BTreeMap::new();
        for ((arm, _), losses) in &cells {
            let most = plans.entry(arm.clone()).or_default();
            *most = losses.len().max(*most);
        }
        cells.retain(|(arm, _), losses| losses.len() == plans[arm]);
        let trials = cells.into_iter().map(|(((arm, budget), (seed, rate)), losses)| RateTrial {
            arm,
            budget,
            rate: f64::from_bits(rate),
            seed,
            loss: losses.iter().sum::<f64>() / losses.len() as f64,
        });
        Self(choose_rates(&trials.collect::<Vec<_>>()))
    }

    /// The best rate, which may lie between those of the grid, and the edge of them that it is at.
    pub fn rate(&self, strategy: &str, setting: &str, budget: Option<f64>) -> Option<RateChoice> {
        self.0.get(&key(strategy, setting, budget)).copied()
    }
}

/// An arm's name and its budget's number for [`choose_rates`].
fn key(strategy: &str, setting: &str, budget: Option<f64>) -> (String, usize) {
    (format!("{strategy}\n{setting}"), budget.map_or(0, f64::to_bits) as usize)
}
