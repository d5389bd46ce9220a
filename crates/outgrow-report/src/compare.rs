//! Comparing a strategy with the controls, seed by seed.

use std::collections::BTreeMap;

use crate::{
    comparison::{Comparison, Gap, Saving},
    interval::{Interval, by_seed, holm, interval, p_value, seeds_needed},
    runs::{Cost, Run},
    strategy::{Role, Strategy},
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
    let over_seeds = |of: fn(&Saving) -> f64| interval(&per_seed(of));
    // Of bounds there is no test.
    let all_reached = savings.iter().all(|saving| saving.reached);
    let compute = if all_reached { per_seed(|s| s.compute) } else { BTreeMap::new() };
    let compute: Vec<f64> = compute.into_values().collect();
    Comparison {
        loss_difference: difference(strategy, control),
        reached: [savings.iter().filter(|s| s.reached).count(), savings.len()],
        compute: over_seeds(|s| s.compute),
        sunk: over_seeds(|s| s.sunk),
        six_nd: over_seeds(|s| s.six_nd),
        tokens: over_seeds(|s| s.tokens),
        wall: over_seeds(|s| s.wall),
        p: p_value(&compute),
        p_corrected: None,
        seeds_needed: seeds_needed(&compute),
        same_flops: equal(strategy, all, |s| s.train_flops),
        same_tokens: equal(strategy, all, |s| s.tokens),
        best_fixed_size: best_fixed_size(strategy, all),
        savings,
    }
}

/// Corrects the strategies' p-values for their number.
pub fn correct(strategies: &mut [Strategy]) {
    let p_values: Vec<f64> = strategies
        .iter()
        .filter_map(|s| s.comparison.as_ref().filter(|_| s.role == Role::Grown)?.p)
        .collect();
    let mut corrected = holm(&p_values).into_iter();
    for strategy in strategies.iter_mut().filter(|strategy| strategy.role == Role::Grown) {
        if let Some(comparison) =
            strategy.comparison.as_mut().filter(|comparison| comparison.p.is_some())
        {
            comparison.p_corrected = corrected.next();
        }
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
        compute: of(Cost::TrainFlops)?,
        sunk: of(Cost::SunkFlops)?,
        six_nd: of(Cost::SixNd)?,
        tokens: of(Cost::Tokens)?,
        wall: of(Cost::WallSeconds)?,
    })
}

/// Mean difference of final losses over the seeds that both have.
pub fn difference(strategy: &Strategy, control: &Strategy) -> Option<Interval> {
    let base: BTreeMap<usize, f64> =
        by_seed(control.complete().map(|run| (run.replicate, run.last().loss)));
    let own = by_seed(strategy.complete().map(|run| (run.replicate, run.last().loss)));
    interval(
        &own.into_iter().filter_map(|(seed, loss)| Some((seed, loss - base.get(&seed)?))).collect(),
    )
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
