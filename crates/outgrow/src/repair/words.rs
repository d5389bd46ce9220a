//! What was found, in words and as JSON.

use outgrow_store::{Again, Finding};
use serde_json::{Value, json};

use super::{orphans::Orphan, survey::Survey};
use crate::readable::{count, flops};

const FORGETFUL: &str = "which files beside it belong to it, this database can't tell any more: \
                         none is called an orphan";

impl Survey {
    /// All of it, for programs.
    pub fn as_json(&self) -> Value {
        let Self { database, report, live, orphans, is_forgetful, folders } = self;
        let finding = |finding: &Finding| {
            let mut value = serde_json::to_value(finding).expect("plain data");
            value["text"] = finding.to_string().into();
            value["remedy"] = finding.remedy().into();
            value
        };
        json!({
            "database": database, "whole": report.findings.is_empty(), "live": live,
            "sweeps": report.sweeps, "trials": report.trials, "held": report.held,
            "rows": report.rows, "unsealed_rows": report.unsealed,
            "checkpoints": folders.0, "checkpoint_bytes": folders.1,
            "findings": report.findings.iter().map(finding).collect::<Vec<_>>(),
            "again": report.again, "orphans": orphans, "orphans_known": !is_forgetful, "unknown_sweeps": report.unknown,
            "again_tokens": report.again.iter().map(|again| again.tokens).sum::<u64>(),
            "orphan_bytes": orphans.iter().map(|orphan| orphan.bytes).sum::<u64>(),
        })
    }

    /// All of it, for people: a line for each thing.
    pub fn lines(&self) -> Vec<String> {
        let Self { report, live, orphans, .. } = self;
        let mut lines = vec![self.title()];
        if !live.is_empty() {
            lines.push(format!(
                "a run is live ({}): its {} trials, and what lies on disk beside what is recorded, \
                 were not looked at",
                live.join(", "),
                report.held
            ));
        }
        if report.unsealed > 0 {
            lines.push(format!(
                "{} of the rows were written before rows carried checksums: only what follows from \
                 their trial was compared",
                report.unsealed
            ));
        }
        lines.extend(report.unknown.iter().map(|name| {
            format!(
                "sweep {name:?}: this version reads its text otherwise, so its places were not \
                 compared"
            )
        }));
        let wrong = |finding: &Finding| format!("wrong: {finding}: {}", finding.remedy());
        lines.extend(report.findings.iter().map(wrong));
        lines.extend(report.again.iter().map(again_line));
        lines.extend(orphans.iter().map(orphan_line));
        if !orphans.is_empty() {
            lines.push(
                "orphans do no harm; `outgrow db repair --remove-orphans` removes them".into(),
            );
        }
        if self.is_forgetful {
            lines.push(FORGETFUL.into());
        }
        if report.findings.is_empty() && live.is_empty() {
            lines.push("all is what was written".into());
        }
        lines
    }

    fn title(&self) -> String {
        let Self { database, report, folders: (folders, bytes), .. } = self;
        let states: Vec<String> =
            report.trials.iter().map(|(state, n)| format!("{n} {state}")).collect();
        format!(
            "{database}: {} sweeps, {} trials ({}); whole are {} rows and {folders} checkpoints of \
             {bytes} bytes",
            report.sweeps,
            report.trials.values().sum::<u64>(),
            if states.is_empty() { "none".into() } else { states.join(", ") },
            report.rows,
        )
    }
}

fn again_line(again: &Again) -> String {
    let from = match again.from_step {
        0 => "its beginning".into(),
        step => format!("step {step}"),
    };
    format!(
        "again: {} is trained from {from} to step {}: {} tokens, {}",
        again.trial,
        again.to_step,
        count(again.tokens as f64),
        flops(again.train_flops)
    )
}

fn orphan_line(Orphan { path, bytes, what }: &Orphan) -> String {
    format!("orphan: {} ({bytes} bytes): {what}", path.display())
}
