//! A plan in words.

use outgrow_core::{
    KeepFinal, Sweep,
    model::n_parameters,
    sweep::{FrontierSpec, Member},
};

use super::{Branch, Cost, Plan, StrategyCost};
use crate::{
    readable::{count, duration, flops, table},
    text::describe,
};

impl Plan {
    /// The sweep as it was read, its text, its trials and their cost; hours where the FLOP/s of a
    /// worker are given. The table `fits` the terminal if it is to; `all_stages` of many plans only
    /// if they are asked for.
    pub fn describe(&self, flops_per_second: Option<f64>, fits: bool, all_stages: bool) -> String {
        let frontier = self.frontier().map(|frontier| frontier.describe(flops_per_second, fits));
        format!(
            "{}\n{}\n\n{}\n\n{}{}\n{}",
            self.sweep().resolved_with_words(),
            describe(self.text()),
            strategies(&self.strategies(), self.text_tokens(), fits),
            frontier.map_or_else(String::new, |frontier| format!("{frontier}\n\n")),
            self.describe_stages(all_stages),
            summary(self, flops_per_second)
        )
    }

    /// The trials, each below the one that it shares a prefix with: a line for each, below an empty
    /// one.
    pub fn describe_tree(&self) -> String {
        let rates = self.sweep().has_several_rates();
        let lines: String = self.tree().iter().map(|branch| branch_line(branch, rates)).collect();
        format!("\n{lines}")
    }
}

fn strategies(all: &[StrategyCost], text_tokens: u64, fits: bool) -> String {
    let passes = |tokens: u64| format!("{:.2}", tokens as f64 / text_tokens.max(1) as f64);
    let row = |cost: &StrategyCost| {
        vec![
            cost.strategy.clone(),
            cost.trials.to_string(),
            range(cost.stages.map(|stages| stages.to_string())),
            match cost.parameters.map(|n| count(n as f64)) {
                [from, to] if from == to => from,
                [from, to] => format!("{from} → {to}"),
            },
            range(cost.tokens.map(|tokens| count(tokens as f64))),
            range(cost.tokens.map(passes)),
            flops(cost.train_flops),
        ]
    };
    let header = [
        "strategy",
        "trials",
        "stages",
        "parameters",
        "tokens each",
        "passes of the text",
        "compute, all trials",
    ];
    let rows: Vec<_> = all.iter().map(row).collect();
    table(&header, &rows, &[1, 2, 3, 4, 5, 6], fits)
}

fn range([from, to]: [String; 2]) -> String {
    if from == to { from } else { format!("{from} to {to}") }
}

fn summary(plan: &Plan, speed: Option<f64>) -> String {
    let [from, to] = [plan.sweep().initial(), plan.sweep().target()]
        .map(|a| format!("{} ({})", count(n_parameters(a) as f64), a.describe()));
    let cost = plan.cost();
    let Cost {
        trials,
        tuning,
        looks,
        train_flops: all,
        causal_flops,
        complete,
        left_flops,
        evaluation_flops,
        worker_bytes,
        ..
    } = cost;
    let shared = shared(&cost);
    let trained = match complete {
        0 => String::new(),
        n => format!("{n} of them are trained already; {} left\n", flops(left_flops)),
    };
    let hours = match speed {
        _ if left_flops == 0.0 => "nothing is left to train".into(),
        Some(speed) => format!(
            "{} on one worker at {}/s, {} of them for evaluations",
            duration((left_flops + evaluation_flops) / speed),
            flops(speed),
            duration(evaluation_flops / speed)
        ),
        None => {
            "time unknown on this machine yet: `outgrow bench SWEEP.toml` measures its GFLOP/s, \
                 `--gflops N` tells them to `outgrow plan`"
                .into()
        }
    };
    let again = match plan.members().len() - trials {
        0 => String::new(),
        n => format!(" ({n} more are the same as one of them, and not trained again)"),
    };
    let disk = plan.disk(1, 2, KeepFinal::Weights).describe();
    format!(
        "parameters: {from}\n        to: {to}\n{trials} trials{again}, {} in all ({} with causal \
         attention counted as causal); {shared}\n{trained}{hours}; about {}B of memory per worker\n\
         {disk}\n{}{}{}",
        flops(all),
        flops(causal_flops),
        count(worker_bytes as f64),
        only_tune(plan.sweep(), tuning) + &only_look(looks) + &searched(plan.sweep()),
        plan.passes().describe(plan.sweep().spec().frontier.is_some()),
        alone(plan.sweep()).to_owned() + near(plan.sweep()),
    ) + &plan.advice(&cost).map_or_else(String::new, |advice| format!("{advice}\n"))
}

/// What is trained once for several trials.
fn shared(cost: &Cost) -> String {
    let Cost { train_flops: all, sharing, saved_flops, unsure_flops, .. } = *cost;
    match sharing {
        0 => "no two trials share a prefix".into(),
        _ => format!(
            "{sharing} of them share a prefix with an earlier one, trained once: {} to train \
             ({:.0} % less){}",
            flops(all - saved_flops),
            100.0 * saved_flops / all,
            at_most(all - saved_flops + unsure_flops, unsure_flops)
        ),
    }
}

/// What is trained if rates are chosen so that nothing more is shared.
fn at_most(train_flops: f64, unsure: f64) -> String {
    match unsure > 0.0 {
        true => format!(
            ", if all budgets of an arm choose one learning rate, and {} at most if not",
            flops(train_flops)
        ),
        false => String::new(),
    }
}

/// How many trials are in no comparison.
fn only_tune(sweep: &Sweep, trials: usize) -> String {
    let spec = sweep.spec();
    match (trials, spec.tuning_replicates) {
        (0, _) => String::new(),
        (n, seeds) => format!(
            "{n} of the trials only tune: {seeds} seeds more, #{} and on, choose learning rates and \
             other values of the grid, and are in no comparison; they are trained first, and the \
             others only where they have chosen\n{}",
            spec.replicates,
            widened(spec.widen)
        ),
    }
}

fn only_look(trials: usize) -> String {
    match trials {
        0 => String::new(),
        n => format!(
            "{n} of the trials only look: a choose_after trains each way to grow for a while, charged to the \
             trial of the order that it chooses; the first order stands here for all\n"
        ),
    }
}

/// Among how many plans is searched, and by whom.
fn searched(sweep: &Sweep) -> String {
    let Some(searched) = sweep.search() else { return String::new() };
    let (search, plans) = (searched.spec, searched.plans());
    let races = match search.race_every {
        0 => String::new(),
        every => format!(", every {every}th of them another seed of a plan that may be the best"),
    };
    let at_a_time = match search.asynchronous {
        true => "under way, and for the next as soon as one has ended",
        false => "at a time",
    };
    format!(
        "search: {} asks for {} trials among the {plans} plans of {}, {} {at_a_time}{races}; which they \
         are is not known yet, so cost and sharing are those of as many plans that are spread evenly\n",
        search.searcher.name(),
        search.trials,
        search.strategy.all().join(", "),
        search.batch
    )
}

fn widened(widen: bool) -> &'static str {
    match widen {
        true => {
            "widen = true: where the best rate is the lowest or the highest, or the best size one of \
             the two smallest or largest, up to two more beyond are tried; they are not counted here\n"
        }
        false => "",
    }
}

/// What a frontier of one seed lacks.
fn alone(sweep: &Sweep) -> &'static str {
    match sweep.spec().frontier.is_some() && sweep.spec().replicates == 1 {
        true => {
            "replicates = 1: intervals of the frontier leave out one seed at a time, so there will \
             be none; 3 is the least, 5 for its exponents\n"
        }
        false => "",
    }
}

/// What a frontier lacks that ends where growing strategies do.
fn near(sweep: &Sweep) -> &'static str {
    match sweep.spec().frontier.as_ref().is_none_or(FrontierSpec::reaches_beyond) {
        true => "",
        false => {
            "frontier.budgets end below twice the largest of frontier.strategies_at: a growing \
             model that is better than every born one of its compute is worth more of it, and how \
             much will not be seen\n"
        }
    }
}

fn branch_line(branch: &Branch, several_rates: bool) -> String {
    let Member { trial, .. } = branch.member;
    let stages = trial.plan.stages().iter().map(|stage| count(stage.tokens as f64));
    let stages = stages.collect::<Vec<_>>().join(", ");
    format!(
        "{}{}  from {} of {}{}{stages}\n",
        "  ".repeat(branch.depth),
        branch.member.label(several_rates),
        count(branch.from_tokens as f64),
        count(trial.settings.tokens as f64),
        if stages.is_empty() { "" } else { ", growing at " }
    )
}
