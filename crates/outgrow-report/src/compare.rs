//! Comparing a strategy with the controls, seed by seed.

use std::collections::BTreeMap;

use crate::{
    comparison::{Comparison, Gap, Saving},
    interval::{Interval, by_seed, interval},
    runs::{Cost, Run},
    strategy::{Role, Strategy},
    tested::Tested,
};

/// Budgets that differ by less than this count as equal: whole optimizer steps can't meet them
/// better.
const EQUAL: f64 = 0.03;

/// Compares a strategy with the control, and with whatever has its budget.
pub fn compare(strategy: &Strategy, control: &Strategy, all: &[Strategy]) -> Comparison {
    let savings: Vec<Saving> = strategy
        .complete()
        .filter_map(|run| saving(run, control.of_seed(run.replicate)?))
        .collect();
    let per_seed = |of: fn(&Saving) -> f64| by_seed(savings.iter().map(|s| (s.replicate, of(s))));
    let possible = [f64::NEG_INFINITY, 1.0];
    let over_seeds = |of: fn(&Saving) -> f64| Some(interval(&per_seed(of))?.within(possible));
    let all_reached = savings.iter().all(|saving| saving.reached);
    let test = Tested::of(&per_seed(|s| s.compute)).filter(|_| all_reached);
    Comparison {
        loss_difference: difference(strategy, control),
        reached: [savings.iter().filter(|s| s.reached).count(), savings.len()],
        compute: over_seeds(|s| s.compute),
        sunk: over_seeds(|s| s.sunk),
        six_nd: over_seeds(|s| s.six_nd),
        tokens: over_seeds(|s| s.tokens),
        wall: over_seeds(|s| s.wall),
        test: test.filter(|test| test.p.is_some()),
        same_flops: equal(strategy, all, |s| s.train_flops),
        same_tokens: same_tokens(strategy, all),
        best_fixed_size: best_fixed_size(strategy, all),
        savings,
    }
}

fn saving(run: &Run, control: &Run) -> Option<Saving> {
    let target = control.last().loss;
    let reached = run.reaches(Cost::TrainFlops, target).is_some();
    let of = |cost: Cost| {
        // Whoever has not reached it has spent all that it had, and would have to spend more.
        let spent = run.reaches(cost, target).unwrap_or_else(|| cost.of(run.last()));
        Some(1.0 - spent / control.reaches(cost, target)?)
    };
    Some(Saving {
        plan: run.plan,
        replicate: run.replicate,
        reached,
        on_the_way: run.is_early(target),
        compute: of(Cost::TrainFlops)?,
        sunk: of(Cost::SunkFlops)?,
        six_nd: of(Cost::SixNd)?,
        tokens: of(Cost::Tokens)?,
        wall: of(Cost::WallSeconds)?,
    })
}

/// Mean difference of final losses over the seeds that both have.
pub fn difference(strategy: &Strategy, control: &Strategy) -> Option<Tested> {
    Tested::of(&paired(&strategy.losses(), &control.losses()))
}

/// Differences of values, seed by seed, where both have one.
pub fn paired(own: &BTreeMap<usize, f64>, base: &BTreeMap<usize, f64>) -> BTreeMap<usize, f64> {
    own.iter().filter_map(|(seed, value)| Some((*seed, value - base.get(seed)?))).collect()
}

/// The gap to the target size with as many tokens; none where there is no such control.
pub fn same_tokens(strategy: &Strategy, all: &[Strategy]) -> Option<Gap> {
    equal(strategy, all, |strategy| strategy.tokens)
}

/// The gap to the control of the target size whose budget is nearest, if it is near enough.
fn equal(
    strategy: &Strategy,
    all: &[Strategy],
    budget: fn(&Strategy) -> Option<Interval>,
) -> Option<Gap> {
    let own = budget(strategy)?.mean;
    let off = |other: &&Strategy| {
        budget(other).map_or(f64::INFINITY, |theirs| (theirs.mean / own - 1.0).abs())
    };
    let controls = all.iter().filter(|other| matches!(other.role, Role::Control | Role::Annealed));
    let nearest =
        controls.min_by(|a, b| off(a).total_cmp(&off(b))).filter(|other| off(other) <= EQUAL)?;
    Some(Gap { against: nearest.name.clone(), difference: difference(strategy, nearest)? })
}

/// The gap to the best of all sizes that never grow and cost as much; none where only the target
/// size was tried.
fn best_fixed_size(strategy: &Strategy, all: &[Strategy]) -> Option<Gap> {
    let own = strategy.train_flops?.mean;
    let near = |other: &&Strategy| {
        other.train_flops.is_some_and(|theirs| (theirs.mean / own - 1.0).abs() <= EQUAL)
    };
    let fixed: Vec<&Strategy> =
        all.iter().filter(|other| other.role != Role::Grown).filter(near).collect();
    if fixed.iter().all(|other| other.role != Role::FixedSize) {
        return None;
    }
    let loss = |other: &Strategy| other.final_loss.map_or(f64::INFINITY, |loss| loss.mean);
    let best = fixed.into_iter().min_by(|a, b| loss(a).total_cmp(&loss(b)))?;
    Some(Gap { against: best.name.clone(), difference: difference(strategy, best)? })
}
