//! `outgrow db check`: what is wrong with a database and its files.

use super::DbCheck;
use std::time::{Duration, Instant};

use outgrow::{Error, Workspace};

use crate::output::{print, print_json, say};

/// Looks at everything, changes nothing.
pub fn check(place: &Workspace, args: &DbCheck) -> Result<(), Error> {
    let place = of(place, args);
    let mut slow = Slow::new();
    let survey = place.check(&mut |at| slow.tell(at))?;
    match args.json {
        true => print_json(&survey.as_json())?,
        false => print(&survey.lines().join("\n"))?,
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
            say(&format!("looking at {at}"));
        }
    }
}
