//! Rows of one table, counted against what must be there.

use std::collections::BTreeMap;

use super::{finding::Problem, judge::Found, walk::Seen};
use crate::schema::Table;

/// How far rows must be there, to the last: the end of what is done, or of what others go on from.
pub(super) struct Horizon {
    pub step: u64,
    /// Whether the last step is evaluated, too.
    pub evaluated: bool,
}

/// Rows of one table, counted against what must be there.
pub(super) struct Tally<'a> {
    pub table: &'static Table,
    seen: &'a Seen,
    horizon: &'a Horizon,
    /// Key and step of the next row that must come; none if there is none.
    due: Option<(u64, u64)>,
    /// How many have each problem, and the first one's step.
    pub problems: BTreeMap<Problem, (u64, u64)>,
    /// The step up to which a state can be used is before this one.
    pub first: Option<u64>,
    pub remove: Vec<u64>,
    pub whole: u64,
}

impl<'a> Tally<'a> {
    pub fn new(table: &'static Table, seen: &'a Seen, horizon: &'a Horizon) -> Self {
        let mut tally = Self {
            table,
            seen,
            horizon,
            due: None,
            problems: Default::default(),
            first: None,
            remove: vec![],
            whole: 0,
        };
        tally.due = tally.after(None);
        tally
    }

    /// Key and step of the row after that of a key.
    fn after(&self, key: Option<u64>) -> Option<(u64, u64)> {
        let trial = &self.seen.trial;
        match self.table.name {
            "growth_event" => {
                let stage = key.map_or(0, |key| key + 1);
                trial.expected_growth(stage as usize).map(|growth| (stage, growth.step))
            }
            "eval_metric" => trial.next_evaluated(key.unwrap_or(0)).map(|step| (step, step)),
            _ => trial.next_recorded(key.unwrap_or(0)).map(|step| (step, step)),
        }
    }

    /// A state of this step or a later one builds on a row of `step`; one of a growth is after the
    /// step that it comes before.
    fn builds_on(&self, step: u64) -> u64 {
        if self.table.name == "growth_event" { step.saturating_add(1) } else { step }
    }

    /// Whether a row of that step must be there.
    fn is_needed(&self, step: u64) -> bool {
        let Horizon { step: end, evaluated } = *self.horizon;
        let last = self.builds_on(step);
        last < end || (last == end && (evaluated || self.table.name != "eval_metric"))
    }

    pub fn take(&mut self, found: Found) {
        while let Some((key, step)) = self.due.filter(|(key, _)| *key < found.key) {
            if self.is_needed(step) {
                self.note(Problem::Missing, step, true);
            }
            self.due = self.after(Some(key));
        }
        let is_due = self.due.is_some_and(|(key, _)| key == found.key);
        if is_due {
            self.due = self.after(Some(found.key));
        }
        let problem = if is_due { found.problem } else { Some(Problem::Unexpected) };
        match problem {
            None => self.whole += 1,
            Some(Problem::OfNoAttempt) => {
                self.whole += 1;
                self.note(Problem::OfNoAttempt, found.step, false);
            }
            Some(problem) => {
                self.remove.push(found.key);
                self.note(problem, found.step, is_due && self.is_needed(found.step));
            }
        }
    }

    /// What must come after the last row.
    pub fn end(&mut self) {
        while let Some((key, step)) = self.due.filter(|(_, step)| self.is_needed(*step)) {
            self.note(Problem::Missing, step, true);
            self.due = self.after(Some(key));
        }
    }

    fn note(&mut self, problem: Problem, step: u64, is_needed: bool) {
        let (rows, first) = self.problems.entry(problem).or_insert((0, step));
        *rows += 1;
        *first = (*first).min(step);
        if is_needed {
            let step = self.builds_on(step);
            self.first = Some(self.first.map_or(step, |first| first.min(step)));
        }
    }
}
