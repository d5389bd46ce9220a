//! How a run shows where it stands: a bar on a terminal, plain lines otherwise.

use std::{
    io::IsTerminal,
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressStyle};
use outgrow::status::Pace;
use outgrow_store::SweepStatus;

use crate::output::{say, shown};

/// Off a terminal, a line at most so often.
const LINE_EVERY: Duration = Duration::from_secs(15);
/// What the bar is divided into: FLOPs overflow no bar.
const PARTS: u64 = 10_000;

/// Progress of a sweep.
pub struct Progress {
    bar: Option<ProgressBar>,
    pace: Pace,
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
        Self { bar, pace: Pace::new(), last_line: None }
    }

    /// Shows where the sweep stands.
    pub fn show(&mut self, status: &SweepStatus) {
        let (done, all) = status.train_flops;
        let text = self.pace.line(status);
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
                    say(&format!("{:>3.0} %  {text}", done / all.max(1.0) * 100.0));
                }
            }
        }
    }

    /// Prints a line without breaking the bar.
    pub fn note(&self, line: &str) {
        let line = shown(line);
        match &self.bar {
            Some(bar) => bar.suspend(|| say(&line)),
            None => say(&line),
        }
    }

    /// Stops showing.
    pub fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
