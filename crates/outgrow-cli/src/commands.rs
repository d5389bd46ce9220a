//! One file for each command.

pub mod bench;
pub mod check;
pub mod clean;
pub mod compare;
pub mod convert;
pub mod data;
pub mod db;
pub mod diff;
pub mod doctor;
pub mod eval;
pub mod export;
pub mod grow;
pub mod init;
pub mod path;
pub mod plan;
pub mod query;
pub mod rank;
pub mod report;
pub mod rm;
pub mod run;
pub mod sample;
pub mod search;
pub mod serve;
pub mod shell;
pub mod status;
pub mod submit;
pub mod worker;

use std::path::PathBuf;

use outgrow::Error;

/// This program, to start workers by.
fn this_program() -> Result<PathBuf, Error> {
    std::env::current_exe().map_err(Error::environment("cannot find this program"))
}
