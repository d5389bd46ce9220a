//! Of plans that are drawn: whether the rule that draws them is compared, or the plans.

use outgrow_core::sweep::{About, SweepSpec};
use serde::Serialize;

use crate::input::Input;

/// A strategy whose plans are drawn, and what its comparison is about.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Drawn {
    /// The strategy.
    pub strategy: String,
    /// What intervals cover: with the rule also the choice of its plans.
    pub about: About,
}

/// The strategies of a sweep whose plans are drawn.
pub fn drawn(input: &Input) -> Vec<Drawn> {
    let strategies = SweepSpec::parse(&input.spec).map_or_else(|_| vec![], |spec| spec.strategies);
    let drawn = |one: outgrow_core::sweep::StrategySpec| {
        Some(Drawn { about: one.about?, strategy: one.name })
    };
    strategies.into_iter().filter_map(drawn).collect()
}
