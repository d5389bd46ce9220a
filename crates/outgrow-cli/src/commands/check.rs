//! `outgrow check`.

use std::path::PathBuf;
use std::{io::IsTerminal, path::Path};

use indicatif::ProgressBar;
use outgrow::{Error, one_device};
use outgrow_train::{
    CheckKind, CompositionCheck, Compositions, Device, check_checkpoint, check_compositions,
};
use serde_json::json;

use super::grow::{failure, say_notes};
use crate::{
    output::{print, print_json, table},
    phases::Phases,
};

/// Test function preservation on this device, with random compositions of the six transforms
///
/// Without a checkpoint: random models with unequal layers, in float32 and float64. With one: that
/// model, in its own number type. Prints the largest change of a logit, relative to the larger of 1
/// and the largest logit.
#[derive(clap::Args)]
pub struct Check {
    /// Grow this checkpoint instead of random models
    pub checkpoint: Option<PathBuf>,
    /// How many compositions [default: 1000, or 20 for a checkpoint]
    #[arg(long, short = 'n', value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub compositions: Option<u64>,
    /// Up to so many transforms in each
    #[arg(long, default_value_t = 8, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
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
pub fn check(args: &Check) -> Result<(), Error> {
    let device = one_device(args.device)?;
    let of = |n| Compositions { n, most: usize::from(args.most), seed: args.seed };
    let checks = match &args.checkpoint {
        Some(folder) => {
            let n = args.compositions.unwrap_or(20);
            let bar = bar(n);
            say_notes(folder)?;
            let phases = Phases::new(format!("growing {} {n} times", folder.display()));
            let check = check_checkpoint(folder, of(n), device, |done| bar.set_position(done));
            drop(phases);
            bar.finish_and_clear();
            let check = check.map_err(failure)?;
            vec![(name(folder), check)]
        }
        None => [("float64", CheckKind::F64), ("float32", CheckKind::F32)]
            .map(|(name, kind)| {
                let n = args.compositions.unwrap_or(1000);
                let bar = bar(n);
                let _phases = Phases::new(format!("growing {n} random models in {name}"));
                let check = check_compositions(of(n), kind, device, |done| bar.set_position(done));
                bar.finish_and_clear();
                (name.to_owned(), check)
            })
            .into(),
    };
    match args.json {
        true => print_json(&checks.iter().map(as_json).collect::<Vec<_>>())?,
        false => print(&as_text(&checks, &device.to_string()))?,
    }
    match checks.iter().find(|(_, check)| !check.holds()) {
        None => Ok(()),
        Some((name, check)) => {
            let worst = serde_json::to_string(&check.worst_transforms).expect("plain data");
            Err(Error::Outcome(format!(
                "{name}: the function was not preserved; the worst composition was {worst}"
            )))
        }
    }
}

fn name(folder: &Path) -> String {
    folder.display().to_string()
}

fn bar(n: u64) -> ProgressBar {
    if std::io::stderr().is_terminal() { ProgressBar::new(n) } else { ProgressBar::hidden() }
}

fn as_json((name, check): &(String, CompositionCheck)) -> serde_json::Value {
    json!({ "model": name, "compositions": check.compositions, "worst": check.worst, "tolerance": check.tolerance,
            "holds": check.holds(), "applied": check.applied, "worst_transforms": check.worst_transforms })
}

fn as_text(checks: &[(String, CompositionCheck)], device: &str) -> String {
    let row = |(name, check): &(String, CompositionCheck)| {
        let verdict = if check.holds() { "preserved" } else { "NOT PRESERVED" };
        vec![
            name.clone(),
            check.compositions.to_string(),
            check.applied.values().sum::<u64>().to_string(),
            format!("{:.1e}", check.worst),
            format!("{:.0e}", check.tolerance),
            verdict.to_owned(),
        ]
    };
    let header =
        [&format!("on {device}"), "compositions", "transforms", "worst change", "allowed", ""];
    let text = table(&header, checks.iter().map(row).collect(), &[1, 2, 3, 4]);
    format!("{text}\n\nchange of logits relative to the larger of 1 and the largest logit")
}
