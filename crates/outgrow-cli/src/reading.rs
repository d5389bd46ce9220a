//! How reading text shows where it stands, and what is said of it.

use std::{
    cell::Cell,
    path::PathBuf,
    time::{Duration, Instant},
};

use outgrow_data::{Listener, Summary};

use outgrow::{Error, SweepFile, or_meant};

use crate::{
    output::{count, say},
    phases::Phases,
};

/// Says nothing of what takes less, and a line at most so often of what takes longer.
const FIRST_AFTER: Duration = Duration::from_secs(1);
const LINE_EVERY: Duration = Duration::from_secs(10);

/// Tells people on standard error.
pub struct Telling {
    next: Cell<Instant>,
    all: Cell<u64>,
    read: Cell<u64>,
}

impl Telling {
    /// Begins to read.
    pub fn new() -> Self {
        Self {
            next: Cell::new(Instant::now() + FIRST_AFTER),
            all: Cell::new(0),
            read: Cell::new(0),
        }
    }
}

impl Listener for Telling {
    fn begin(&self, bytes: u64) {
        self.all.set(self.all.get() + bytes);
    }

    fn read(&self, bytes: u64) {
        self.read.set(self.read.get() + bytes);
        let (read, all, now) = (self.read.get(), self.all.get(), Instant::now());
        if now >= self.next.get() {
            self.next.set(now + LINE_EVERY);
            let percent = (read as f64 / all.max(1) as f64 * 100.0).min(100.0);
            say(&format!("reading the text: {percent:.0} % of {}B", count(all as f64)));
        }
    }

    fn note(&self, text: &str) {
        say(&format!("note: {text}"));
    }
}

/// A sweep file, and what is set on top of it.
#[derive(clap::Args)]
pub struct SweepArgs {
    /// The sweep file
    pub sweep: PathBuf,
    /// Set a field of the sweep file: training.tokens=1e6, strategies.all_at_once.at=0.3; may be
    /// given more than once
    #[arg(long, value_name = "FIELD=VALUE")]
    pub set: Vec<String>,
    /// Seeds of each plan, in place of the file's
    #[arg(long, value_name = "N")]
    pub replicates: Option<usize>,
    /// Seed of all randomness, in place of the file's
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
}

impl SweepArgs {
    /// Reads the sweep.
    pub fn read(&self) -> Result<SweepFile, Error> {
        let _slow = Phases::new("sampling a plan of each strategy".into());
        let replicates = self.replicates.map(|n| format!("replicates={n}"));
        let seed = self.seed.map(|n| format!("seed={n}"));
        let set: Vec<String> = self.set.iter().cloned().chain(replicates).chain(seed).collect();
        let read = SweepFile::read_with(&self.sweep, &set);
        read.map_err(|error| or_meant(error, &self.sweep))
    }
}

/// Tells what a user should know of a text on standard error.
pub fn warn(summary: &Summary) {
    for warning in summary.warnings() {
        say(&format!("warning: {warning}"));
    }
}
