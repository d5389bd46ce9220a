//! A sweep's growing arms against the frontier of being born, at each of its budgets.

use std::collections::BTreeMap;

use outgrow_core::{
    plan::mean_size,
    rows::TrialRow,
    sweep::{BORN, BudgetUnit, SweepSpec, budget_text, check_of},
};
use serde::Serialize;

use crate::{
    cautions::Cautions,
    checks::{Check, checks},
    compare::same_tokens,
    comparison::Gap,
    ends::Ends,
    frontier::{ArmGap, BornEnd, Budget, Count, Counts, Estimator, Frontier, GrownEnd},
    input::Input,
    own_budget::own_budget,
    runs::{Run, Runs},
    strategy::{Role, Strategy},
    tested,
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
    /// What was tried beside some sizes.
    pub checks: Vec<Check>,
    /// The number of that of `training.tokens`.
    pub own: Option<usize>,
    /// What its figures are drawn from.
    #[serde(skip)]
    pub ends: Ends,
}

/// What is found arm by arm.
#[derive(Default)]
struct Found {
    born: Vec<BornEnd>,
    /// With the mean size of each.
    grown: Vec<(GrownEnd, f64)>,
    cautions: Cautions,
    checks: Vec<Check>,
    same_tokens: Vec<(String, usize, Gap)>,
}

impl Found {
    /// An arm at the budget of this number; controls are no part of a frontier.
    fn add(&mut self, (number, budget): (usize, f64), chosen: &Strategy, arm: &Input) {
        let taken = |name: &str| {
            let mut own = self.checks.iter().filter(|check| check.budget == budget);
            own.find(|check| check.is_taken && check.size == name)
        };
        let size = match check_of(&chosen.name) {
            Some((size, tried)) if taken(size).is_some_and(|check| check.tried == tried) => size,
            _ if taken(&chosen.name).is_some() => return,
            _ => &chosen.name,
        };
        let first = &arm.trials[0];
        let text = arm.text_tokens.unwrap_or(u64::MAX);
        let mut judged = arm.trials.iter().filter(|trial| chosen.is_judged_by(trial));
        let repeats = judged.any(|trial| trial.tokens > text);
        let ends = || chosen.complete().map(move |run| (number, run));
        match chosen.role {
            Role::Grown => self.grown.extend(ends().map(|end| grown_end(chosen, arm, end))),
            _ if first.kind == BORN || size != chosen.name => {
                self.born.extend(ends().filter_map(|end| born_end((size, first), end, repeats)));
            }
            _ => return,
        }
        self.cautions.take(chosen, budget, repeats);
    }
}

impl Born {
    /// The frontier that the rows of a sweep draw; none without `[frontier]`, or before a born size
    /// is trained.
    pub fn of(input: &Input, runs: &Runs, tuned: &Tuned) -> Option<Self> {
        let mut budgets: Vec<f64> = input.trials.iter().filter_map(|trial| trial.budget).collect();
        budgets.sort_by(f64::total_cmp);
        budgets.dedup();
        let spec = SweepSpec::parse(&input.spec).ok()?.frontier?;
        let own = own_budget(input);
        let own = budgets.iter().position(|budget| Some(*budget) == own);
        let mut found = Found::default();
        for (number, budget) in budgets.iter().enumerate() {
            let arms = arms(input, *budget).into_iter();
            let chosen = arms
                .filter_map(|arm| Some((Strategy::new(&arm, runs, tuned, [&arm.sweep; 2])?, arm)));
            let chosen: Vec<(Strategy, Input)> = chosen.collect();
            found.checks.extend(checks(*budget, &chosen));
            chosen.iter().for_each(|(strategy, arm)| found.add((number, *budget), strategy, arm));
            if own != Some(number) {
                let strategies: Vec<Strategy> = chosen.into_iter().map(|(own, _)| own).collect();
                found.same_tokens.extend(at_equal_tokens(number, &strategies));
            }
        }
        let Found { born, grown, mut cautions, checks, same_tokens } = found;
        if born.is_empty() {
            return None;
        }
        cautions.may_repeat = spec.allow_repeats && input.text_tokens.is_none();
        let estimator = Estimator::new(&born, Count::default());
        let all: Vec<GrownEnd> = grown.iter().map(|(end, _)| end.clone()).collect();
        let frontier = estimator.frontier(&all);
        let vertices =
            frontier.budgets.iter().filter_map(|found| Some((found, found.vertex.as_ref().ok()?)));
        cautions.undercut = vertices
            .filter_map(|(found, vertex)| {
                Some((budget_text(budgets[found.budget]), vertex.undercut?))
            })
            .collect();
        let ends = Ends { same_tokens, ..Ends::new(input, &estimator, born, &grown) };
        Some(Self { unit: spec.unit, budgets, frontier, cautions, checks, own, ends })
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
        evaluated: None,
        tokenizer: None,
        unit: input.unit,
        text_tokens: input.text_tokens,
        environments: vec![],
        trials,
        curves: vec![],
        growths: vec![],
        searched: None,
        promises: vec![],
    };
    arms.into_iter().map(arm).collect()
}

/// Each growing arm at a budget against the target size with as many tokens.
fn at_equal_tokens(budget: usize, all: &[Strategy]) -> Vec<(String, usize, Gap)> {
    let grown = all.iter().filter(|strategy| strategy.role == Role::Grown);
    let gap =
        |strategy: &Strategy| Some((strategy.name.clone(), budget, same_tokens(strategy, all)?));
    let mut gaps: Vec<_> = grown.filter_map(gap).collect();
    tested::correct(gaps.iter_mut().map(|(_, _, gap)| &mut gap.difference));
    gaps
}

/// With its mean size.
fn grown_end(chosen: &Strategy, arm: &Input, (budget, run): (usize, &Run)) -> (GrownEnd, f64) {
    let (end, seed) = (run.last(), run.replicate);
    let is_it = |trial: &&TrialRow| (trial.plan, trial.replicate) == (run.plan, run.replicate);
    let trial = arm.trials.iter().filter(|trial| chosen.is_judged_by(trial)).find(is_it);
    let size = trial.map_or(f64::NAN, |trial| mean_size(&trial.phases, trial.tokens));
    let arm = arm.sweep.clone();
    (GrownEnd { arm, budget, flops: end.train_flops, seed, loss: end.loss }, size)
}

fn born_end(
    (name, trial): (&str, &TrialRow),
    (budget, run): (usize, &Run),
    repeated: bool,
) -> Option<BornEnd> {
    let (size, end) = (trial.phases.first()?, run.last());
    let counts = Counts {
        non_embedding: size.non_embedding as f64,
        with_unembedding: size.with_unembedding as f64,
        all: size.parameters as f64,
    };
    Some(BornEnd {
        size: name.rsplit('_').next()?.parse().ok()?,
        counts,
        budget,
        flops: end.train_flops,
        tokens: end.tokens,
        seed: run.replicate,
        loss: end.loss,
        repeated,
    })
}
