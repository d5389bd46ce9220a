use outgrow_core::stream::Stream;

use super::{Searcher, unknown};
use crate::{
    history::{Asked, Known},
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

    /// The state of the run follows from the outcomes in order of recording. What was asked for
    /// before a run ended belongs to none.
    fn next(&self, space: &Space, known: &Known, random: &mut Stream) -> Option<Plan> {
        let believed = &known.believed.plans;
        let loss = |plan: &Plan| believed.get(plan).map_or(f64::INFINITY, |one| one.loss);
        let mut best: Option<&Plan> = None;
        let (mut tried, mut ended) = (0, 0);
        for (number, outcome) in known.history.outcomes.iter().enumerate() {
            let Some(Asked { plan, seed: 0, after }) = known.history.asked.get(outcome.asked)
            else {
                continue;
            };
            if *after < ended {
                continue;
            }
            match best {
                Some(own) if loss(plan) >= loss(own) => tried += 1,
                _ if loss(plan).is_finite() => (best, tried) = (Some(plan), 0),
                _ => {}
            }
            if tried >= self.patience {
                (best, tried, ended) = (None, 0, number + 1);
            }
        }
        let near = best.and_then(|best| {
            unknown(known, || space.neighbour(best, random).map(|(_, plan)| plan))
        });
        near.or_else(|| unknown(known, || space.sample(random)))
    }
}
