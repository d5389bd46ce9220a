//! How a run shows where it stands: a bar on a terminal, plain lines otherwise.

use std::{
    io::IsTerminal,
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressStyle};
use outgrow_core::TrialState;
use outgrow_store::SweepStatus;

use crate::output::{count, duration, shown};

/// Off a terminal, a line at most so often.
const LINE_EVERY: Duration = Duration::from_secs(15);
/// What the bar is divided into: FLOPs overflow no bar.
const PARTS: u64 = 10_000;

/// Progress of a sweep.
pub struct Progress {
    bar: Option<ProgressBar>,
    began: Instant,
    first: Option<(f64, f64)>,
    last_line: Option<(Instant, u64)>,
}

impl Progress {
    /// Begins to show.
    pub fn new() -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let style = ProgressStyle::with_template("{bar:30} {percent:>3} %  {wide_msg}")
                .expect("a valid template");
            ProgressBar::new(PARTS).with_style(style)
        });
        Self { bar, began: Instant::now(), first: None, last_line: None }
    }

    /// Shows where the sweep stands.
    pub fn show(&mut self, status: &SweepStatus) {
        let (done, all) = status.train_flops;
        let first = *self.first.get_or_insert((done, status.tokens.0));
        let text = self.text(status, first);
        match &self.bar {
            Some(bar) => {
                bar.set_position((done / all.max(1.0) * PARTS as f64) as u64);
                bar.set_message(text);
            }
            None => {
                let due = self.last_line.is_none_or(|(at, ended)| {
                    at.elapsed() >= LINE_EVERY || ended != status.ended()
                });
                if due {
                    self.last_line = Some((Instant::now(), status.ended()));
                    eprintln!("{:>3.0} %  {text}", done / all.max(1.0) * 100.0);
                }
            }
        }
    }

    fn text(&self, status: &SweepStatus, (first_flops, first_tokens): (f64, f64)) -> String {
        let seconds = self.began.elapsed().as_secs_f64();
        let (done, all) = status.train_flops;
        let mut text = format!("{}/{} trials", status.ended(), status.total());
        for state in [TrialState::Failed, TrialState::Diverged] {
            if status.count(state) > 0 {
                text += &format!(", {} {state}", status.count(state));
            }
        }
        let (flops, tokens) = (done - first_flops, status.tokens.0 - first_tokens);
        if flops > 0.0 && seconds > 2.0 {
            let left = (all - done).max(0.0) / (flops / seconds);
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

    /// Prints a line without breaking the bar.
    pub fn note(&self, line: &str) {
        let line = shown(line);
        match &self.bar {
            Some(bar) => bar.suspend(|| eprintln!("{line}")),
            None => eprintln!("{line}"),
        }
    }

    /// Stops showing.
    pub fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
