//! The ends of a sweep with a frontier, as its figures show them.

use outgrow_core::rows::TrialRow;

use crate::{
    frontier::{BornEnd, Estimator, GrownEnd, Parabola},
    interval::{Interval, by_seed, interval},
};

/// What the figures of a frontier are drawn from.
#[derive(Clone, Debug, PartialEq)]
pub struct Ends {
    /// Every born end, those with repeated text included.
    pub born: Vec<BornEnd>,
    /// Every growing arm at each of its budgets.
    pub grown: Vec<GrownMean>,
    /// FLOPs, and L* there.
    pub line: Vec<(f64, Interval)>,
    /// In order of compute.
    pub parabolas: Vec<Parabola>,
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
    pub fn new(estimator: &Estimator, born: Vec<BornEnd>, grown: &[(GrownEnd, f64)]) -> Self {
        let same = |a: &(GrownEnd, f64), b: &(GrownEnd, f64)| {
            (a.0.budget, &a.0.arm) == (b.0.budget, &b.0.arm)
        };
        Self {
            born,
            grown: grown.chunk_by(same).filter_map(mean).collect(),
            line: estimator.line(),
            parabolas: estimator.parabolas(),
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

/// Mean parameters (without embeddings, with the unembedding) of a trial over its training FLOPs.
pub fn mean_size(trial: &TrialRow) -> f64 {
    let spent = spent(trial);
    let all: f64 = spent.iter().map(|(_, flops)| flops).sum();
    spent.iter().map(|(n, flops)| n * flops / all).sum()
}

/// Parameters of each phase, and what is spent at it.
fn spent(trial: &TrialRow) -> Vec<(f64, f64)> {
    let starts = trial.phases.iter().skip(1).map(|phase| phase.tokens);
    let phase = |(phase, end): (&outgrow_core::plan::Phase, u64)| {
        let tokens = end.min(trial.tokens).saturating_sub(phase.tokens);
        (phase.with_unembedding as f64, tokens as f64 * phase.sequence_flops as f64)
    };
    trial.phases.iter().zip(starts.chain([trial.tokens])).map(phase).collect()
}
