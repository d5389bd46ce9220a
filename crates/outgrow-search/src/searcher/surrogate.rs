use outgrow_core::stream::Stream;
use rand::{RngExt, seq::IndexedRandom};

use super::{Searcher, unknown};
use crate::{
    history::History,
    response::Response,
    space::{Plan, Space},
};

/// Candidates by edits of the best plans and by sampling, the lowest by a response surface that is
/// drawn from its posterior (Thompson 1933).
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs)]
pub struct Surrogate {
    /// Plans that are drawn before the first surface.
    pub first: usize,
    pub candidates: usize,
    /// How many of the best plans are edited.
    pub parents: usize,
}

impl Default for Surrogate {
    fn default() -> Self {
        Self { first: 20, candidates: 200, parents: 10 }
    }
}

impl Searcher for Surrogate {
    fn name(&self) -> &'static str {
        "surrogate"
    }

    fn next(&self, space: &Space, history: &History, random: &mut Stream) -> Option<Plan> {
        let drawn = history.asked.len() < self.first;
        let surface = if drawn { None } else { Response::fit(space, history) };
        let Some(surface) = surface else { return unknown(history, || space.sample(random)) };
        let estimates = history.believed().plans;
        let mut parents: Vec<&Plan> = estimates.keys().copied().collect();
        parents.sort_by(|a, b| estimates[*a].loss.total_cmp(&estimates[*b].loss));
        parents.truncate(self.parents);
        let surface = surface.draw(random);
        let candidates = (0..self.candidates).filter_map(|number| {
            let parent = if number % 2 == 0 { None } else { parents.choose(random) };
            let Some(parent) = parent else { return space.sample(random) };
            let mut plan = (*parent).clone();
            // One to three edits.
            for _ in 0..random.random_range(1..=3) {
                plan = space.neighbour(&plan, random)?.1;
            }
            Some(plan)
        });
        let value = |plan: Plan| (surface.mean(space, &plan), plan);
        let new = candidates.filter(|plan| !history.knows(plan)).map(value);
        let best = new.min_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, plan)| plan);
        best.or_else(|| unknown(history, || space.sample(random)))
    }
}
