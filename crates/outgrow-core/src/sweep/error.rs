//! Why a sweep file is not a sweep.

use thiserror::Error;

use crate::plan::{PlanError, StrategyError};

/// Why a sweep file is not a sweep.
#[derive(Debug, Error)]
#[allow(missing_docs)]
pub enum SweepError {
    /// Not TOML: the parser's own words, with line and column.
    #[error("{0}")]
    Syntax(#[from] toml::de::Error),
    /// An unknown field, or a value of a wrong type.
    #[error("{}", located(field, message, at))]
    Field {
        /// The field with its tables.
        field: String,
        message: String,
        /// Where it stands, and the line; empty where that is unknown.
        at: (String, String),
    },
    /// Fields without a default that a file does not have, each with what to write there.
    #[error("{}", missing(.0))]
    Missing(Vec<(String, String)>),
    /// A value outside its range.
    #[error("`{field}` is {value}; {allowed}")]
    Value {
        /// The field with its table.
        field: String,
        value: String,
        allowed: String,
    },
    /// A strategy that can't be sampled.
    #[error("strategy `{name}`: {error}")]
    Strategy { name: String, error: StrategyError },
    /// A sampled plan that can't be built for this budget.
    #[error("strategy `{name}`: {error}")]
    Plan { name: String, error: PlanError },
}

fn located(field: &str, message: &str, (place, line): &(String, String)) -> String {
    let field = if field.is_empty() { String::new() } else { format!("`{field}`: ") };
    let place = if place.is_empty() { String::new() } else { format!("{place}: ") };
    let line = if line.is_empty() { String::new() } else { format!("\n{line}") };
    format!("{place}{field}{message}{line}")
}

fn missing(fields: &[(String, String)]) -> String {
    let widest = fields.iter().map(|(field, _)| field.len()).max().unwrap_or(0);
    let lines: String =
        fields.iter().map(|(field, hint)| format!("\n  {field:widest$}  {hint}")).collect();
    let what = if fields.len() == 1 { "one field is" } else { "these fields are" };
    format!("{what} missing:{lines}")
}

pub(super) fn bad<T>(field: &str, value: impl ToString, allowed: &str) -> Result<T, SweepError> {
    Err(SweepError::Value {
        field: field.into(),
        value: value.to_string(),
        allowed: allowed.into(),
    })
}

/// A number as people write it: none has three hundred digits.
pub(super) fn shown(value: f64) -> String {
    format!("{value:?}")
}

pub(super) fn at_most(field: &str, value: u64, most: u64) -> Result<(), SweepError> {
    if value > most { bad(field, value, &format!("it must be at most {most}")) } else { Ok(()) }
}

pub(super) fn at_least_one(field: &str, value: u64) -> Result<(), SweepError> {
    if value == 0 { bad(field, value, "it must be at least 1") } else { Ok(()) }
}

/// A number that float32 holds, too.
pub(super) fn positive(field: &str, value: f64) -> Result<(), SweepError> {
    if (1e-30..=1e6).contains(&value) {
        Ok(())
    } else {
        bad(field, shown(value), "it must be a number from 1e-30 to 1e6")
    }
}

pub(super) fn share(field: &str, value: f64) -> Result<(), SweepError> {
    if (0.0..=1.0).contains(&value) {
        Ok(())
    } else {
        bad(field, shown(value), "it must be a share from 0 to 1")
    }
}
