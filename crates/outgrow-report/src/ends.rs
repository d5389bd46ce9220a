//! The ends of a sweep with a frontier, as its figures show them.

use outgrow_core::{plan::causal_share, sweep::BORN};

use crate::{
    comparison::Gap,
    frontier::{BornEnd, Estimator, GrownEnd, Parabola},
    input::Input,
    interval::{Interval, by_seed, interval},
    unit::LossUnit,
};

/// What the figures of a frontier are drawn from.
#[derive(Clone, Debug, PartialEq)]
pub struct Ends {
    /// Of losses.
    pub unit: LossUnit,
    /// Every born end, those with repeated text included.
    pub born: Vec<BornEnd>,
    /// Every growing arm at each of its budgets.
    pub grown: Vec<GrownMean>,
    /// FLOPs, and L* there.
    pub line: Vec<(f64, Interval)>,
    /// In order of compute.
    pub parabolas: Vec<Parabola>,
    /// Names of born sizes, their parameters, and the share of their FLOPs that is left if causal
    /// attention is counted as causal.
    pub causal: Vec<(String, f64, f64)>,
    /// Of arms at budgets other than that of `training.tokens`: their losses minus those of the
    /// target size with as many tokens, corrected for all of a budget.
    pub same_tokens: Vec<(String, usize, Gap)>,
}

/// A growing arm at one budget.
#[derive(Clone, Debug, PartialEq)]
pub struct GrownMean {
    /// Its name in the sweep.
    pub arm: String,
    /// The budget's number in the rows.
    pub budget: usize,
    /// The geometric mean of its ends.
    pub flops: f64,
    /// Over seeds.
    pub loss: Interval,
    /// Mean parameters (without embeddings, with the unembedding), each weighted by the FLOPs that
    /// were spent at it.
    pub size: f64,
}

impl Ends {
    /// Ends of growing arms with their mean sizes.
    pub fn new(
        input: &Input,
        estimator: &Estimator,
        born: Vec<BornEnd>,
        grown: &[(GrownEnd, f64)],
    ) -> Self {
        let same = |a: &(GrownEnd, f64), b: &(GrownEnd, f64)| {
            (a.0.budget, &a.0.arm) == (b.0.budget, &b.0.arm)
        };
        Self {
            unit: input.unit,
            born,
            grown: grown.chunk_by(same).filter_map(mean).collect(),
            line: estimator.line(),
            parabolas: estimator.parabolas(),
            causal: causal(input),
            same_tokens: vec![],
        }
    }
}

/// Of the ends of one arm at one budget.
fn mean(ends: &[(GrownEnd, f64)]) -> Option<GrownMean> {
    let usable = || ends.iter().filter(|(end, _)| end.is_usable());
    let n = usable().count() as f64;
    let first = &ends.first()?.0;
    Some(GrownMean {
        arm: first.arm.clone(),
        budget: first.budget,
        flops: (usable().map(|(end, _)| end.flops.ln()).sum::<f64>() / n).exp(),
        loss: interval(&by_seed(usable().map(|(end, _)| (end.seed, end.loss))))?,
        size: usable().map(|(_, size)| size).sum::<f64>() / n,
    })
}

fn causal(input: &Input) -> Vec<(String, f64, f64)> {
    let mut sizes: Vec<(String, f64, f64)> = vec![];
    for trial in input.trials.iter().filter(|trial| trial.kind == BORN) {
        let Some(size) = trial.phases.first() else { continue };
        if !sizes.iter().any(|(name, ..)| *name == trial.strategy) {
            let share = causal_share(&trial.phases, trial.tokens);
            sizes.push((trial.strategy.clone(), size.parameters as f64, share));
        }
    }
    sizes
}
