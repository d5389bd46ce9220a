//! What a strategy saves against the controls, seed by seed.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::{
    Interval,
    analysis::{Cost, Role, Run, Strategy, by_seed, interval},
    interval::{holm, p_value, seeds_needed},
};

/// Budgets that differ by less than this count as equal: whole optimizer steps can't meet them
/// better.
const EQUAL: f64 = 0.03;

/// A strategy against the control, seed by seed. A trial that never reached the control's loss is
/// censored: it counts with the most that it can have saved, and the means that it is in are upper
/// bounds.
#[derive(Clone, Debug, Serialize)]
pub struct Comparison {
    /// Final loss minus the control's, under the same seed.
    pub loss_difference: Option<Interval>,
    /// What each trial saved.
    pub savings: Vec<Saving>,
    /// Complete trials that reached the control's final loss, and all complete trials.
    pub reached: [usize; 2],
    /// Compute saved on the way to the control's final loss, as a fraction, every FLOP since the
    /// smallest model counted (all-in).
    pub compute: Option<Interval>,
    /// The same with the model before its first growth for free (sunk).
    pub sunk: Option<Interval>,
    /// The same as `compute`, with compute counted as 6 × parameters without embeddings × tokens.
    pub six_nd: Option<Interval>,
    /// Tokens saved likewise.
    pub tokens: Option<Interval>,
    /// Wall time saved likewise.
    pub wall: Option<Interval>,
    /// Of the test that `compute` is zero.
    pub p: Option<f64>,
    /// The same, corrected for the number of strategies (Holm).
    pub p_corrected: Option<f64>,
    /// With how many seeds this saving would be found four times out of five.
    pub seeds_needed: Option<usize>,
    /// Final loss minus that of the target size with the same compute, its schedule annealed to
    /// that budget.
    pub same_flops: Option<Gap>,
    /// Final loss minus that of the target size with the same tokens.
    pub same_tokens: Option<Gap>,
    /// Final loss minus that of the best size that never grows, with the same compute.
    pub best_fixed_size: Option<Gap>,
}

/// A difference of final losses, seed by seed.
#[derive(Clone, Debug, Serialize)]
pub struct Gap {
    /// The control.
    pub against: String,
    /// The strategy's loss minus the control's.
    pub difference: Interval,
}

/// What one trial saved on the way to its control's final loss.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Saving {
    /// Which plan.
    pub plan: usize,
    /// Which seed.
    pub replicate: usize,
    /// Whether it reached that loss. If not, the numbers are the most that it can have saved.
    pub reached: bool,
    /// Fraction of the control's FLOPs saved.
    pub compute: f64,
    /// With the source model for free.
    pub sunk: f64,
    /// With compute counted as 6ND.
    pub six_nd: f64,
    /// Fraction of the control's tokens.
    pub tokens: f64,
    /// Fraction of the control's wall time.
    pub wall: f64,
}

impl Comparison {
    /// Compares a strategy with the control, and with whatever has its budget.
    pub fn new(strategy: &Strategy, control: &Strategy, all: &[Strategy]) -> Self {
        let savings: Vec<Saving> = strategy
            .complete()
            .filter_map(|run| saving(run, control.of_seed(run.replicate)?))
            .collect();
        let per_seed =
            |of: fn(&Saving) -> f64| by_seed(savings.iter().map(|s| (s.replicate, of(s))));
        let over_seeds = |of: fn(&Saving) -> f64| interval(&per_seed(of));
        let compute: Vec<f64> = per_seed(|s| s.compute).into_values().collect();
        Self {
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

    /// Whether some trial never reached the control's loss: the savings are upper bounds then.
    pub fn is_censored(&self) -> bool {
        self.reached[0] < self.reached[1]
    }

    /// Whether the saving is told from zero, all strategies asked at once.
    pub fn is_significant(&self) -> bool {
        self.p_corrected.is_some_and(|p| p <= 0.05)
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

/// A group of strategies that grow by the same plans under different policies.
#[derive(Clone, Debug, Serialize)]
pub struct Ablation {
    /// The strategy that the others are compared with: the first of them in the sweep file.
    pub base: String,
    /// All of them, the first included.
    pub rows: Vec<AblationRow>,
}

/// One policy of an ablation.
#[derive(Clone, Debug, Serialize)]
pub struct AblationRow {
    /// The strategy.
    pub strategy: String,
    /// Initializer, optimizer and learning rate at growth.
    pub policy: [String; 3],
    /// Its final loss.
    pub final_loss: Option<Interval>,
    /// Its final loss minus the first one's, seed by seed; none for the first.
    pub difference: Option<Interval>,
    /// Its saving minus the first one's, seed by seed.
    pub saving_difference: Option<Interval>,
}

/// Finds the ablations of a sweep.
pub fn ablations(strategies: &[Strategy]) -> Vec<Ablation> {
    let grown: Vec<&Strategy> = strategies.iter().filter(|s| s.role == Role::Grown).collect();
    let mut groups: Vec<Vec<&Strategy>> = vec![];
    for strategy in grown {
        match groups.iter_mut().find(|group| group[0].plan_ids == strategy.plan_ids) {
            Some(group) => group.push(strategy),
            None => groups.push(vec![strategy]),
        }
    }
    groups.retain(|group| group.iter().map(|s| &s.policy).collect::<BTreeSet<_>>().len() > 1);
    groups.iter().map(|group| ablation(group)).collect()
}

fn ablation(group: &[&Strategy]) -> Ablation {
    let base = group[0];
    let savings = |strategy: &Strategy| {
        let savings = strategy
            .comparison
            .iter()
            .flat_map(|c| c.savings.iter().map(|s| (s.replicate, s.compute)));
        by_seed(savings)
    };
    let row = |strategy: &&Strategy| {
        let other = (strategy.name != base.name).then_some(strategy);
        let of_base = savings(base);
        let saved = |s: &&&Strategy| {
            let pairs = savings(s)
                .into_iter()
                .filter_map(|(seed, value)| Some((seed, value - of_base.get(&seed)?)));
            interval(&pairs.collect())
        };
        AblationRow {
            strategy: strategy.name.clone(),
            policy: strategy.policy.clone(),
            final_loss: strategy.final_loss,
            difference: other.and_then(|s| difference(s, base)),
            saving_difference: other.as_ref().and_then(saved),
        }
    };
    Ablation { base: base.name.clone(), rows: group.iter().map(row).collect() }
}
