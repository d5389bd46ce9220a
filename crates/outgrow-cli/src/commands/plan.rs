//! `outgrow plan`.

use std::path::PathBuf;

use outgrow::{
    Error, Workspace,
    plan::{Branch, Cost, Plan as Planned, StrategyCost},
    text::describe,
};
use outgrow_core::{model::n_parameters, sweep::Member};

use crate::{
    output::{count, duration, flops, print, print_json, table},
    phases,
    reading::{Telling, read_sweep, warn},
};

/// Show a sweep's trials and their cost, without training
#[derive(clap::Args)]
pub struct Plan {
    /// The sweep file
    pub sweep: PathBuf,
    /// Training speed of this machine in GFLOP/s, for the hours [default: as measured by trials in
    /// the database]
    #[arg(long, value_name = "N")]
    pub gflops: Option<f64>,
    /// Also show which trial begins as which other does, and where it leaves it
    #[arg(long)]
    pub tree: bool,
    /// Print everything, each plan with its stages, as JSON
    #[arg(long)]
    pub json: bool,
}

/// Shows what a sweep means and what it would cost.
pub fn plan(workspace: &Workspace, args: &Plan) -> Result<(), Error> {
    let file = read_sweep(&args.sweep)?;
    let plan = phases::told(|tell| workspace.plan(&file, &Telling::new(), tell))?;
    let speed = match args.gflops {
        Some(gflops) => Some(gflops * 1e9),
        None => workspace.flops_per_second()?,
    };
    workspace.tell_of_namesakes(plan.sweep(), &plan.text().digest)?;
    if args.json {
        warn(plan.text());
        return print_json(&plan);
    }
    let tree = match args.tree {
        true => format!("\n{}", plan.tree().iter().map(branch).collect::<String>()),
        false => String::new(),
    };
    print(&format!(
        "{}\n{}\n\n{}\n\n{}{tree}",
        plan.sweep().resolved(),
        describe(plan.text()),
        strategies(&plan.strategies()),
        summary(&plan, speed)
    ))
}

fn strategies(all: &[StrategyCost]) -> String {
    let row = |cost: &StrategyCost| {
        vec![
            cost.strategy.clone(),
            cost.trials.to_string(),
            range(cost.stages.map(|stages| stages.to_string())),
            range(cost.tokens.map(|tokens| count(tokens as f64))),
            flops(cost.train_flops),
        ]
    };
    let header = ["strategy", "trials", "stages", "tokens each", "compute"];
    table(&header, all.iter().map(row).collect(), &[1, 2, 3, 4])
}

fn range([from, to]: [String; 2]) -> String {
    if from == to { from } else { format!("{from} to {to}") }
}

fn summary(plan: &Planned, speed: Option<f64>) -> String {
    let [from, to] = [plan.sweep().initial(), plan.sweep().target()]
        .map(|a| format!("{} ({})", count(n_parameters(a) as f64), a.describe()));
    let Cost { train_flops: all, sharing, saved_flops, worker_bytes } = plan.cost();
    let left = all - saved_flops;
    let shared = match sharing {
        0 => "no two trials begin alike".into(),
        _ => format!(
            "{sharing} of them begin as an earlier one does, which is trained once: {} to train \
             ({:.2} times less)",
            flops(left),
            all / left
        ),
    };
    let hours = match speed {
        Some(speed) => format!("{} on one worker at {}/s", duration(left / speed), flops(speed)),
        None => "hours unknown until a trial was trained here; --gflops tells the speed".into(),
    };
    format!(
        "parameters: {from}\n        to: {to}\n{} trials, {} in all; {shared}\n{hours}; about {}B \
         of memory per worker\n",
        plan.members().len(),
        flops(all),
        count(worker_bytes as f64)
    )
}

fn branch(branch: &Branch) -> String {
    let Member { strategy, plan, replicate, trial, .. } = branch.member;
    let stages = trial.plan.stages().iter().map(|stage| count(stage.tokens as f64));
    let stages = stages.collect::<Vec<_>>().join(", ");
    format!(
        "{}{strategy}/{plan}#{replicate}  from {} of {}{}{stages}\n",
        "  ".repeat(branch.depth),
        count(branch.from_tokens as f64),
        count(trial.settings.tokens as f64),
        if stages.is_empty() { "" } else { ", growing at " }
    )
}
