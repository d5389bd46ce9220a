//! Train populations of transformers that grow while they train, and compare them with models that
//! were born at their size.
//!
//! A [`SweepFile`] says which models are trained, on which text, and how they grow; a [`Workspace`]
//! is a database and the files beside it. What the command `outgrow` does, it does through this
//! crate:
//!
//! ```no_run
//! use outgrow::{ReportOptions, RunOptions, SweepFile, Workspace};
//!
//! # fn main() -> Result<(), outgrow::Error> {
//! let file = SweepFile::read("experiments/quickstart/sweep.toml")?;
//! // `None`: checkpoints and prepared text lie beside the database.
//! let workspace = Workspace::new("quickstart.db".into(), None);
//! // In this process, one trial after another; `&()` and the empty closure hear of progress and
//! // say nothing. Calling it again resumes.
//! workspace.run(&file, &RunOptions::default(), &(), &mut |_| {})?;
//! // Into reports/quickstart, where it replaces nothing but an older report of this sweep.
//! let written = workspace.report(&file.sweep().spec().name, None, ReportOptions::default())?;
//! println!("{}", written.report.answer);
//! # Ok(())
//! # }
//! ```
//!
//! What it does on the way that a user should know, it tells as events of [`tracing`].
//!
//! The crates below have the parts: `outgrow_core` what architectures, growths, plans and sweeps
//! are, `outgrow_train` the training, `outgrow_store` the database, `outgrow_report` the statistics
//! and figures.

#![deny(clippy::print_stderr)]

pub mod bench;
mod clean;
mod databases;
pub mod devices;
mod disk;
pub mod doctor;
mod error;
mod estimates;
pub mod eval;
pub mod export;
mod init;
mod locate;
pub mod models;
mod namesake;
mod nearby;
mod notes;
pub mod page;
mod phases;
pub mod plan;
mod query;
pub mod rank;
pub mod readable;
mod remove;
pub mod repair;
pub mod report;
mod rounds;
mod rows;
pub mod run;
mod sample;
pub mod search;
mod shell;
pub mod slurm;
pub mod status;
mod stopping;
mod sweep_file;
pub mod tables;
pub mod text;
pub mod worker;
mod workspace;

pub use outgrow_core::sweep::Difference;
pub use outgrow_report::{LossUnit, setting_lines};

pub use self::{
    clean::{CleanOptions, Cleaned, Garbage},
    databases::copy_database,
    devices::one_device,
    error::Error,
    export::ExportFormat,
    init::{InitOptions, init},
    nearby::or_meant,
    notes::notes_to_stderr,
    remove::Removal,
    report::ReportOptions,
    run::{Finished, RunOptions},
    sample::SampleOptions,
    slurm::SlurmOptions,
    stopping::{stop_leaving_nothing, told_to_end},
    sweep_file::SweepFile,
    worker::{WorkerOptions, work_on},
    workspace::{DB, FILES, Workspace, runtime},
};
