use outgrow_core::stream::Stream;

use super::{Searcher, unknown};
use crate::{
    history::History,
    space::{Plan, Space},
};

/// Local search: neighbours of the best plan of a run are tried; after so many of them without a
/// better one the next run begins elsewhere.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs)]
pub struct Local {
    pub patience: usize,
}

impl Default for Local {
    fn default() -> Self {
        Self { patience: 30 }
    }
}

impl Searcher for Local {
    fn name(&self) -> &'static str {
        "local"
    }

    /// The state of the run follows from the outcomes in order of recording.
    fn next(&self, space: &Space, history: &History, random: &mut Stream) -> Option<Plan> {
        let estimates = history.estimates();
        let loss = |plan: &Plan| estimates.get(plan).map_or(f64::INFINITY, |one| one.loss);
        let mut best: Option<&Plan> = None;
        let mut tried = 0;
        for (plan, seed, _) in history.losses() {
            if seed > 0 {
                continue;
            }
            match best {
                Some(own) if loss(plan) >= loss(own) => tried += 1,
                _ => (best, tried) = (Some(plan), 0),
            }
            if tried >= self.patience {
                (best, tried) = (None, 0);
            }
        }
        let near = best.and_then(|best| {
            unknown(history, || space.neighbour(best, random).map(|(_, plan)| plan))
        });
        near.or_else(|| unknown(history, || space.sample(random)))
    }
}
