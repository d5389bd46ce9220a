//! The results database: the only SQL in the house.
//!
//! It knows sweeps, trials, attempts and the rows that they leave, and keeps three promises. *Claims are exclusive*: a trial
//! has at most one attempt whose epoch is the trial's. *Writes are fenced*: rows carry the epoch of their attempt, and those
//! of an attempt that lost its trial are refused as a whole. *A batch is all or nothing*: events are written in one
//! transaction, and a checkpoint is recorded together with or after every row that precedes it.
//!
//! It knows no libtorch, no process and no figure. Every writing transaction begins with BEGIN IMMEDIATE: a transaction that
//! reads first and writes later fails at once under load, whatever the busy timeout.

mod claim;
mod error;
mod open;
mod query;
mod record;
mod sweeps;

pub use claim::{Claim, Environment, Holder, Memory};
pub use error::StoreError;
pub use open::Store;
pub use query::{Cell, Table};
pub use sweeps::{Inserted, SweepStatus, SweepSummary, TrialDetail};
