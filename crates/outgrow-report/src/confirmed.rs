//! What searches of other sweeps believed of plans, beside what the sweep measures.

use outgrow_core::sweep::budget_text;
use serde::Serialize;

use crate::{born::Born, input::Input, interval::Interval, searched::Promise};

/// A promise beside what was measured.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[allow(missing_docs)]
pub struct Confirmed {
    /// The arm that has the plan.
    pub arm: String,
    pub promise: Promise,
    /// The gap of the arm at that budget, corrected as in the table of gaps.
    pub gap: Interval,
}

/// Every promise that a growing arm can be held to: it has that plan alone, and a gap at that budget.
pub fn confirmed(input: &Input, born: Option<&Born>) -> Vec<Confirmed> {
    let of = |promise: &Promise| {
        let (_, gap) = born?.gaps().find(|(budget, gap)| {
            let mut own = input.trials.iter().filter(|trial| {
                trial.strategy == gap.arm && trial.budget.map(budget_text).as_ref() == Some(budget)
            });
            *budget == promise.budget && own.all(|trial| trial.grown_by() == promise.plan)
        })?;
        let against = gap.against.as_ref().ok()?;
        let (arm, gap) = (gap.arm.clone(), against.gap.corrected);
        Some(Confirmed { arm, promise: promise.clone(), gap })
    };
    input.promises.iter().filter_map(of).collect()
}
