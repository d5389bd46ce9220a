//! What a sweep file means and what it would cost, before anything is trained.

mod advice;
mod disk;
mod frontier;
mod known;
mod passes;
mod stages;
mod tree;
mod words;

use std::collections::{BTreeMap, HashSet};

use outgrow_core::{
    Architecture, Stage, Sweep, Trial, TrialState,
    flops::forward_flops,
    model::n_parameters,
    plan::causal_share,
    sweep::{
        LOOK, Member, SharedPrefix, in_order,
        memory::{self, Backward},
        shared_prefixes,
    },
};
use outgrow_data::{Listener, Summary};
use outgrow_store::TrialProgress;
use serde::{Serialize, Serializer};

use self::known::Known;
pub(crate) use self::stages::{growths, plan_name};
pub use self::{disk::DiskUse, frontier::FrontierCost, passes::Passes, tree::Branch};
use crate::{error::Error, sweep_file::SweepFile, workspace::Workspace};

/// A sweep, its text and its trials. As JSON: every trial with its plan.
#[derive(Clone, Debug)]
pub struct Plan {
    sweep: Sweep,
    text: Summary,
    members: Vec<Member>,
    known: Known,
}

/// What the trials of one strategy, or of one kind of control, are.
#[derive(Clone, Debug, PartialEq)]
pub struct StrategyCost {
    /// The name that the sweep gives it.
    pub strategy: String,
    /// How many trials.
    pub trials: usize,
    /// Fewest and most growths of a trial.
    pub stages: [usize; 2],
    /// Fewest parameters that a trial begins with, and most that one ends with.
    pub parameters: [u64; 2],
    /// Fewest and most training tokens of a trial.
    pub tokens: [u64; 2],
    /// Training FLOPs of all.
    pub train_flops: f64,
}

/// What a sweep costs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Cost {
    /// How many trials; plans that are equal, and controls that are a size of the frontier, are one.
    pub trials: usize,
    /// How many of them only choose learning rates and settings, on seeds of their own.
    pub tuning: usize,
    /// How many only look how good a growth is after a while.
    pub looks: usize,
    /// Training FLOPs of all trials, each trained from its first step.
    pub train_flops: f64,
    /// The same with causal attention counted as causal; no budget counts it so.
    pub causal_flops: f64,
    /// How many trials share a prefix with an earlier one.
    pub sharing: usize,
    /// Training FLOPs that this saves; where seeds that only tune have yet to choose, if all budgets
    /// of an arm choose alike.
    pub saved_flops: f64,
    /// How much less it saves at worst, if no two choose alike.
    pub unsure_flops: f64,
    /// How many trials the database has complete.
    pub complete: usize,
    /// Training FLOPs that are left to spend, shared prefixes trained once.
    pub left_flops: f64,
    /// FLOPs of the evaluations that are left: no budget counts them, the clock does.
    pub evaluation_flops: f64,
    /// Memory of a worker, predicted for autograd (as on a GPU), in bytes.
    pub worker_bytes: u64,
}

impl Workspace {
    /// Reads the text of a sweep, samples its plans, and looks up which of its trials are trained.
    /// `tell` hears what is being done.
    ///
    /// # Errors
    /// If the text is refused, or a strategy can't be sampled.
    pub fn plan(
        &self,
        file: &SweepFile,
        listener: &dyn Listener,
        tell: &dyn Fn(String),
    ) -> Result<Plan, Error> {
        let text = self.survey(file, listener)?;
        tell("sampling all plans".into());
        let all = file.members(&text.digest)?;
        let known = self.known(file.sweep(), &text.digest, &all)?;
        let members = known.expected(file.sweep(), all);
        Ok(Plan { sweep: file.sweep().clone(), text, members, known })
    }
}

impl Plan {
    /// The sweep.
    pub fn sweep(&self) -> &Sweep {
        &self.sweep
    }

    /// What its text is.
    pub fn text(&self) -> &Summary {
        &self.text
    }

    /// Its trials, strategy by strategy.
    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// A line for each strategy and kind of control.
    pub fn strategies(&self) -> Vec<StrategyCost> {
        let own = self.members.chunk_by(|a, b| a.strategy == b.strategy);
        own.map(|own| StrategyCost {
            strategy: own[0].strategy.clone(),
            trials: own.len(),
            stages: extremes(own.iter().map(|member| member.trial.plan.stages().len())),
            parameters: {
                let plans = || own.iter().map(|member| &member.trial.plan);
                let [from, _] = extremes(plans().map(|plan| n_parameters(plan.initial())));
                let [_, to] = extremes(plans().map(|plan| n_parameters(plan.target())));
                [from, to]
            },
            tokens: extremes(own.iter().map(|member| member.trial.settings.tokens)),
            train_flops: own.iter().map(charged).sum(),
        })
        .collect()
    }

    /// FLOP/s of a trial, as measured by those in the database; none without any.
    pub fn flops_per_second(&self) -> Option<f64> {
        self.known.flops_per_second
    }

    /// What all trials cost.
    pub fn cost(&self) -> Cost {
        let all = self.shared_prefixes();
        let bytes = |member: &Member| memory::training_bytes(&member.trial, 1, Backward::Autograd);
        let mut cost = Cost {
            trials: all.len(),
            tuning: all.iter().filter(|(one, _)| one.tuning && one.kind != LOOK).count(),
            looks: all.iter().filter(|(one, _)| one.kind == LOOK).count(),
            train_flops: all.iter().map(|(member, _)| charged(member)).sum(),
            causal_flops: all.iter().map(|(member, _)| causal(member)).sum(),
            sharing: all.iter().filter(|(_, prefix)| prefix.is_some()).count(),
            saved_flops: saved(&all),
            unsure_flops: self.unsure_flops(&all),
            complete: 0,
            left_flops: 0.0,
            evaluation_flops: 0.0,
            worker_bytes: self.members.iter().map(bytes).max().unwrap_or(0),
        };
        for (Member { trial, .. }, prefix) in &all {
            let progress = self.known.progress(trial);
            match progress.filter(|progress| !progress.state.is_open()) {
                Some(ended) => cost.complete += usize::from(ended.state == TrialState::Complete),
                None => {
                    cost.left_flops += left(trial, *prefix, progress);
                    cost.evaluation_flops += evaluations(trial);
                }
            }
        }
        cost
    }

    /// What the trials of seeds that are compared share, where these wait for a choice of rates.
    fn unsure_flops(&self, all: &[Begun]) -> f64 {
        let waits = self.sweep.has_rounds() && self.sweep.has_several_rates();
        if !waits || self.known.has_chosen() {
            return 0.0;
        }
        let compared: Vec<Begun> =
            all.iter().copied().filter(|(member, _)| !member.tuning).collect();
        saved(&compared)
    }

    /// The trials in the order in which they are taken, and the prefix that each shares with an
    /// earlier one.
    fn shared_prefixes(&self) -> Vec<Begun<'_>> {
        // What a round begins with, the round before has trained and left no state of.
        let mut rounds: BTreeMap<usize, Vec<&Member>> = BTreeMap::new();
        for member in in_order(&self.members) {
            rounds.entry(member.round()).or_default().push(member);
        }
        let mut all = vec![];
        for members in rounds.into_values() {
            let before = all.len();
            all.extend(begun(members).into_iter().map(|(member, prefix)| {
                let prefix = prefix.filter(|_| !self.sweep.is_searched(member));
                (member, prefix.map(|prefix| SharedPrefix { of: before + prefix.of, ..prefix }))
            }));
        }
        all
    }
}

/// A trial, and the prefix that it shares with an earlier one.
type Begun<'a> = (&'a Member, Option<SharedPrefix>);

/// Trials in the order in which they are taken, each once.
fn begun(mut members: Vec<&Member>) -> Vec<Begun<'_>> {
    let mut known = HashSet::new();
    members.retain(|member| known.insert(member.trial.id()));
    let trials: Vec<&Trial> = members.iter().map(|member| &member.trial).collect();
    let prefixes = shared_prefixes(&trials);
    members.into_iter().zip(prefixes).collect()
}

/// Training FLOPs that are charged and not spent: what shared prefixes save, and what was tried by others.
fn saved(all: &[Begun<'_>]) -> f64 {
    let of_one = |(member, prefix): &Begun| {
        let Trial { plan, settings, .. } = &member.trial;
        let tried = plan.train_flops(settings.tokens) - plan.own_flops(settings.tokens);
        prefix.map_or(0, |prefix| prefix.train_flops(&member.trial)) as f64 + tried as f64
    };
    all.iter().map(of_one).sum()
}

/// Training FLOPs that a trial which has not ended has still to spend.
fn left(trial: &Trial, prefix: Option<SharedPrefix>, progress: Option<TrialProgress>) -> f64 {
    let begun = prefix.map_or(0.0, |prefix| prefix.train_flops(trial) as f64);
    let begun = progress.map_or(begun, |progress| begun.max(progress.train_flops));
    (trial.plan.own_flops(trial.settings.tokens) as f64 - begun).max(0.0)
}

/// FLOPs of a trial's evaluations.
fn evaluations(trial: &Trial) -> f64 {
    let Trial { plan, settings, .. } = trial;
    let per_token =
        |model: &Architecture| forward_flops(model, model.seq_len) as f64 / model.seq_len as f64;
    let (every, of_step) = (settings.evaluation.every_tokens, trial.step_tokens());
    let starts = [0].into_iter().chain(plan.stages().iter().map(|stage| stage.tokens));
    let ends = plan.stages().iter().map(|stage| stage.tokens).chain([settings.tokens]);
    let flops = starts.zip(ends).enumerate().map(|(grown, (from, to))| {
        let due = to / every - from / every;
        let after =
            settings.evaluation.after_growth.iter().filter(|steps| {
                grown > 0 && from.saturating_add(steps.saturating_mul(of_step)) <= to
            });
        let evaluated = (due + after.count() as u64) * settings.evaluation.tokens;
        per_token(plan.architecture_after(grown)) * evaluated as f64
    });
    flops.sum()
}

fn charged(Member { trial, .. }: &Member) -> f64 {
    trial.plan.train_flops(trial.settings.tokens) as f64
}

fn causal(member: &Member) -> f64 {
    let Trial { plan, settings, .. } = &member.trial;
    charged(member) * causal_share(&plan.phases(), settings.tokens)
}

fn extremes<T: Copy + Ord + Default>(values: impl Iterator<Item = T> + Clone) -> [T; 2] {
    [values.clone().min().unwrap_or_default(), values.max().unwrap_or_default()]
}

#[derive(Serialize)]
struct Answer<'a> {
    sweep: &'a str,
    id: String,
    data: &'a str,
    text: &'a Summary,
    resolved: String,
    cost: Cost,
    frontier: Option<FrontierCost>,
    passes: Passes,
    flops_per_second: Option<f64>,
    trials: Vec<PlannedTrial<'a>>,
}

#[derive(Serialize)]
struct PlannedTrial<'a> {
    trial: String,
    strategy: &'a str,
    kind: &'a str,
    plan: usize,
    replicate: usize,
    tuning: bool,
    learning_rate: f64,
    setting: &'a str,
    budget: Option<f64>,
    seed: u64,
    state: Option<TrialState>,
    tokens: u64,
    passes: f64,
    train_flops: u128,
    initial: &'a Architecture,
    target: &'a Architecture,
    stages: &'a [Stage],
}

impl Serialize for Plan {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let data = &*self.text.digest;
        Answer {
            sweep: &self.sweep.spec().name,
            id: self.sweep.id(data),
            data,
            text: &self.text,
            resolved: self.sweep.resolved(),
            cost: self.cost(),
            frontier: self.frontier(),
            passes: self.passes(),
            flops_per_second: self.flops_per_second(),
            trials: self.members.iter().map(|member| self.planned(member)).collect(),
        }
        .serialize(serializer)
    }
}

impl Plan {
    fn planned<'a>(&self, member: &'a Member) -> PlannedTrial<'a> {
        let Trial { plan, settings, seed } = &member.trial;
        PlannedTrial {
            trial: member.trial.id(),
            strategy: &member.strategy,
            kind: member.kind,
            plan: member.plan,
            replicate: member.replicate,
            tuning: member.tuning,
            learning_rate: settings.training.learning_rate,
            setting: &member.setting,
            budget: member.budget,
            seed: *seed,
            state: self.known.progress(&member.trial).map(|progress| progress.state),
            tokens: settings.tokens,
            passes: member.passes(self.text_tokens()),
            train_flops: plan.train_flops(settings.tokens),
            initial: plan.initial(),
            target: plan.target(),
            stages: plan.stages(),
        }
    }
}
