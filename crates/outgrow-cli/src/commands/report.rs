//! `outgrow report`.

use crate::{args::Report, failure::Failure, place::Place};

/// Draws a sweep's report.
pub fn report(_place: &Place, _args: &Report) -> Result<(), Failure> {
    Err(Failure::Input("to come".into()))
}
