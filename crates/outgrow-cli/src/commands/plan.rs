//! `outgrow plan`.

use outgrow::{Error, Workspace, runtime};
use outgrow_core::model::n_parameters;
use outgrow_core::{
    Sweep, Trial,
    sweep::{
        Member, SharedPrefix, in_order,
        memory::{self, Backward},
        shared_prefixes,
    },
};
use outgrow_data::Summary;
use serde::Serialize;
use std::path::PathBuf;

use crate::{
    output::{count, duration, flops, print, print_json, table},
    phases::Phases,
    reading::{Telling, describe, read_sweep, warn},
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
    let sweep = file.sweep();
    let text = workspace.survey(&file, &Telling::new())?;
    let members = {
        let _slow = Phases::new("sampling all plans".into());
        file.members(&text.digest)?
    };
    let speed = speed(workspace, args)?;
    workspace.tell_of_namesakes(sweep, &text.digest)?;
    if args.json {
        warn(&text);
        return print_json(&Answer::new(sweep, &text, &members));
    }
    let tree = if args.tree { format!("\n{}", Tree::new(&members).lines()) } else { String::new() };
    let (resolved, text) = (sweep.resolved(), describe(&text));
    print(&format!("{resolved}\n{text}\n\n{}{tree}", summary(sweep, &members, speed)))
}

/// FLOP/s of one trial, and how they are known.
fn speed(workspace: &Workspace, args: &Plan) -> Result<Option<f64>, Error> {
    if let Some(gflops) = args.gflops {
        return Ok(Some(gflops * 1e9));
    }
    runtime()?.block_on(async {
        match workspace.reading().await {
            Ok(store) => Ok(store.flops_per_second().await?),
            // Without a database nothing was measured yet.
            Err(_) => Ok(None),
        }
    })
}

fn summary(sweep: &Sweep, members: &[Member], speed: Option<f64>) -> String {
    let rows = members.chunk_by(|a, b| a.strategy == b.strategy).map(|own| {
        let stages = own.iter().map(|member| member.trial.plan.stages().len());
        let tokens = own.iter().map(|member| member.trial.settings.tokens);
        vec![
            own[0].strategy.clone(),
            own.len().to_string(),
            range(stages.clone().min(), stages.max(), |n| n.to_string()),
            range(tokens.clone().min(), tokens.max(), |n| count(n as f64)),
            flops(total(own.iter())),
        ]
    });
    let table = table(
        &["strategy", "trials", "stages", "tokens each", "compute"],
        rows.collect(),
        &[1, 2, 3, 4],
    );
    let sizes = [sweep.initial(), sweep.target()]
        .map(|a| format!("{} ({})", count(n_parameters(a) as f64), a.describe()));
    let all = total(members.iter());
    let tree = Tree::new(members);
    let (alike, spared) = tree.spared();
    let shared = match alike {
        0 => "no two trials begin alike".into(),
        _ => format!(
            "{alike} of them begin as an earlier one does, which is trained once: {} to train ({:.2} times less)",
            flops(all - spared),
            all / (all - spared)
        ),
    };
    let hours = match speed {
        Some(speed) => {
            format!("{} on one worker at {}/s", duration((all - spared) / speed), flops(speed))
        }
        None => "hours unknown until a trial was trained here; --gflops tells the speed".into(),
    };
    // As on a GPU, which is more than on a processor.
    let memory = members
        .iter()
        .map(|member| memory::training_bytes(&member.trial, 1, Backward::Autograd))
        .max()
        .unwrap_or(0);
    let [from, to] = sizes;
    format!(
        "{table}\n\nparameters: {from}\n        to: {to}\n{} trials, {} in all; {shared}\n{hours}; about {}B of memory per worker\n",
        members.len(),
        flops(all),
        count(memory as f64)
    )
}

/// The trials in the order in which they are taken, and which begins as which other does.
struct Tree<'a> {
    members: Vec<&'a Member>,
    beginnings: Vec<Option<SharedPrefix>>,
}

impl<'a> Tree<'a> {
    fn new(members: &'a [Member]) -> Self {
        let members = in_order(members);
        let trials: Vec<&Trial> = members.iter().map(|member| &member.trial).collect();
        Self { beginnings: shared_prefixes(&trials), members }
    }

    /// How many begin as another does, and the FLOPs that this spares.
    fn spared(&self) -> (usize, f64) {
        let all = self
            .members
            .iter()
            .zip(&self.beginnings)
            .filter_map(|(member, b)| Some((member, (*b)?)));
        let flops =
            all.clone().map(|(member, beginning)| beginning.train_flops(&member.trial) as f64);
        (all.count(), flops.sum())
    }

    /// A line for each trial, below the one that it begins as.
    fn lines(&self) -> String {
        let mut children = vec![vec![]; self.members.len()];
        for (number, beginning) in self.beginnings.iter().enumerate() {
            beginning.iter().for_each(|beginning| children[beginning.of].push(number));
        }
        let mut text = String::new();
        let roots = (0..self.members.len()).filter(|&n| self.beginnings[n].is_none());
        roots.for_each(|root| self.line(root, 0, &children, &mut text));
        text
    }

    fn line(&self, number: usize, depth: usize, children: &[Vec<usize>], text: &mut String) {
        let Member { strategy, plan, replicate, trial, .. } = self.members[number];
        let from =
            self.beginnings[number].map_or(0, |beginning| beginning.step * trial.step_tokens());
        let stages: Vec<String> =
            trial.plan.stages().iter().map(|stage| count(stage.tokens as f64)).collect();
        *text += &format!(
            "{}{strategy}/{plan}#{replicate}  from {} of {}",
            "  ".repeat(depth),
            count(from as f64),
            count(trial.settings.tokens as f64)
        );
        *text += &if stages.is_empty() {
            "\n".into()
        } else {
            format!(", growing at {}\n", stages.join(", "))
        };
        children[number].iter().for_each(|&child| self.line(child, depth + 1, children, text));
    }
}

fn total<'a>(members: impl Iterator<Item = &'a Member>) -> f64 {
    members.map(|member| member.trial.plan.train_flops(member.trial.settings.tokens) as f64).sum()
}

fn range<T: PartialEq + Copy>(
    from: Option<T>,
    to: Option<T>,
    text: impl Fn(T) -> String,
) -> String {
    match (from, to) {
        (Some(a), Some(b)) if a == b => text(a),
        (Some(a), Some(b)) => format!("{} to {}", text(a), text(b)),
        _ => "-".into(),
    }
}

#[derive(Serialize)]
struct Answer<'a> {
    sweep: &'a str,
    id: String,
    data: &'a str,
    text: &'a Summary,
    resolved: String,
    trials: Vec<PlannedTrial<'a>>,
}

#[derive(Serialize)]
struct PlannedTrial<'a> {
    trial: String,
    strategy: &'a str,
    kind: &'a str,
    plan: usize,
    replicate: usize,
    seed: u64,
    tokens: u64,
    train_flops: u128,
    initial: &'a outgrow_core::Architecture,
    target: &'a outgrow_core::Architecture,
    stages: &'a [outgrow_core::Stage],
}

impl<'a> Answer<'a> {
    fn new(sweep: &'a Sweep, text: &'a Summary, members: &'a [Member]) -> Self {
        let data = &*text.digest;
        let trial = |member: &'a Member| {
            let trial = &member.trial;
            PlannedTrial {
                trial: trial.id(),
                strategy: &member.strategy,
                kind: member.kind,
                plan: member.plan,
                replicate: member.replicate,
                seed: trial.seed,
                tokens: trial.settings.tokens,
                train_flops: trial.plan.train_flops(trial.settings.tokens),
                initial: trial.plan.initial(),
                target: trial.plan.target(),
                stages: trial.plan.stages(),
            }
        };
        let trials = members.iter().map(trial).collect();
        Self {
            sweep: &sweep.spec().name,
            id: sweep.id(data),
            data,
            text,
            resolved: sweep.resolved(),
            trials,
        }
    }
}
