//! `outgrow db check`: what is wrong with a database and its files.

use super::DbCheck;
use std::time::{Duration, Instant};

use outgrow::{
    Error, Workspace,
    repair::{Orphan, Survey},
};
use outgrow_store::{Address, Finding};
use serde_json::{Value, json};

use crate::output::{count, flops, print, print_json};

/// Looks at everything, changes nothing.
pub fn check(place: &Workspace, args: &DbCheck) -> Result<(), Error> {
    let place = of(place, args);
    let mut slow = Slow::new();
    let survey = place.check(&mut |at| slow.tell(at))?;
    match args.json {
        true => print_json(&as_json(&place, &survey))?,
        false => print(&as_text(&place, &survey))?,
    }
    match survey.report.findings.len() {
        0 => Ok(()),
        n => Err(Error::Outcome(format!(
            "{n} things are wrong (see above); `outgrow db repair` mends them{}",
            if survey.live.is_empty() { "" } else { ", once nothing runs" }
        ))),
    }
}

/// The place of the database that was named.
pub(super) fn of(place: &Workspace, args: &DbCheck) -> Workspace {
    Workspace::new(args.database.clone().unwrap_or_else(|| place.db.clone()), place.files.clone())
}

pub(super) fn as_json(place: &Workspace, survey: &Survey) -> Value {
    let Survey { report, live, orphans, folders } = survey;
    let finding = |finding: &Finding| {
        let mut value = serde_json::to_value(finding).expect("plain data");
        value["text"] = finding.to_string().into();
        value["remedy"] = finding.remedy().into();
        value
    };
    json!({
        "database": Address::shown(&place.db), "whole": report.findings.is_empty(), "live": live,
        "sweeps": report.sweeps, "trials": report.trials, "held": report.held, "rows": report.rows, "unsealed_rows": report.unsealed,
        "checkpoints": folders.0, "checkpoint_bytes": folders.1, "findings": report.findings.iter().map(finding).collect::<Vec<_>>(),
        "again": report.again, "orphans": orphans, "unknown_sweeps": report.unknown,
        "again_tokens": report.again.iter().map(|again| again.tokens).sum::<u64>(),
        "orphan_bytes": orphans.iter().map(|orphan| orphan.bytes).sum::<u64>(),
    })
}

pub(super) fn as_text(place: &Workspace, survey: &Survey) -> String {
    let Survey { report, live, orphans, folders: (folders, bytes) } = survey;
    let states: Vec<String> =
        report.trials.iter().map(|(state, n)| format!("{n} {state}")).collect();
    let mut lines = vec![format!(
        "{}: {} sweeps, {} trials ({}); whole are {} rows and {folders} checkpoints of {bytes} bytes",
        Address::shown(&place.db),
        report.sweeps,
        report.trials.values().sum::<u64>(),
        if states.is_empty() { "none".into() } else { states.join(", ") },
        report.rows,
    )];
    if !live.is_empty() {
        lines.push(format!(
            "a run is live ({}): its {} trials, and what lies on disk beside what is recorded, were not looked at",
            live.join(", "),
            report.held
        ));
    }
    if report.unsealed > 0 {
        lines.push(format!(
            "{} of the rows were written before rows carried checksums: only what follows from their trial was compared",
            report.unsealed
        ));
    }
    for name in &report.unknown {
        lines.push(format!(
            "sweep {name:?}: this version reads its text otherwise, so its places were not compared"
        ));
    }
    for finding in &report.findings {
        lines.push(format!("wrong: {finding}: {}", finding.remedy()));
    }
    for again in &report.again {
        let from = if again.from_step == 0 {
            "its beginning".into()
        } else {
            format!("step {}", again.from_step)
        };
        lines.push(format!(
            "again: {} is trained from {from} to step {}: {} tokens, {}",
            again.trial,
            again.to_step,
            count(again.tokens as f64),
            flops(again.train_flops)
        ));
    }
    for Orphan { path, bytes, what } in orphans {
        lines.push(format!("orphan: {} ({bytes} bytes): {what}", path.display()));
    }
    if !orphans.is_empty() {
        lines.push("orphans do no harm; `outgrow db repair --remove-orphans` removes them".into());
    }
    if report.findings.is_empty() && live.is_empty() {
        lines.push("all is what was written".into());
    }
    lines.join("\n")
}

/// Says where long work is, once it is long.
pub(super) struct Slow {
    last: Instant,
}

impl Slow {
    pub fn new() -> Self {
        Self { last: Instant::now() }
    }

    pub fn tell(&mut self, at: &str) {
        if self.last.elapsed() >= Duration::from_secs(1) {
            self.last = Instant::now();
            eprintln!("looking at {at}");
        }
    }
}
