//! Trials to done: claim, train, record; supervise worker processes; resume what was killed.
//!
//! It takes "train this trial" as a function and never learns what training is, so that its own
//! tests use a fake one. It knows no libtorch and no SQL text. A worker is a process: what kills it
//! costs one attempt, never the sweep.

mod backoff;
mod holder;
mod reaper;
mod recorder;
mod spool;
mod supervise;
mod worker;

pub use holder::{is_dead, this_process};
pub use reaper::HEARTBEAT_EVERY;
pub use spool::Spool;
pub use supervise::{Ended, SupervisorEvent, WorkerPool, supervise};
pub use worker::{Failure, Tidy, Train, Trained, Work, work};

use thiserror::Error;

/// Why the work could not go on.
#[derive(Debug, Error)]
pub enum RunnerError {
    /// The database refused.
    #[error(transparent)]
    Store(#[from] outgrow_store::StoreError),
    /// A process can't be started or asked.
    #[error("worker processes: {0}")]
    Process(#[from] std::io::Error),
    /// A trial can't be trained here, through no fault of its own.
    #[error("{0}")]
    Environment(String),
}
