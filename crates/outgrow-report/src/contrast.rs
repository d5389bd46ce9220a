//! Differences between any two arms, which the sweep file or the command asks for.

use std::collections::BTreeMap;

use outgrow_core::sweep::ContrastSpec;
use serde::Serialize;

use crate::{
    compare::{difference, paired},
    strategy::{Role, Strategy},
    tested::Tested,
};

/// One arm minus another, seed by seed, each at the best of its learning rates.
#[derive(Clone, Debug, Serialize)]
#[allow(missing_docs)]
pub struct Contrast {
    pub a: String,
    pub b: String,
    /// Final loss of `a` minus that of `b`; none where they share no seed.
    pub loss: Option<Tested>,
    /// Fraction of the control's compute that `a` saves, minus that of `b`; none without a control,
    /// or where a trial of either did not reach the control's loss.
    pub saving: Option<Tested>,
}

/// The contrasts of arms that have evaluations, in the order in which they were asked for; nothing
/// is corrected yet.
pub fn contrasts(asked: &[ContrastSpec], strategies: &[Strategy]) -> Vec<Contrast> {
    let find = |name: &str| strategies.iter().find(|strategy| strategy.name == name);
    let pairs = asked.iter().filter_map(|spec| Some([find(&spec.a)?, find(&spec.b)?]));
    pairs.map(contrast).collect()
}

fn contrast([a, b]: [&Strategy; 2]) -> Contrast {
    let (loss, saving) = (difference(a, b), saving_difference(a, b));
    Contrast { a: a.name.clone(), b: b.name.clone(), loss, saving }
}

/// What one arm saves minus what another does, seed by seed; none where that is not known.
pub fn saving_difference(a: &Strategy, b: &Strategy) -> Option<Tested> {
    Tested::of(&paired(&savings(a)?, &savings(b)?))
}

/// The control saves nothing against itself; of bounds there are no differences.
fn savings(strategy: &Strategy) -> Option<BTreeMap<usize, f64>> {
    if strategy.role == Role::Control {
        return Some(strategy.losses().into_keys().map(|seed| (seed, 0.0)).collect());
    }
    let is_known = strategy.comparison.as_ref().is_some_and(|all| !all.is_censored());
    is_known.then(|| strategy.savings())
}
