//! Searchers: rules that ask for what to train next. Each is one small file, and a pure function of
//! the space, the history and a seed: so a search that was killed goes on with the same proposals.

mod evolution;
mod local;
mod random;
mod surrogate;
mod tpe;

use outgrow_core::stream::Stream;

pub use self::{
    evolution::Evolution,
    local::Local,
    random::Random,
    surrogate::{Predictor, Surrogate},
    tpe::Tpe,
};
use crate::{
    history::Known,
    space::{Plan, Space},
};

/// A rule that asks.
pub trait Searcher: Sync {
    /// What sweep files, databases and figures call it.
    fn name(&self) -> &'static str;

    /// The next plan that was not asked for yet; none if the space has no other, or hardly any.
    fn next(&self, space: &Space, known: &Known, random: &mut Stream) -> Option<Plan>;
}

/// So many draws in a row that were asked for before mean that there is hardly anything new.
const MOST_DRAWS: usize = 200;

/// A plan that was not asked for yet.
fn unknown(known: &Known, mut draw: impl FnMut() -> Option<Plan>) -> Option<Plan> {
    (0..MOST_DRAWS).find_map(|_| draw().filter(|plan| !known.knows(plan)))
}
