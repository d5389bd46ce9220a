//! A sweep's growing arms against the frontier of being born, at each of its budgets.

use std::collections::BTreeMap;

use outgrow_core::{
    rows::TrialRow,
    sweep::{BORN, BudgetUnit, SweepSpec, budget_text},
};
use serde::Serialize;

use crate::{
    cautions::Cautions,
    frontier::{ArmGap, BornEnd, Budget, Count, Counts, Frontier, GrownEnd, estimate},
    input::Input,
    runs::{Run, Runs},
    strategy::{Role, Strategy},
    tuned::Tuned,
};

/// The frontier of a sweep that has one.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Born {
    /// Of `budgets`.
    pub unit: BudgetUnit,
    /// In the unit, by their numbers in `frontier`.
    pub budgets: Vec<f64>,
    /// Vertices, law and gaps; arms are named as the strategies.
    pub frontier: Frontier,
    /// What a reader must know of its ends.
    #[serde(flatten)]
    pub cautions: Cautions,
}

impl Born {
    /// The frontier that the rows of a sweep draw; none without `[frontier]`, or before a born size
    /// is trained.
    pub fn of(input: &Input, runs: &Runs, tuned: &Tuned) -> Option<Self> {
        let mut budgets: Vec<f64> = input.trials.iter().filter_map(|trial| trial.budget).collect();
        budgets.sort_by(f64::total_cmp);
        budgets.dedup();
        let spec = SweepSpec::parse(&input.spec).ok()?.frontier?;
        let (mut born, mut grown, mut cautions) = (vec![], vec![], Cautions::default());
        for (number, budget) in budgets.iter().enumerate() {
            for arm in arms(input, *budget) {
                let Some(chosen) = Strategy::new(&arm, runs, tuned, [&arm.sweep; 2]) else {
                    continue;
                };
                let first = &arm.trials[0];
                let ends = || chosen.complete().map(move |run| (number, run));
                let repeats = input.text_tokens.is_some_and(|text| first.tokens > text);
                match Role::of(&first.kind) {
                    Role::Grown => grown.extend(ends().map(|end| grown_end(&arm.sweep, end))),
                    _ if first.kind == BORN => {
                        born.extend(ends().filter_map(|end| born_end(first, end, repeats)))
                    }
                    _ => continue,
                }
                cautions.take(&chosen, *budget, repeats);
            }
        }
        let frontier = (!born.is_empty()).then(|| estimate(&born, &grown, Count::default()))?;
        cautions.may_repeat = spec.allow_repeats && input.text_tokens.is_none();
        Some(Self { unit: spec.unit, budgets, frontier, cautions })
    }

    /// The budget of a number, in words.
    pub fn budget(&self, number: usize) -> String {
        budget_text(self.budgets[number])
    }

    /// Budgets in order, with what was found at each.
    pub fn vertices(&self) -> impl Iterator<Item = (String, &Budget)> {
        self.frontier.budgets.iter().map(|budget| (self.budget(budget.budget), budget))
    }

    /// Arms and budgets in order, with what was found of each.
    pub fn gaps(&self) -> impl Iterator<Item = (String, &ArmGap)> {
        self.frontier.gaps.iter().map(|gap| (self.budget(gap.budget), gap))
    }
}

/// The trials of each strategy at one budget, each as rows of their own, named as the strategy.
fn arms(input: &Input, budget: f64) -> Vec<Input> {
    let mut arms: BTreeMap<usize, Vec<TrialRow>> = BTreeMap::new();
    let mut order: Vec<&str> = vec![];
    for trial in input.trials.iter().filter(|trial| trial.budget == Some(budget)) {
        let place = order.iter().position(|name| *name == trial.strategy).unwrap_or_else(|| {
            order.push(&trial.strategy);
            order.len() - 1
        });
        arms.entry(place).or_default().push(trial.clone());
    }
    let arm = |(place, trials): (usize, Vec<TrialRow>)| Input {
        sweep: order[place].to_owned(),
        id: String::new(),
        spec: String::new(),
        words: input.words.clone(),
        data: String::new(),
        text_tokens: input.text_tokens,
        environments: vec![],
        trials,
        curves: vec![],
        growths: vec![],
    };
    arms.into_iter().map(arm).collect()
}

fn grown_end(arm: &str, (budget, run): (usize, &Run)) -> GrownEnd {
    let (end, seed) = (run.last(), run.replicate);
    GrownEnd { arm: arm.to_owned(), budget, flops: end.train_flops, seed, loss: end.loss }
}

fn born_end(trial: &TrialRow, (budget, run): (usize, &Run), repeated: bool) -> Option<BornEnd> {
    let (size, end) = (trial.phases.first()?, run.last());
    let counts = Counts {
        non_embedding: size.non_embedding as f64,
        with_unembedding: size.with_unembedding as f64,
        all: size.parameters as f64,
    };
    Some(BornEnd {
        size: trial.strategy.rsplit('_').next()?.parse().ok()?,
        counts,
        budget,
        flops: end.train_flops,
        tokens: end.tokens,
        seed: run.replicate,
        loss: end.loss,
        repeated,
    })
}
