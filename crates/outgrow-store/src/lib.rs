//! The results database: the only SQL in the house.
//!
//! It knows sweeps, trials, attempts and the rows that they leave, and keeps three promises.
//! *Claims are exclusive*: a trial has at most one attempt whose epoch is the trial's. *Writes are
//! fenced*: rows carry the epoch of their attempt, and those of an attempt that lost its trial are
//! refused as a whole. *A batch is all or nothing*: events are written in one transaction, and a
//! checkpoint is recorded together with or after every row that precedes it.
//!
//! The database is a SQLite file or a PostgreSQL server's; both keep the same promises, which one
//! suite of tests holds them to. It knows no libtorch, no process, no clock but that of its own
//! records, and no figure.

mod address;
mod blame;
mod check;
mod claim;
mod connect;
mod copy;
mod driver;
mod error;
mod estimates;
mod files;
mod find;
mod identity;
mod insert;
mod intact;
mod lease;
mod live;
mod migrations;
mod open;
mod place;
mod prefix;
mod progress;
mod query;
mod record;
mod refusal;
mod remove;
mod report_rows;
mod round;
mod salvage;
mod schema;
mod status;
mod suggest;
mod tables;
mod views;

pub use address::Address;
pub use check::{
    Again, Finding, Known, Problem, RecordedFolder, Report, Tell, Which, is_missing_table,
};
pub use claim::{Claim, Environment, Holder, Recorded};
pub use copy::Copied;
pub use driver::Cell;
pub use error::StoreError;
pub use files::{Change, KeptCheckpoint, TrialFiles};
pub use find::Namesake;
pub use insert::{Inserted, TextRecord};
pub use lease::{Held, Memory};
pub use open::Store;
pub use place::Place;
pub use prefix::Snapshot;
pub use progress::TrialProgress;
pub use query::{Answer, Batch, Table};
pub use remove::Going;
pub use round::{Round, TrainedAt};
pub use salvage::{back_up, damage, salvage};
pub use status::{SweepStatus, SweepSummary, TrialDetail};
pub use tables::carried_tables;
pub use views::{Kind, PLACE, SWEEP_VIEWS, VIEWS, View};
