use outgrow_core::stream::Stream;
use rand::{RngExt, seq::IndexedRandom};

use super::{Searcher, unknown};
use crate::{
    history::Known,
    ridge::Ridge,
    space::{Plan, Space},
    trees::Trees,
};

/// Candidates by edits of the best plans and by sampling, the lowest by a predictor that is drawn from
/// what is believed of it (Thompson 1933).
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs)]
pub struct Surrogate {
    pub predictor: Predictor,
    /// Plans that are drawn before the first prediction.
    pub first: usize,
    pub candidates: usize,
    /// How many of the best plans are edited.
    pub parents: usize,
}

/// What predicts the loss of a plan.
#[derive(Clone, Copy, Debug)]
pub enum Predictor {
    /// A second-order polynomial of when each axis reaches each of its levels: [`Ridge`].
    Ridge,
    /// [`Trees`].
    BoostedTrees,
}

/// Losses of plans, as predicted.
type Prediction<'a> = Box<dyn Fn(&[Plan]) -> Option<Vec<f64>> + 'a>;

impl Predictor {
    /// A prediction drawn from what is believed; none while too little is known.
    fn draw<'a>(
        self,
        space: &'a Space,
        known: &Known,
        random: &mut Stream,
    ) -> Option<Prediction<'a>> {
        let (plans, losses) = known.paired();
        let rows = |of: &dyn Fn(&Plan) -> Vec<f64>| plans.iter().map(|plan| of(plan)).collect();
        Some(match self {
            Predictor::Ridge => {
                let rows: Vec<_> = rows(&|plan| space.features(plan));
                let surface = Ridge::fit(&rows, &losses)?.draw(random);
                let mean = move |plan: &Plan| surface.mean(&space.features(plan));
                Box::new(move |plans| Some(plans.iter().map(&mean).collect()))
            }
            Predictor::BoostedTrees => {
                let rows: Vec<_> = rows(&|plan| space.traits(plan));
                let trees = Trees::draw(&rows, &losses, random)?;
                Box::new(move |plans| {
                    trees.means(&plans.iter().map(|plan| space.traits(plan)).collect::<Vec<_>>())
                })
            }
        })
    }
}

impl Surrogate {
    /// With its usual numbers.
    pub fn with(predictor: Predictor) -> Self {
        Self { predictor, first: 20, candidates: 200, parents: 10 }
    }

    /// What was not asked for yet, half of it one to three edits from the best plans.
    fn candidates(&self, space: &Space, known: &Known, random: &mut Stream) -> Vec<Plan> {
        let mut known_losses: Vec<(&Plan, f64)> =
            known.believed.plans.iter().map(|(plan, own)| (*plan, own.loss)).collect();
        known_losses.sort_by(|a, b| a.1.total_cmp(&b.1));
        let best = known_losses.into_iter().take(self.parents);
        let parents: Vec<&Plan> = best.map(|(plan, _)| plan).collect();
        let candidate = |number| {
            let parent = if number % 2 == 0 { None } else { parents.choose(random) };
            let Some(parent) = parent else { return space.sample(random) };
            let mut plan = (*parent).clone();
            for _ in 0..random.random_range(1..=3) {
                plan = space.neighbour(&plan, random)?.1;
            }
            Some(plan)
        };
        let all = (0..self.candidates).filter_map(candidate);
        all.filter(|plan| !known.knows(plan)).collect()
    }
}

impl Searcher for Surrogate {
    fn name(&self) -> &'static str {
        match self.predictor {
            Predictor::Ridge => "surrogate",
            Predictor::BoostedTrees => "boosted_trees",
        }
    }

    fn next(&self, space: &Space, known: &Known, random: &mut Stream) -> Option<Plan> {
        let knows = known.history.asked.len() >= self.first;
        let prediction = if knows { self.predictor.draw(space, known, random) } else { None };
        let best = prediction.and_then(|predict| {
            let candidates = self.candidates(space, known, random);
            let losses = predict(&candidates)?;
            let best = losses.into_iter().zip(candidates).min_by(|a, b| a.0.total_cmp(&b.0));
            best.map(|(_, plan)| plan)
        });
        best.or_else(|| unknown(known, || space.sample(random)))
    }
}
