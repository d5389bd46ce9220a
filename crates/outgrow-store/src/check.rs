//! Whether a database holds what was written to it, and what to do where it does not.
//!
//! Looking and mending are one walk: each finding stands beside the statement that mends it, which
//! is carried out or not. So what `check` says is what `repair` does, and a second `repair` finds
//! nothing.

mod dangling;
mod finding;
mod folders;
mod judge;
mod known;
mod report;
mod rows;
mod run;
mod schema;
mod states;
mod sweeps;
mod tally;
mod trials;
mod walk;

pub use self::{
    finding::{Finding, Problem, Which},
    folders::RecordedFolder,
    known::{Known, Tell},
    report::{Again, Report},
    schema::is_missing_table,
};
