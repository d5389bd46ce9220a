//! How reading text shows where it stands, and what is said of it.

use std::{
    cell::Cell,
    path::Path,
    time::{Duration, Instant},
};

use outgrow_data::{Files, LeftOut, Listener, Summary};

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

/// What a text is, which files it is in, what was left out and what a user should know of it.
pub fn describe(summary: &Summary) -> String {
    let both = |values: [u64; 2], unit: &str| match values {
        [all, 0] => format!("{}{unit}", count(all as f64)),
        [train, validation] => {
            format!(
                "{}{unit} (and {}{unit} of validation)",
                count(train as f64),
                count(validation as f64)
            )
        }
    };
    let counts = &summary.counts;
    let end = match &summary.end_of_text {
        Some(end) => format!(", {end} behind each document"),
        None => String::new(),
    };
    let bytes = if summary.is_bytes { ", which are bytes" } else { "" };
    let own = match &summary.corpus {
        Some(name) => format!("text: {name}"),
        None => {
            format!("text: {}, {}", both(counts.documents, " documents"), both(counts.bytes, "B"))
        }
    };
    format!("{own}: {}{bytes}{end}\n{}", both(counts.tokens, " tokens"), files(summary))
        .trim_end()
        .to_owned()
}

/// Which files a text is in, what was left out and what a user should know of it: a line each.
pub fn files(summary: &Summary) -> String {
    let mut lines: Vec<String> = vec![];
    lines.extend(summary.files.iter().map(|files| files_line("read", files)));
    lines.extend(summary.validation_files.iter().map(|files| files_line("validation", files)));
    lines.extend(left_out_line(&summary.left_out));
    lines.extend(summary.warnings().iter().map(|warning| format!("  warning: {warning}")));
    lines.join("\n")
}

fn files_line(what: &str, files: &Files) -> String {
    let more = files.files - files.first.len() as u64;
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let (n, bytes, first) = (files.files, count(files.bytes as f64), files.first.join(", "));
    format!(
        "  {what}: {n} {} of {}, {bytes}B: {first}{more}",
        if n == 1 { "file" } else { "files" },
        files.kind
    )
}

/// So many of what was left out are named.
const NAMED: usize = 5;

fn left_out_line(left_out: &[LeftOut]) -> Option<String> {
    let first = left_out.iter().take(NAMED).map(|LeftOut { path, why }| format!("{path} ({why})"));
    let first = first.collect::<Vec<_>>().join(", ");
    let more = match left_out.len() {
        0 => return None,
        n if n > NAMED => format!(" and {} more", n - NAMED),
        _ => String::new(),
    };
    Some(format!("  left out: {first}{more}"))
}

/// Tells what a user should know of a text on standard error.
pub fn warn(summary: &Summary) {
    for warning in summary.warnings() {
        eprintln!("warning: {warning}");
    }
}
