//! `outgrow status`.

use outgrow_store::{Holder, SweepStatus, SweepSummary};
use serde_json::{Value, json};

use crate::{
    args::Status,
    failure::Failure,
    output::{count, print, print_json, shown, table},
    place::{Place, runtime},
};

/// Shows where every sweep stands.
pub fn status(place: &Place, args: &Status) -> Result<(), Failure> {
    let found = runtime()?.block_on(async {
        let store = place.reading().await?;
        let sweeps = match &args.sweep {
            Some(wanted) => vec![store.find_sweep(wanted).await?],
            None => store.sweeps().await?,
        };
        let mut found = vec![];
        for sweep in sweeps {
            let status = store.status(&sweep.id).await?;
            let failures = store.failures(&sweep.id).await?;
            found.push((sweep, status, failures));
        }
        Ok::<_, Failure>(found)
    })?;
    match args.json {
        true => print_json(&found.iter().map(as_json).collect::<Vec<_>>()),
        false if found.is_empty() => print("no sweeps yet; `outgrow run SWEEP.toml` adds one"),
        false => print(&as_text(&found)),
    }
}

/// A sweep, where it stands, and what failed.
pub type Found = (SweepSummary, SweepStatus, Vec<(String, String)>);

/// Number of trials in each state, as JSON.
pub fn states(status: &SweepStatus) -> Value {
    status
        .states
        .iter()
        .map(|(state, n)| (state.clone(), json!(n)))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

/// Where a sweep stands, as JSON.
pub fn as_json((sweep, status, failures): &Found) -> Value {
    let running = status.running.iter().map(|trial| {
        json!({ "trial": trial.trial, "label": trial.label, "tokens": trial.tokens, "of_tokens": trial.of_tokens,
                "loss": trial.loss, "process": trial.holder, "silent_seconds": trial.silent_seconds })
    });
    json!({ "sweep": sweep.name, "id": sweep.id, "data": sweep.data_digest, "created_at": sweep.created_at,
            "trials": states(status), "tokens": status.tokens.0, "of_tokens": status.tokens.1,
            "train_flops": status.train_flops.0, "of_train_flops": status.train_flops.1,
            "running": running.collect::<Vec<_>>(), "failures": failures })
}

fn as_text(found: &[Found]) -> String {
    let row = |(sweep, status, _): &Found| {
        let number = |state: &str| status.count(state).to_string();
        let (done, all) = status.train_flops;
        let mut row = vec![
            sweep.name.clone(),
            sweep.id.chars().take(8).collect(),
            format!("{:.0} %", 100.0 * done / all.max(1.0)),
        ];
        row.extend(["waiting", "running", "complete", "diverged", "failed"].map(number));
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
