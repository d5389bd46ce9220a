//! `outgrow status`.

use outgrow::{
    Error, Workspace,
    status::{Found, as_json},
};
use outgrow_core::TrialState::{self, Complete, Diverged, Failed, Running, Waiting};
use outgrow_store::Holder;

use crate::output::{count, print, print_json, shown, table};

/// Show the progress of every sweep in the database
#[derive(clap::Args)]
pub struct Status {
    /// Only the sweep of this name or identity
    pub sweep: Option<String>,
    /// Print it as JSON
    #[arg(long)]
    pub json: bool,
}

/// Shows where every sweep stands.
pub fn status(workspace: &Workspace, args: &Status) -> Result<(), Error> {
    let found = workspace.status(args.sweep.as_deref())?;
    match args.json {
        true => print_json(&found.iter().map(as_json).collect::<Vec<_>>()),
        false if found.is_empty() => print("no sweeps yet; `outgrow run SWEEP.toml` adds one"),
        false => print(&as_text(&found)),
    }
}

fn as_text(found: &[Found]) -> String {
    let row = |(sweep, status, _): &Found| {
        let number = |state: TrialState| status.count(state).to_string();
        let (done, all) = status.train_flops;
        let mut row = vec![
            sweep.name.clone(),
            sweep.id.chars().take(8).collect(),
            format!("{:.0} %", 100.0 * done / all.max(1.0)),
        ];
        row.extend([Waiting, Running, Complete, Diverged, Failed].map(number));
        row
    };
    let header = ["sweep", "id", "compute", "waiting", "running", "complete", "diverged", "failed"];
    let mut text = table(&header, found.iter().map(row).collect(), &[2, 3, 4, 5, 6, 7]);
    for (_, status, failures) in found {
        for trial in &status.running {
            let loss = trial.loss.map_or_else(|| "-".into(), |loss| format!("{loss:.3}"));
            let tokens =
                format!("{}/{} tokens", count(trial.tokens as f64), count(trial.of_tokens as f64));
            let Holder { host, pid, job, .. } = &trial.holder;
            let job = job.as_ref().map_or_else(String::new, |job| format!(", job {job}"));
            let heard = format!("heard {:.0} s ago", trial.silent_seconds);
            let line = format!(
                "{}  {tokens}  loss {loss}  on {host}{job}, process {pid}, {heard}",
                trial.label
            );
            text += &format!("\n{}", shown(&line));
        }
        for (label, error) in failures {
            text += &format!("\n{}", shown(&format!("{label}: {error}")));
        }
    }
    text
}
