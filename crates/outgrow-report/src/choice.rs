//! Which point of the grid a strategy is judged by.
//!
//! Where seeds only tune, they alone choose: the setting with the lowest mean loss at its best rate,
//! and in it the rate nearest to the best by [`Tuned`]. Without them, or before two of them are
//! complete, the seeds that are compared choose, which flatters: of the points that most trials
//! completed, the one with the lowest mean loss.

use std::collections::BTreeSet;

use outgrow_core::{
    TrialState,
    rows::TrialRow,
    sweep::{Chosen, Edge, GridPoint},
};
use serde::Serialize;

use crate::{
    frontier::RateChoice,
    interval::{Interval, by_seed, interval},
    runs::{Run, Runs},
    tuned::Tuned,
};

/// A learning rate of a strategy, at a point of the sweep's grid.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[allow(missing_docs)]
pub struct Tried {
    pub learning_rate: f64,
    pub setting: String,
    pub trials: usize,
    pub complete: usize,
    /// Trials that diverged or failed.
    pub lost: usize,
    /// Over seeds; none where no trial is complete.
    pub final_loss: Option<Interval>,
    /// Whether the strategy is judged by it.
    pub is_chosen: bool,
}

/// The point that a strategy is judged by.
pub struct Choice {
    pub learning_rate: f64,
    pub setting: String,
    /// Whether the best rate is the lowest or the highest of several.
    pub is_at_the_edge: bool,
    /// Seeds that chose it and are not compared.
    pub tuning_seeds: usize,
    /// All that was tried on the seeds that chose, in the order of settings and rates.
    pub tried: Vec<Tried>,
    /// Compared trials at that point, at least one.
    pub runs: Vec<Run>,
}

impl Choice {
    /// By the trials of one strategy that are compared, and those that tune; none before the first
    /// evaluation of a compared one.
    pub fn of([compared, tuning]: [&[&TrialRow]; 2], runs: &Runs, tuned: &Tuned) -> Option<Self> {
        let first = compared.first()?;
        let [mut compared, tuning] = [arms(compared, runs), arms(tuning, runs)];
        let rate = |setting: &str| tuned.rate(&first.strategy, setting, first.budget);
        // One seed alone is luck.
        let tuning_seeds = Some(seeds(&tuning)).filter(|seeds| *seeds > 1).unwrap_or(0);
        let (at, is_at_the_edge) = match tuning_seeds {
            0 => by_merit(&compared)?,
            _ => by_tuning(&compared, &tuning, rate)?,
        };
        let choosing = if tuning_seeds == 0 { &compared } else { &tuning };
        let mut tried: Vec<Tried> = choosing.iter().map(Arm::tried).collect();
        let Arm { learning_rate, setting, runs, .. } = compared.swap_remove(at);
        tried.sort_by(|a, b| {
            a.setting.cmp(&b.setting).then(a.learning_rate.total_cmp(&b.learning_rate))
        });
        for tried in &mut tried {
            tried.is_chosen = tried.learning_rate == learning_rate && tried.setting == setting;
        }
        Some(Self { learning_rate, setting, is_at_the_edge, tuning_seeds, tried, runs })
    }
}

/// Trials of a strategy at one point.
struct Arm {
    learning_rate: f64,
    setting: String,
    trials: usize,
    lost: usize,
    runs: Vec<Run>,
}

impl Arm {
    fn tried(&self) -> Tried {
        let complete = || self.runs.iter().filter(|run| run.complete);
        Tried {
            learning_rate: self.learning_rate,
            setting: self.setting.clone(),
            trials: self.trials,
            complete: complete().count(),
            lost: self.lost,
            final_loss: interval(&by_seed(complete().map(|run| (run.replicate, run.last().loss)))),
            is_chosen: false,
        }
    }

    /// For choosing: more complete trials first, then the lower mean final loss.
    fn merit(&self) -> (usize, f64) {
        let finals: Vec<f64> =
            self.runs.iter().filter(|run| run.complete).map(|run| run.last().loss).collect();
        (finals.len(), -finals.iter().sum::<f64>() / finals.len().max(1) as f64)
    }
}

/// What was tried of a strategy, in the order of its trials.
fn arms(trials: &[&TrialRow], runs: &Runs) -> Vec<Arm> {
    let mut arms: Vec<Arm> = vec![];
    for trial in trials {
        let is_own =
            |arm: &Arm| arm.learning_rate == trial.learning_rate && arm.setting == trial.setting;
        let at = arms.iter().position(is_own).unwrap_or_else(|| {
            arms.push(Arm {
                learning_rate: trial.learning_rate,
                setting: trial.setting.clone(),
                trials: 0,
                lost: 0,
                runs: vec![],
            });
            arms.len() - 1
        });
        let arm = &mut arms[at];
        arm.trials += 1;
        arm.lost += usize::from(is_lost(trial));
        arm.runs.extend(runs.run(trial));
    }
    arms
}

fn seeds(arms: &[Arm]) -> usize {
    let complete = arms.iter().flat_map(|arm| &arm.runs).filter(|run| run.complete);
    complete.map(|run| run.replicate).collect::<BTreeSet<_>>().len()
}

/// The best of those with an evaluation, by its number, and whether its rate is at an edge; of equal
/// ones the lowest learning rate.
fn by_merit(compared: &[Arm]) -> Option<(usize, bool)> {
    let at = evaluated(compared).max_by(|a, b| better(&compared[*a], &compared[*b]))?;
    let own = compared.iter().filter(|arm| arm.setting == compared[at].setting);
    let rates = own.map(|arm| arm.learning_rate);
    Some((at, edge(compared[at].learning_rate, rates).is_some()))
}

/// Of the compared points with an evaluation, the number of the one nearest to what the tuning ones
/// prefer, and whether that rate is at an edge.
fn by_tuning(
    compared: &[Arm],
    tuning: &[Arm],
    rate: impl Fn(&str) -> Option<RateChoice>,
) -> Option<(usize, bool)> {
    let settings: BTreeSet<&str> =
        evaluated(compared).map(|at| compared[at].setting.as_str()).collect();
    let Preferred { nearest, rate, edge } = preferred(settings, tuning, rate)?;
    let own = |complete: usize| {
        let own = evaluated(compared).filter(|at| compared[*at].setting == nearest.setting);
        own.filter(move |at| compared[*at].merit().0 >= complete)
            .min_by(|a, b| off(&compared[*a], rate).total_cmp(&off(&compared[*b], rate)))
    };
    let at = own(1).or_else(|| own(0))?;
    Some((at, edge.is_some()))
}

/// What tuning trials prefer.
struct Preferred<'a> {
    /// The point of theirs that is nearest to it.
    nearest: &'a Arm,
    /// The best rate, which may lie between two.
    rate: f64,
    edge: Option<Edge>,
}

/// The best of some settings at its best `rate`. A setting without such a rate has the best of its
/// grid.
fn preferred<'a, 'b>(
    settings: impl IntoIterator<Item = &'b str>,
    tuning: &'a [Arm],
    rate: impl Fn(&str) -> Option<RateChoice>,
) -> Option<Preferred<'a>> {
    let best_of = |setting: &str| {
        let own = || tuning.iter().filter(|arm| arm.setting == setting);
        let on_grid = || {
            let rate = own().max_by(|a, b| better(a, b))?.learning_rate;
            Some(RateChoice { rate, edge: edge(rate, own().map(|arm| arm.learning_rate)) })
        };
        let RateChoice { rate, edge } = rate(setting).or_else(on_grid)?;
        // A point at which nothing came to its end says nothing, and beyond it nothing will.
        let complete = own().filter(|arm| arm.merit().0 > 0);
        let nearest = complete.min_by(|a, b| off(a, rate).total_cmp(&off(b, rate)))?;
        let edge = edge.filter(|edge| {
            !own().any(|arm| match edge {
                Edge::Lowest => arm.learning_rate < nearest.learning_rate,
                Edge::Highest => arm.learning_rate > nearest.learning_rate,
            })
        });
        Some(Preferred { nearest, rate, edge })
    };
    settings.into_iter().filter_map(best_of).max_by(|a, b| better(a.nearest, b.nearest))
}

/// What the trials of one arm that only tune say of where it is compared.
pub fn chosen(tuning: &[&TrialRow], runs: &Runs, tuned: &Tuned) -> Option<Chosen> {
    let first = tuning.first()?;
    let rate = |setting: &str| tuned.rate(&first.strategy, setting, first.budget);
    let tuning = arms(tuning, runs);
    let undecided = Chosen { point: None, edge: None, loss: f64::NAN };
    if seeds(&tuning) < 2 {
        return Some(undecided);
    }
    let settings: BTreeSet<&str> = tuning.iter().map(|arm| arm.setting.as_str()).collect();
    let Some(Preferred { nearest, edge, .. }) = preferred(settings, &tuning, rate) else {
        return Some(undecided);
    };
    let point =
        GridPoint { learning_rate: nearest.learning_rate, setting: nearest.setting.clone() };
    let loss = -nearest.merit().1;
    Some(Chosen { point: Some(point), edge, loss })
}

/// The numbers of those with an evaluation.
fn evaluated(arms: &[Arm]) -> impl Iterator<Item = usize> {
    (0..arms.len()).filter(|at| !arms[*at].runs.is_empty())
}

/// How far an arm's rate is from another, in logarithms.
fn off(arm: &Arm, rate: f64) -> f64 {
    (arm.learning_rate / rate).ln().abs()
}

fn better(a: &Arm, b: &Arm) -> std::cmp::Ordering {
    let ((n_a, loss_a), (n_b, loss_b)) = (a.merit(), b.merit());
    n_a.cmp(&n_b)
        .then(loss_a.total_cmp(&loss_b))
        .then(b.learning_rate.total_cmp(&a.learning_rate))
        .then_with(|| b.setting.cmp(&a.setting))
}

/// The end of several rates that one of them is at.
fn edge(rate: f64, rates: impl Iterator<Item = f64> + Clone) -> Option<Edge> {
    let is_lowest = rates.clone().all(|other| other >= rate);
    let is_highest = rates.clone().all(|other| other <= rate);
    match (is_lowest, is_highest) {
        (true, true) => None,
        (true, false) => Some(Edge::Lowest),
        (false, true) => Some(Edge::Highest),
        (false, false) => None,
    }
}

/// Whether a trial came to no end.
pub fn is_lost(trial: &TrialRow) -> bool {
    matches!(trial.state, TrialState::Diverged | TrialState::Failed)
}
