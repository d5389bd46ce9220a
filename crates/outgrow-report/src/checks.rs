//! What was tried beside some born sizes: other shapes of as many parameters, and other batches.

use outgrow_core::sweep::{BORN_CHECK, DEEPER, WIDER, check_of};
use serde::Serialize;

use crate::{input::Input, interval::Interval, strategy::Strategy};

/// One of them, beside its size.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Check {
    /// The name of the size.
    pub size: String,
    /// What was tried: `deeper`, `wider`, `half_batch`, `twice_batch`.
    pub tried: String,
    /// In the unit of the frontier.
    pub budget: f64,
    /// The rate that it is judged at.
    pub learning_rate: f64,
    /// Its final loss minus that of the size, over the seeds of both, in the report's unit.
    pub difference: Interval,
    /// Whether its ends stand for the size's in the frontier: a shape that is better than its
    /// interval is a size's better shape. A batch is one for all sizes, so another is only told.
    pub is_taken: bool,
}

impl Check {
    /// Whether it ends clearly lower.
    pub fn is_better(&self) -> bool {
        self.difference.bounds.is_some_and(|[_, high]| high < 0.0)
    }
}

/// Of the arms at one budget, those that are tried beside others.
pub fn checks(budget: f64, arms: &[(Strategy, Input)]) -> Vec<Check> {
    let of = |(strategy, arm): &(Strategy, Input)| {
        let is_check = arm.trials[0].kind == BORN_CHECK;
        let (size, tried) = check_of(&strategy.name).filter(|_| is_check)?;
        let base = arms.iter().find(|(other, _)| other.name == size)?.0.losses();
        let both =
            strategy.losses().into_iter().filter_map(|(seed, loss)| Some(loss - base.get(&seed)?));
        let check = Check {
            size: size.to_owned(),
            tried: tried.to_owned(),
            budget,
            learning_rate: strategy.learning_rate,
            difference: Interval::of(&both.collect::<Vec<_>>())?,
            is_taken: false,
        };
        let is_taken = [DEEPER, WIDER].contains(&tried) && check.is_better();
        Some(Check { is_taken, ..check })
    };
    let mut checks: Vec<Check> = arms.iter().filter_map(of).collect();
    // Of two shapes that are better the best.
    for at in 0..checks.len() {
        let rivals = checks.iter().filter(|other| other.size == checks[at].size && other.is_taken);
        let best = rivals.map(|other| other.difference.mean).fold(f64::INFINITY, f64::min);
        checks[at].is_taken &= checks[at].difference.mean <= best;
    }
    checks
}
