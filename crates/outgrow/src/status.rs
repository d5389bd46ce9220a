//! Where sweeps stand.

use std::time::Instant;

use outgrow_core::TrialState::{self, Complete, Diverged, Failed, Running, Waiting};
use outgrow_store::{Holder, StoreError, SweepStatus, SweepSummary, TrialDetail};
use serde_json::{Value, json};

use crate::{
    disk,
    error::Error,
    readable::{bytes, count, duration, shown, table},
    workspace::{Workspace, runtime},
};

/// A sweep, where it stands, and what failed.
pub type Found = (SweepSummary, SweepStatus, Vec<(String, String)>);

/// Bytes of a sweep's files. What sweeps share counts for each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sizes {
    /// Of the checkpoints of its trials.
    pub checkpoints: u64,
    /// Of its text as tokens.
    pub text: u64,
}

/// Number of trials in each state, as JSON.
pub fn states(status: &SweepStatus) -> Value {
    status
        .states
        .iter()
        .map(|(state, n)| (state.to_string(), json!(n)))
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
            "trials": states(status), "tuning_trials": status.tuning, "tokens": status.tokens.0, "of_tokens": status.tokens.1,
            "train_flops": status.train_flops.0, "of_train_flops": status.train_flops.1,
            "running": running.collect::<Vec<_>>(), "failures": failures,
            "half_removed": status.total() == 0,
            "notes": sweep.words.notes, "tags": sweep.words.tags })
}

/// Where a sweep stands and what it takes on disk, as JSON.
pub fn with_sizes_as_json((found, sizes): &(Found, Sizes)) -> Value {
    let mut all = as_json(found);
    all["checkpoint_bytes"] = sizes.checkpoints.into();
    all["text_bytes"] = sizes.text.into();
    all
}

/// Where sweeps stand, for people: a table, who is at what, and what failed. The table `fits` the
/// terminal if it is to.
pub fn describe(found: &[(Found, Sizes)], fits: bool) -> String {
    let row = |((sweep, status, _), sizes): &(Found, Sizes)| {
        let number = |state: TrialState| status.count(state).to_string();
        let (done, all) = status.train_flops;
        let mut row = vec![
            sweep.name.clone(),
            sweep.id.chars().take(8).collect(),
            format!("{:.0} %", 100.0 * done / all.max(1.0)),
        ];
        row.extend([Waiting, Running, Complete, Diverged, Failed].map(number));
        row.extend([sizes.checkpoints, sizes.text].map(bytes));
        row
    };
    let header = [
        "sweep",
        "id",
        "compute",
        "waiting",
        "running",
        "complete",
        "diverged",
        "failed",
        "checkpoints",
        "text",
    ];
    let rows: Vec<_> = found.iter().map(row).collect();
    let mut text = table(&header, &rows, &[2, 3, 4, 5, 6, 7, 8, 9], fits);
    for ((sweep, status, failures), _) in found {
        if status.total() == 0 {
            text += &format!("\n{}", shown(&half_removed(sweep)));
        }
        text += &words(sweep).map_or_else(String::new, |words| format!("\n{}", shown(&words)));
        if status.tuning > 0 {
            let then = match status.tuning == status.total() {
                true => "; the others follow where these have chosen",
                false => "",
            };
            let line =
                format!("{}: {} trials only help to choose{then}", sweep.name, status.tuning);
            text += &format!("\n{}", shown(&line));
        }
        for trial in &status.running {
            text += &format!("\n{}", shown(&running_line(trial)));
        }
        for (label, error) in failures {
            text += &format!("\n{}", shown(&format!("{label}: {error}")));
        }
    }
    text
}

/// Every sweep has trials, until `outgrow rm` takes them from it.
fn half_removed(sweep: &SweepSummary) -> String {
    let (name, id) = (&sweep.name, sweep.id.get(..12).unwrap_or(&sweep.id));
    format!(
        "{name}: half removed; `outgrow rm {id}` goes on with it, and `outgrow run` of its sweep \
         file takes what is left of its trials back"
    )
}

/// What a sweep's file says to people: its tags, and the first line of its notes.
fn words(sweep: &SweepSummary) -> Option<String> {
    let tags = sweep.words.tags.iter().map(|tag| format!("#{tag}"));
    let first = sweep.words.notes.iter().filter_map(|notes| notes.trim().lines().next());
    let parts: Vec<String> = tags.chain(first.map(str::to_owned)).collect();
    (!parts.is_empty()).then(|| format!("{}: {}", sweep.name, parts.join(" ")))
}

fn running_line(trial: &TrialDetail) -> String {
    let loss = trial.loss.map_or_else(|| "-".into(), |loss| format!("{loss:.3}"));
    let tokens = format!("{}/{} tokens", count(trial.tokens as f64), count(trial.of_tokens as f64));
    let Holder { host, pid, job, .. } = &trial.holder;
    let job = job.as_ref().map_or_else(String::new, |job| format!(", job {job}"));
    let (label, silent) = (&trial.label, trial.silent_seconds);
    format!(
        "{label}  {tokens}  loss {loss}  on {host}{job}, process {pid}, heard {silent:.0} s ago"
    )
}

/// How fast a sweep goes, from the first look at it on.
pub struct Pace {
    began: Instant,
    /// FLOPs and tokens at the first look.
    first: Option<(f64, f64)>,
    /// The most trials that were in training at once.
    at_once: usize,
}

impl Pace {
    /// Begins to look.
    pub fn new() -> Self {
        Self { began: Instant::now(), first: None, at_once: 0 }
    }

    /// Where the sweep stands, in a line: trials, tokens per second, time left, losses.
    pub fn line(&mut self, status: &SweepStatus) -> String {
        let seconds = self.began.elapsed().as_secs_f64();
        let done = status.train_flops.0;
        let (first_flops, first_tokens) = *self.first.get_or_insert((done, status.tokens.0));
        self.at_once = self.at_once.max(status.running.len());
        let mut text = format!("{}/{} trials", status.ended(), status.total());
        for state in [Failed, Diverged] {
            if status.count(state) > 0 {
                text += &format!(", {} {state}", status.count(state));
            }
        }
        let (flops, tokens) = (done - first_flops, status.tokens.0 - first_tokens);
        if flops > 0.0 && seconds > 2.0 {
            let left = seconds_left(status, flops / seconds, tokens / seconds, self.at_once);
            text += &format!("  {} tokens/s  {} left", count(tokens / seconds), duration(left));
        }
        let running = status
            .running
            .iter()
            .filter_map(|trial| Some(format!("{} {:.3}", shown(&trial.label), trial.loss?)));
        let running: Vec<String> = running.take(3).collect();
        if !running.is_empty() {
            text += &format!("  loss: {}", running.join(", "));
        }
        text
    }
}

/// All that is left at the pace so far; but the longest of the trials in training has one worker alone,
/// whatever the others find to do.
fn seconds_left(status: &SweepStatus, flops: f64, tokens: f64, at_once: usize) -> f64 {
    let (done, all) = status.train_flops;
    let left = |trial: &TrialDetail| trial.of_tokens.saturating_sub(trial.tokens) as f64;
    let longest = status.running.iter().map(left).fold(0.0, f64::max);
    f64::max((all - done).max(0.0) / flops, longest * at_once as f64 / tokens)
}

impl Default for Pace {
    fn default() -> Self {
        Self::new()
    }
}

impl Workspace {
    /// Where every sweep stands and what it takes on disk, or the one of a name or identity.
    ///
    /// # Errors
    /// If there is no such sweep, or no database.
    pub fn status(&self, sweep: Option<&str>) -> Result<Vec<(Found, Sizes)>, Error> {
        runtime()?.block_on(async {
            let store = self.reading().await?;
            let sweeps = match sweep {
                Some(wanted) => vec![store.find_sweep(wanted).await?],
                None => store.sweeps().await?,
            };
            let mut found = vec![];
            for sweep in sweeps {
                let status = store.status(&sweep.id).await?;
                let failures = store.failures(&sweep.id).await?;
                let sizes = self.sizes(&sweep, &store.trials_of(&sweep.id).await?);
                found.push(((sweep, status, failures), sizes));
            }
            Ok::<_, StoreError>(found).map_err(Error::from)
        })
    }

    /// What the trials and the text of a sweep take on disk.
    pub(crate) fn sizes(&self, sweep: &SweepSummary, trials: &[String]) -> Sizes {
        let start = sweep.data_digest.get(..32).unwrap_or(&sweep.data_digest);
        let texts = disk::entries(&self.text()).into_iter();
        let texts =
            texts.filter(|path| disk::name_of(path).is_some_and(|name| name.starts_with(start)));
        Sizes {
            checkpoints: trials.iter().map(|trial| disk::size(&self.checkpoints(trial))).sum(),
            text: texts.map(|path| disk::size(&path)).sum(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_trial_has_one_worker_alone() {
        let running = TrialDetail {
            trial: "0123".into(),
            label: "random/0#0".into(),
            tokens: 4_000,
            of_tokens: 10_000,
            loss: None,
            holder: Holder { host: "here".into(), boot: "1".into(), pid: 1, started: 0, job: None },
            silent_seconds: 0.0,
        };
        let status = SweepStatus {
            train_flops: (94.0, 100.0),
            running: vec![running],
            ..Default::default()
        };
        // Two workers did 1 FLOP and 1,000 tokens a second: 6 FLOPs are left, but to one of them.
        assert_eq!(seconds_left(&status, 1.0, 1_000.0, 2), 12.0);
        let waiting = SweepStatus { train_flops: (40.0, 100.0), ..status };
        assert_eq!(seconds_left(&waiting, 1.0, 1_000.0, 2), 60.0);
    }
}
