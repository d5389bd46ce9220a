//! What can be wrong with a database, in words.

use std::fmt;

use serde::Serialize;

/// A trial as people find it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Which {
    /// Identity by content.
    pub trial: String,
    /// `random/3#1`: strategy, plan and replicate of one of its places; none if it has no place.
    pub label: Option<String>,
}

impl fmt::Display for Which {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let id = self.trial.get(..8).unwrap_or(&self.trial);
        match &self.label {
            Some(label) => write!(f, "{label} ({})", id.escape_debug()),
            None => write!(f, "trial {}", id.escape_debug()),
        }
    }
}

/// What is wrong with a recorded row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Problem {
    /// It is not there.
    Missing,
    /// Nothing is recorded at that step or stage.
    Unexpected,
    /// Its numbers are not those that were written.
    Changed,
    /// Tokens, FLOPs or sizes are not those of its step.
    Inconsistent,
    /// It names an attempt at another trial.
    OfAnotherTrial,
    /// It names an attempt that is not there.
    OfNoAttempt,
    /// Its attempt has a later epoch than the trial.
    Later,
    /// It carries no checksum, unlike others of its attempt.
    Unsealed,
}

impl Problem {
    fn words(self) -> &'static str {
        match self {
            Problem::Missing => "missing",
            Problem::Unexpected => "at steps where nothing is recorded",
            Problem::Changed => "not what was written",
            Problem::Inconsistent => "with tokens, FLOPs or sizes that are not those of their step",
            Problem::OfAnotherTrial => "written by an attempt at another trial",
            Problem::OfNoAttempt => "written by an attempt that is not there",
            Problem::Later => "of a later epoch than the trial's",
            Problem::Unsealed => "without a checksum beside others with one",
        }
    }
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum Finding {
    /// The file's structure is damaged; what the database itself says of it.
    Damage { said: String },
    /// Rows of a table that could not be read, or were none of ours, when a damaged file was saved.
    Unreadable { table: &'static str, saved: u64, refused: u64 },
    /// A table, view or index is not the one that this version makes.
    Schema { what: String, name: String, missing: bool },
    /// A trial's state is none that is ever written.
    State { trial: Which, found: String },
    /// A sweep's text does not give its identity.
    SweepText { sweep: String, name: String },
    /// A sweep's name is not the one in its text.
    SweepName { sweep: String, found: String, expected: String },
    /// Places of a sweep that are missing, or not those that its text means.
    Places { sweep: String, name: String, rows: u64 },
    /// Rows of shared prefixes that are wrong.
    SharedPrefixes { sweep: String, name: String, rows: u64 },
    /// Rows of something that is not there.
    Dangling { table: &'static str, of: &'static str, rows: u64 },
    /// A trial's definition or identity is damaged, and its sweep tells it.
    Definition { trial: Which },
    /// A trial's definition or identity is damaged, and no sweep tells it.
    Lost { trial: Which },
    /// A column that repeats what the definition says, and does not.
    Column { trial: Which, column: &'static str },
    /// The trial's epoch is older than those of its attempts.
    Epoch { trial: Which, found: i64, expected: i64 },
    /// Rows of a trial.
    Rows { trial: Which, table: &'static str, problem: Problem, rows: u64, first_step: u64 },
    /// A trial that has diverged, though all its numbers are finite.
    NotDiverged { trial: Which },
    /// Attempts that are open, though nobody works at them.
    Open { trial: Which, attempts: u64 },
    /// A trial that is running, though nobody holds it.
    Unheld { trial: Which },
    /// A recorded checkpoint that can't be used.
    Checkpoint { trial: Which, step: u64, bytes: u64, why: String },
    /// A recorded state that other trials begin from and that can't be used.
    Snapshot { trial: Which, step: u64, why: String },
}

impl Finding {
    /// What `repair` makes of it.
    pub fn remedy(&self) -> &'static str {
        match self {
            Finding::Damage { .. } => "what can be read is saved into a new file",
            Finding::Unreadable { .. } => "what is left of it is saved",
            Finding::Schema { what, missing: false, .. } if what == "table" => {
                "stays: `outgrow db copy` into a new database leaves it behind"
            }
            Finding::Schema { .. } => "made anew",
            Finding::State { .. } => "waits for a worker",
            Finding::SweepText { .. } => {
                "forgotten; `outgrow run` of the sweep file enters it again, and finds its trials"
            }
            Finding::SweepName { .. } | Finding::Places { .. } => {
                "written anew from the sweep's text"
            }
            Finding::SharedPrefixes { .. } => {
                "forgotten: those trials are trained from their first step"
            }
            Finding::Dangling { of: "an environment", .. } => "kept, at an unknown place",
            Finding::Dangling { .. } => "removed",
            Finding::Definition { .. } => "written anew from the sweep's text",
            Finding::Lost { .. } => {
                "removed with its rows; `outgrow run` of its sweep file trains it again"
            }
            Finding::Column { .. } => "written anew from the definition",
            Finding::Epoch { .. } => "raised",
            Finding::Rows { problem: Problem::Missing, .. } => "trained again",
            Finding::Rows { problem: Problem::OfNoAttempt, .. } => {
                "kept; an attempt takes the place of the lost one"
            }
            Finding::Rows { .. } => "removed, and trained again where they are needed",
            Finding::NotDiverged { .. } => "trained again",
            Finding::Open { .. } => "closed",
            Finding::Unheld { .. } => "waits for a worker",
            Finding::Checkpoint { .. } => "forgotten; the numbers stay",
            Finding::Snapshot { .. } => "forgotten",
        }
    }
}

impl Finding {
    /// Whether files may belong to the database of which it can't say so any more: its sweeps,
    /// trials, checkpoints or states that others begin from are not all known.
    pub fn hides_files(&self) -> bool {
        let tells = |table: &str| ["sweep", "trial", "checkpoint", "snapshot"].contains(&table);
        match self {
            Finding::Unreadable { table, .. } => tells(table),
            Finding::Schema { what, name, missing } => *missing && what == "table" && tells(name),
            Finding::SweepText { .. } | Finding::Lost { .. } => true,
            Finding::Dangling { of, .. } => matches!(*of, "a sweep" | "a trial"),
            _ => false,
        }
    }

    /// The trial that it is about, if it is about one.
    fn trial(&self) -> Option<&Which> {
        match self {
            Finding::Definition { trial }
            | Finding::Lost { trial }
            | Finding::Column { trial, .. }
            | Finding::Epoch { trial, .. }
            | Finding::Rows { trial, .. }
            | Finding::NotDiverged { trial }
            | Finding::Open { trial, .. }
            | Finding::Unheld { trial }
            | Finding::State { trial, .. }
            | Finding::Checkpoint { trial, .. }
            | Finding::Snapshot { trial, .. } => Some(trial),
            Finding::Damage { .. }
            | Finding::Unreadable { .. }
            | Finding::Schema { .. }
            | Finding::SweepText { .. }
            | Finding::SweepName { .. }
            | Finding::Places { .. }
            | Finding::SharedPrefixes { .. }
            | Finding::Dangling { .. } => None,
        }
    }

    /// What is wrong; not of which trial.
    fn words_of_sweep(&self) -> String {
        match self {
            Finding::SweepText { sweep, name } => {
                format!("sweep {name:?} ({}): its text is not what was written", short(sweep))
            }
            Finding::SweepName { sweep, found, expected } => {
                format!("sweep {}: is called {found:?}, its text says {expected:?}", short(sweep))
            }
            Finding::Places { sweep, name, rows } => format!(
                "sweep {name:?} ({}): {rows} places are missing, or not those that its text means",
                short(sweep)
            ),
            Finding::SharedPrefixes { sweep, name, rows } => format!(
                "sweep {name:?} ({}): {rows} trials are said to share a prefix with others, and do not",
                short(sweep)
            ),
            _ => String::new(),
        }
    }

    fn words(&self) -> String {
        match self {
            Finding::Damage { said } => {
                format!("the file is damaged: {}", said.replace('\n', "; "))
            }
            Finding::Unreadable { table, saved, refused: 0 } => {
                format!("{table}: a part can't be read; {saved} rows can")
            }
            Finding::Unreadable { table, saved, refused } => format!(
                "{table}: a part can't be read, or is no such row ({refused}); {saved} rows can"
            ),
            Finding::Schema { what, name, missing } => {
                let wrong = if *missing { "is missing" } else { "is not the one of this version" };
                format!("the {what} {name} {wrong}: queries of it give other numbers, or none")
            }
            Finding::State { found, .. } => {
                format!("its state is {found:?}, which is never written")
            }
            Finding::SweepText { .. }
            | Finding::SweepName { .. }
            | Finding::Places { .. }
            | Finding::SharedPrefixes { .. } => self.words_of_sweep(),
            Finding::Dangling { table, of, rows } => {
                format!("{table}: {rows} rows of {of} that is not there")
            }
            Finding::Definition { .. } => "its definition does not give its identity".into(),
            Finding::Lost { .. } => {
                "its definition does not give its identity, and no sweep here has it".into()
            }
            Finding::Column { column, .. } => {
                format!("{column} is not what its definition says")
            }
            Finding::Epoch { found, expected, .. } => {
                format!("has epoch {found}, and an attempt of epoch {expected}")
            }
            Finding::Rows { table, problem, rows, first_step, .. } => {
                let (rows_are, problem) = (named(table, *rows), problem.words());
                format!("{rows} {rows_are} {problem}, the first at step {first_step}")
            }
            Finding::NotDiverged { .. } => "has diverged, but no recorded loss has".into(),
            Finding::Open { attempts, .. } => {
                format!("{attempts} attempts are open, though nobody works at them")
            }
            Finding::Unheld { .. } => "is running, though nobody holds it".into(),
            Finding::Checkpoint { step, bytes, why, .. } => {
                format!("its checkpoint of step {step} ({bytes} bytes) can't be used: {why}")
            }
            Finding::Snapshot { step, why, .. } => {
                format!("the state of step {step} that others begin from can't be used: {why}")
            }
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.trial() {
            Some(trial) => write!(f, "{trial}: {}", self.words()),
            None => f.write_str(&self.words()),
        }
    }
}

fn short(id: &str) -> std::str::EscapeDebug<'_> {
    id.get(..8).unwrap_or(id).escape_debug()
}

/// What the rows of a table are.
fn named(table: &str, rows: u64) -> String {
    let one = match table {
        "step_metric" => "step",
        "eval_metric" => "evaluation",
        "growth_event" => "growth event",
        other => other,
    };
    format!("{one}{} {}", if rows == 1 { "" } else { "s" }, if rows == 1 { "is" } else { "are" })
}
