//! Strategies, each at the best of its learning rates.

use std::collections::{BTreeMap, BTreeSet};

use outgrow_core::{plan::causal_share, rows::TrialRow};
use serde::Serialize;

pub use crate::choice::Tried;
use crate::{
    choice::{Choice, is_lost},
    comparison::Comparison,
    input::Input,
    interval::{Interval, by_seed, interval},
    runs::{Point, Run, Runs},
    sizes::Sizes,
    tuned::Tuned,
};

/// A strategy and its trials.
#[derive(Clone, Debug, Serialize)]
pub struct Strategy {
    /// Its name in the sweep.
    pub name: String,
    /// What people read.
    pub shown: String,
    /// What it is there for.
    pub role: Role,
    /// Its learning rate: the one nearest to the best by the seeds that only tune; without such, of
    /// those that most trials completed, the one with the lowest mean final loss.
    pub learning_rate: f64,
    /// How many learning rates were tried.
    pub learning_rates: usize,
    /// Whether its learning rate is the lowest or the highest that was tried, of several.
    pub is_at_the_edge: bool,
    /// How many seeds, which nothing else uses, chose its rate and setting; 0 where those did that
    /// are compared.
    pub tuning_seeds: usize,
    /// The point of the sweep's grid, beside the learning rate, that is as good; empty without one.
    pub setting: String,
    /// All that was tried, in the order of settings and learning rates; by the seeds that chose.
    pub tuning: Vec<Tried>,
    /// Its compared trials at that rate with at least one evaluation.
    #[serde(skip)]
    pub runs: Vec<Run>,
    /// Trainable parameters at its first and its last token.
    pub parameters: Option<Sizes>,
    /// Plans and seeds.
    pub plans: usize,
    /// Seeds with an evaluation.
    pub seeds: usize,
    /// Trials that are compared, at any rate.
    pub trials: usize,
    /// Those of them that diverged or failed.
    pub lost: usize,
    /// Final validation loss over the complete trials, nats per token.
    pub final_loss: Option<Interval>,
    /// Training FLOPs of a complete trial.
    pub train_flops: Option<Interval>,
    /// Tokens of a complete trial.
    pub tokens: Option<Interval>,
    /// Share of the training FLOPs that is left if causal attention is counted as causal.
    pub causal_share: f64,
    /// Against the control; none for the control, or without one.
    pub comparison: Option<Comparison>,
    /// Names of its plans by content.
    #[serde(skip)]
    pub plan_ids: BTreeSet<String>,
    /// Whether its plans are drawn at random.
    #[serde(skip)]
    pub is_random: bool,
    /// Initializer, optimizer and learning rate at growth.
    #[serde(skip)]
    pub policy: [String; 3],
}

impl Strategy {
    /// The strategy at its best learning rate; none without an evaluation.
    pub fn new(
        input: &Input,
        runs: &Runs,
        tuned: &Tuned,
        [name, shown]: [&str; 2],
    ) -> Option<Self> {
        let all = || input.trials.iter().filter(|trial| trial.strategy == name);
        let tuning_trials: Vec<&TrialRow> = all().filter(|trial| trial.tuning).collect();
        let trials: Vec<&TrialRow> = all().filter(|trial| !trial.tuning).collect();
        let choice = Choice::of([&trials, &tuning_trials], runs, tuned)?;
        let Choice { learning_rate, setting, is_at_the_edge, tuning_seeds, tried, runs } = choice;
        let own = tried.iter().filter(|tried| tried.setting == setting);
        let learning_rates = own.count();
        let complete = || runs.iter().filter(|run| run.complete);
        let over_seeds = |of: fn(&Point) -> f64| {
            interval(&by_seed(complete().map(|run| (run.replicate, of(run.last())))))
        };
        let count = |of: fn(&Run) -> usize| runs.iter().map(of).collect::<BTreeSet<_>>().len();
        let policy = &trials[0].policy;
        let is_judged = |trial: &&TrialRow| is_compared_at(trial, learning_rate, &setting);
        let judged: Vec<&TrialRow> = trials.iter().copied().filter(is_judged).collect();
        Some(Self {
            name: name.to_owned(),
            shown: shown.to_owned(),
            role: Role::of(&trials[0].kind),
            learning_rate,
            learning_rates,
            is_at_the_edge,
            tuning_seeds,
            setting,
            tuning: tried,
            parameters: Sizes::of(judged.iter().copied()),
            plans: count(|run| run.plan),
            seeds: count(|run| run.replicate),
            trials: trials.len(),
            lost: trials.iter().filter(|trial| is_lost(trial)).count(),
            final_loss: over_seeds(|point| point.loss),
            train_flops: over_seeds(|point| point.train_flops),
            tokens: over_seeds(|point| point.tokens),
            causal_share: mean_causal_share(&judged),
            comparison: None,
            plan_ids: trials.iter().map(|trial| trial.plan_id.clone()).collect(),
            is_random: trials[0].kind.starts_with("random"),
            policy: [
                text(&policy.initializer),
                text(&policy.optimizer),
                text(&policy.learning_rate),
            ],
            runs,
        })
    }

    /// Whether it is judged by a trial of its own, or would be if that were complete.
    pub(crate) fn is_judged_by(&self, trial: &TrialRow) -> bool {
        is_compared_at(trial, self.learning_rate, &self.setting)
    }

    /// Its trials that were trained to their end.
    pub fn complete(&self) -> impl Iterator<Item = &Run> {
        self.runs.iter().filter(|run| run.complete)
    }

    /// The final loss of each seed, over the plans.
    pub fn losses(&self) -> BTreeMap<usize, f64> {
        by_seed(self.complete().map(|run| (run.replicate, run.last().loss)))
    }

    /// The compute that each seed saved, over the plans; none without a comparison.
    pub fn savings(&self) -> BTreeMap<usize, f64> {
        let all = self.comparison.iter().flat_map(|comparison| &comparison.savings);
        by_seed(all.map(|saving| (saving.replicate, saving.compute)))
    }

    /// Its complete trial of a seed: the first plan's, where there are several.
    pub fn of_seed(&self, replicate: usize) -> Option<&Run> {
        self.complete().find(|run| run.replicate == replicate)
    }
}

/// What a strategy is there for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// The target size from its first token on.
    Control,
    /// The same on another budget, its schedule annealed to that.
    Annealed,
    /// Another size that never grows.
    FixedSize,
    /// A growing model.
    Grown,
}

impl Role {
    /// That of a strategy of this kind.
    pub fn of(kind: &str) -> Self {
        match kind {
            "from_scratch" => Role::Control,
            "from_scratch_annealed" => Role::Annealed,
            "fixed_size" | "born" | "born_check" => Role::FixedSize,
            _ => Role::Grown,
        }
    }
}

fn is_compared_at(trial: &TrialRow, learning_rate: f64, setting: &str) -> bool {
    !trial.tuning && trial.learning_rate == learning_rate && trial.setting == setting
}

fn mean_causal_share(trials: &[&TrialRow]) -> f64 {
    let shares = trials.iter().map(|trial| causal_share(&trial.phases, trial.tokens));
    shares.sum::<f64>() / trials.len() as f64
}

/// A part of a policy as the sweep file says it.
fn text(part: &impl Serialize) -> String {
    match serde_json::to_value(part).expect("a policy is plain data") {
        serde_json::Value::String(name) => name,
        serde_json::Value::Object(fields) => {
            let value = |value: &serde_json::Value| {
                value.as_str().map_or_else(|| value.to_string(), str::to_owned)
            };
            let rest = fields
                .iter()
                .filter(|(key, _)| *key != "kind")
                .map(|(key, v)| format!(" {key} {}", value(v)));
            fields.get("kind").map(value).unwrap_or_default() + &rest.collect::<String>()
        }
        other => other.to_string(),
    }
}
