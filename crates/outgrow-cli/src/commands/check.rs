//! `outgrow check`.

use std::io::IsTerminal;

use indicatif::ProgressBar;
use outgrow::{
    Error, Workspace,
    models::{self, CheckEvent, CheckOptions},
};
use outgrow_train::Device;

use crate::{
    output::{is_terminal, print, print_json},
    phases::Phases,
    values::positive,
};

/// Test function preservation on this device, with random compositions of the six transforms
///
/// Without a checkpoint: random models with unequal layers, in float32 and float64. With one: that
/// model, in its own number type. Prints the largest change of a logit, relative to the larger of 1
/// and the largest logit.
#[derive(clap::Args)]
pub struct Check {
    /// Grow this checkpoint (a folder, or a trial as `outgrow path` takes it) instead of random
    /// models
    pub checkpoint: Option<String>,
    /// How many compositions [default: 1000, or 20 for a checkpoint]
    #[arg(long, short = 'n', value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub compositions: Option<u64>,
    /// Most transforms in one composition
    #[arg(long, default_value_t = 8, value_name = "N", value_parser = positive())]
    pub most: u16,
    /// Of all randomness
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// Where to compute: cpu, cuda:0, ... [default: the first GPU, or cpu]
    #[arg(long)]
    pub device: Option<Device>,
    /// Print it as JSON
    #[arg(long)]
    pub json: bool,
}

/// Proves function preservation on this machine.
pub fn check(workspace: &Workspace, args: &Check) -> Result<(), Error> {
    let options = CheckOptions {
        model: args.checkpoint.as_deref().map(|named| workspace.model(named)).transpose()?,
        compositions: args.compositions,
        most: args.most.into(),
        seed: args.seed,
        device: args.device,
    };
    let mut shown: Option<(ProgressBar, Phases)> = None;
    let checked = models::check(&options, &mut |event| match event {
        CheckEvent::Begins { what, compositions } => {
            finish(shown.take());
            shown = Some((bar(compositions), Phases::new(what)));
        }
        CheckEvent::Done(n) => shown.iter().for_each(|(bar, _)| bar.set_position(n)),
    });
    finish(shown);
    let checked = checked?;
    match args.json {
        true => print_json(&checked.as_json())?,
        false => print(&checked.describe(is_terminal()))?,
    }
    checked.verdict()
}

fn bar(n: u64) -> ProgressBar {
    if std::io::stderr().is_terminal() { ProgressBar::new(n) } else { ProgressBar::hidden() }
}

fn finish(shown: Option<(ProgressBar, Phases)>) {
    if let Some((bar, _)) = shown {
        bar.finish_and_clear();
    }
}
