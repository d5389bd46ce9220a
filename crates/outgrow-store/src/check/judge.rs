//! One row against its trial.

use std::collections::BTreeSet;

use outgrow_core::Epoch;

use super::{finding::Problem, walk::Seen};
use crate::{
    driver::Row,
    intact::{checksum, sum},
    schema::Table,
};

/// A row as it stands in one of the tables.
pub(super) struct Found {
    pub step: u64,
    pub key: u64,
    /// Where it is looked for whether rows are missing.
    pub problem: Option<Problem>,
}

/// A row against its trial. What is wrong with its content comes before what is wrong with its
/// attempt.
pub(super) fn judge(table: &Table, seen: &Seen, sealing: &BTreeSet<i64>, row: &Row) -> Found {
    let width = table.columns.len();
    let key: u64 = row.get(1).unwrap_or(u64::MAX);
    let step = match table.name {
        "growth_event" => {
            seen.trial.expected_growth(key as usize).map_or(u64::MAX, |growth| growth.step)
        }
        _ => key,
    };
    let step = if step == u64::MAX { row.get(2).unwrap_or(step) } else { step };
    let stored = checksum(table, row);
    let sum = sum(table, row);
    let attempt: Option<i64> = row.get(width - 1).ok();
    let (of_trial, epoch) = (
        row.get::<Option<i64>>(width).ok().flatten(),
        row.get::<Option<Epoch>>(width + 1).ok().flatten(),
    );
    let is_sealed = stored.is_some_and(|stored| stored != 0);
    let problem = if sum.is_none() || (is_sealed && sum != stored) {
        Some(Problem::Changed)
    } else if !is_consistent(table, seen, key, row) {
        Some(Problem::Inconsistent)
    } else if of_trial.is_some_and(|trial| trial != seen.number) {
        Some(Problem::OfAnotherTrial)
    } else if of_trial.is_none() {
        Some(Problem::OfNoAttempt).filter(|_| is_sealed).or(Some(Problem::Unsealed))
    } else if !is_sealed && attempt.is_some_and(|attempt| sealing.contains(&attempt)) {
        Some(Problem::Unsealed)
    } else if !is_sealed && epoch > Some(seen.epoch) {
        Some(Problem::Later)
    } else {
        None
    };
    Found { step, key, problem }
}

pub(super) fn is_diverged(table: &Table, row: &Row) -> bool {
    let loss = table.place("loss").or_else(|| table.place("val_loss"));
    loss.is_some_and(|place| !matches!(row.get::<f64>(place), Ok(loss) if loss.is_finite()))
}

/// Whether what follows from the definition is as it follows.
fn is_consistent(table: &Table, seen: &Seen, key: u64, row: &Row) -> bool {
    let (trial, end) = (&seen.trial, seen.trial.steps());
    if table.name == "growth_event" {
        return is_consistent_growth(table, seen, key as usize, row);
    }
    if key > end {
        // A row at no such step is unexpected, which is said of it then.
        return true;
    }
    let tokens = key * trial.step_tokens();
    let is_last =
        table.place("is_last").is_none_or(|place| row.get::<bool>(place).ok() == Some(key == end));
    row.get::<u64>(2).ok() == Some(tokens)
        && row.get::<f64>(3).ok() == Some(trial.plan.train_flops(tokens) as f64)
        && is_last
}

fn is_consistent_growth(table: &Table, seen: &Seen, stage: usize, row: &Row) -> bool {
    let trial = &seen.trial;
    let Some(expected) = trial.expected_growth(stage) else { return true };
    let operators = trial.plan.operator_flops(stage);
    let spent = trial.plan.train_flops(expected.tokens) + operators;
    let text = |column: &str| table.place(column).and_then(|place| row.get::<String>(place).ok());
    let number = |column: &str| table.place(column).and_then(|place| row.get::<u64>(place).ok());
    let flops = |column: &str| table.place(column).and_then(|place| row.get::<f64>(place).ok());
    number("step") == Some(expected.step)
        && number("tokens") == Some(expected.tokens)
        && flops("train_flops") == Some(spent as f64)
        && flops("operator_flops") == Some(operators as f64)
        && text("transforms") == serde_json::to_string(expected.growths).ok()
        && [number("parameters_before"), number("parameters_after")]
            == expected.parameters.map(Some)
        && number("preserving") == Some(expected.preserving.into())
}
