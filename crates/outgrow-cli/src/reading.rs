//! How reading text shows where it stands, and what is said of it.

use std::{
    cell::Cell,
    path::Path,
    time::{Duration, Instant},
};

use outgrow_data::{Listener, Summary};

use outgrow::{Error, SweepFile};

use crate::{output::count, phases::Phases};

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
            eprintln!("reading the text: {percent:.0} % of {}B", count(all as f64));
        }
    }

    fn note(&self, text: &str) {
        eprintln!("note: {text}");
    }
}

/// Reads a sweep file.
pub fn read_sweep(path: &Path) -> Result<SweepFile, Error> {
    let _slow = Phases::new("sampling a plan of each strategy".into());
    SweepFile::read(path)
}

/// Tells what a user should know of a text on standard error.
pub fn warn(summary: &Summary) {
    for warning in summary.warnings() {
        eprintln!("warning: {warning}");
    }
}
