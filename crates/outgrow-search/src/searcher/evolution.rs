use outgrow_core::stream::Stream;
use rand::seq::IndexedRandom;

use super::{Searcher, unknown};
use crate::{
    history::Known,
    space::{Plan, Space},
};

/// Regularised evolution (Real et al. 2019): of the youngest plans some are drawn, and the best of
/// these has a child by one edit.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs)]
pub struct Evolution {
    /// How many plans are alive, the last to be recorded.
    pub population: usize,
    /// How many of them compete to be the parent.
    pub tournament: usize,
}

impl Default for Evolution {
    fn default() -> Self {
        Self { population: 12, tournament: 8 }
    }
}

impl Searcher for Evolution {
    fn name(&self) -> &'static str {
        "evolution"
    }

    fn next(&self, space: &Space, known: &Known, random: &mut Stream) -> Option<Plan> {
        let estimates = &known.believed.plans;
        let mut alive: Vec<&Plan> = vec![];
        let losses: Vec<_> = known.history.losses().filter(|(_, seed, _)| *seed == 0).collect();
        for (plan, ..) in losses.into_iter().rev() {
            if alive.len() < self.population {
                alive.push(plan);
            }
        }
        if alive.len() < self.population {
            return unknown(known, || space.sample(random));
        }
        let loss = |plan: &&&Plan| estimates.get(**plan).map_or(f64::INFINITY, |one| one.loss);
        let child = |random: &mut Stream| {
            let rivals = alive.sample(random, self.tournament);
            let parent = rivals.min_by(|a, b| loss(a).total_cmp(&loss(b)))?;
            space.neighbour(parent, random).map(|(_, child)| child)
        };
        unknown(known, || child(random)).or_else(|| unknown(known, || space.sample(random)))
    }
}
