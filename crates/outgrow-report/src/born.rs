//! A sweep's growing arms against the frontier of being born, at each of its budgets.

use std::collections::BTreeMap;

use outgrow_core::{
    plan::mean_size,
    rows::TrialRow,
    sweep::{BORN, BudgetUnit, SweepSpec},
};
use serde::Serialize;

use crate::{
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
    /// Born sizes and arms whose best learning rate is at an edge of the grid at some budget.
    pub at_the_edge: Vec<String>,
    /// How many seeds, which nothing else uses, chose the learning rates; 0 where those did that are
    /// compared.
    pub tuning_seeds: usize,
    /// Born sizes and arms whose rate those that are compared chose all the same.
    pub untuned: Vec<String>,
    /// Whether trials may have repeated their text, which bends the frontier upwards.
    pub may_repeat: bool,
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
    edges: Vec<String>,
    tuning_seeds: usize,
    untuned: Vec<String>,
    same_tokens: Vec<(String, usize, Gap)>,
}

impl Found {
    /// An arm at the budget of this number; controls are no part of a frontier.
    fn add(&mut self, number: usize, chosen: &Strategy, arm: &Input) {
        let first = &arm.trials[0];
        let ends = || chosen.complete().map(move |run| (number, run));
        match chosen.role {
            Role::Grown => self.grown.extend(ends().map(|end| grown_end(arm, end))),
            _ if first.kind == BORN => {
                self.born.extend(ends().filter_map(|end| born_end(first, end)));
            }
            _ => return,
        }
        self.tuning_seeds = self.tuning_seeds.max(chosen.tuning_seeds);
        if chosen.tuning_seeds == 0 && !self.untuned.contains(&arm.sweep) {
            self.untuned.push(arm.sweep.clone());
        }
        if chosen.is_at_the_edge && !self.edges.contains(&arm.sweep) {
            self.edges.push(arm.sweep.clone());
        }
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
            chosen.iter().for_each(|(strategy, arm)| found.add(number, strategy, arm));
            if own != Some(number) {
                let strategies: Vec<Strategy> = chosen.into_iter().map(|(own, _)| own).collect();
                found.same_tokens.extend(at_equal_tokens(number, &strategies));
            }
        }
        let Found { born, grown, edges, tuning_seeds, mut untuned, same_tokens } = found;
        if born.is_empty() {
            return None;
        }
        if tuning_seeds == 0 {
            untuned.clear();
        }
        let estimator = Estimator::new(&born, Count::default());
        let all: Vec<GrownEnd> = grown.iter().map(|(end, _)| end.clone()).collect();
        let frontier = estimator.frontier(&all);
        let ends = Ends { same_tokens, ..Ends::new(input, &estimator, born, &grown) };
        Some(Self {
            unit: spec.unit,
            budgets,
            frontier,
            at_the_edge: edges,
            tuning_seeds,
            untuned,
            may_repeat: spec.allow_repeats,
            own,
            ends,
        })
    }

    /// The budget of a number, in words.
    pub fn budget(&self, number: usize) -> String {
        outgrow_core::sweep::budget_text(self.budgets[number])
    }

    /// A sentence on which seeds chose the learning rates.
    pub fn chosen_on(&self) -> String {
        let but = match self.untuned.is_empty() {
            true => String::new(),
            false => format!(
                ", but those of {} on the seeds that are compared, for want of such trials",
                self.untuned.join(", ")
            ),
        };
        match self.tuning_seeds {
            0 => "Learning rates are the best of the grid on the seeds that are compared.".into(),
            n => format!(
                "Learning rates were chosen on {n} seeds of their own, which are in no comparison{but}."
            ),
        }
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
        environments: vec![],
        trials,
        curves: vec![],
        growths: vec![],
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
fn grown_end(arm: &Input, (budget, run): (usize, &Run)) -> (GrownEnd, f64) {
    let (end, seed) = (run.last(), run.replicate);
    let is_it = |trial: &&TrialRow| (trial.plan, trial.replicate) == (run.plan, run.replicate);
    let trial = arm.trials.iter().find(is_it);
    let size = trial.map_or(f64::NAN, |trial| mean_size(&trial.phases, trial.tokens));
    let arm = arm.sweep.clone();
    (GrownEnd { arm, budget, flops: end.train_flops, seed, loss: end.loss }, size)
}

fn born_end(trial: &TrialRow, (budget, run): (usize, &Run)) -> Option<BornEnd> {
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
        repeated: false,
    })
}
