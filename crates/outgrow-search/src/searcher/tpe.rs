use std::collections::BTreeSet;

use outgrow_core::{
    plan::strategy::lattice::{Levels, Step, Way},
    stream::Stream,
};
use tpe::{
    TpeOptimizer, TpeOptimizerBuilder, categorical_range, histogram_estimator, parzen_estimator,
};

use super::{Searcher, unknown};
use crate::{
    history::Known,
    space::{Choice, Plan, Space},
};

/// The tree-structured Parzen estimator (Bergstra et al. 2011) on a flat list of numbers: at which of the
/// places each level of each axis is reached, every number for itself.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs)]
pub struct Tpe {
    /// Plans that are drawn before the first estimate.
    pub first: usize,
    /// Estimates are made of at most so many plans, the last that were recorded.
    pub memory: usize,
}

/// So many in a row that are no plan, or known, mean that there is hardly anything new near the best.
const MOST_ASKS: usize = 30;

/// The share of plans that count as good, ...
const GOOD: f64 = 0.2;
/// ... and values that the best is taken of: of many it is nearly always the same, and the search ends
/// where it began to be good.
const CANDIDATES: usize = 3;

impl Default for Tpe {
    fn default() -> Self {
        Self { first: 20, memory: 1000 }
    }
}

impl Searcher for Tpe {
    fn name(&self) -> &'static str {
        "tpe"
    }

    fn next(&self, space: &Space, known: &Known, random: &mut Stream) -> Option<Plan> {
        if known.history.asked.len() < self.first {
            return unknown(known, || space.sample(random));
        }
        let believed = &known.believed.plans;
        let mut numbers = Numbers::of(space)?;
        let recorded = known.history.losses().filter(|(_, seed, _)| *seed == 0);
        let recorded: Vec<&Plan> = recorded.map(|(plan, ..)| plan).collect();
        for plan in recorded.iter().rev().take(self.memory) {
            numbers.tell(plan, believed[plan].loss, space.lattice.places());
        }
        let new = (0..MOST_ASKS).find_map(|_| {
            let plan = numbers.ask(space, random)?;
            // Where the best is known, what is beside it is asked for.
            let plan = if known.knows(&plan) { space.neighbour(&plan, random)?.1 } else { plan };
            (!known.knows(&plan)).then_some(plan)
        });
        new.or_else(|| unknown(known, || space.sample(random)))
    }
}

/// The numbers that make a plan.
struct Numbers {
    /// Of each level of each axis but the lowest: 0 from the beginning, or one more than the place at
    /// which it is reached; where plans may end below the target, one more than the last place is never.
    reached: Vec<Vec<TpeOptimizer>>,
    choices: Vec<TpeOptimizer>,
}

impl Numbers {
    /// None if there is nothing to choose.
    fn of(space: &Space) -> Option<Self> {
        let usual = || {
            let mut usual = TpeOptimizerBuilder::new();
            usual.gamma(GOOD).candidates(CANDIDATES);
            usual
        };
        let new = |estimator, n: usize| usual().build(estimator, categorical_range(n).ok()?).ok();
        let never = usize::from(!space.lattice.target.is_reached());
        let place = |_| new(parzen_estimator(), space.lattice.places() + 1 + never);
        let axis = |top: u8| (0..top).map(place).collect::<Option<Vec<_>>>();
        let choice = |choice: &Choice| new(histogram_estimator(), choice.values.into());
        Some(Self {
            reached: space.lattice.top().into_iter().map(axis).collect::<Option<_>>()?,
            choices: space.choices.iter().map(choice).collect::<Option<_>>()?,
        })
    }

    fn tell(&mut self, plan: &Plan, loss: f64, places: usize) {
        // A number of a plan of the space is within its range, and no loss that is believed is NaN.
        let tell = |of: &mut TpeOptimizer, number: f64| {
            let _ = of.tell(number, loss);
        };
        let way = &plan.way;
        for (axis, levels) in self.reached.iter_mut().enumerate() {
            for (below, of) in levels.iter_mut().enumerate() {
                let phase = way.phases().position(|levels| usize::from(levels[axis]) > below);
                let number = match phase {
                    Some(0) => 0,
                    Some(phase) => usize::from(way.stages[phase - 1].place) + 1,
                    None => places + 1,
                };
                // In the middle of what is cut down to it when it is asked for.
                tell(of, 0.5 + number as f64);
            }
        }
        for (choice, value) in self.choices.iter_mut().zip(&plan.choices) {
            tell(choice, f64::from(*value));
        }
    }

    /// Levels are reached in their order; of too many places the two that are the nearest become the
    /// earlier of them.
    fn ask(&mut self, space: &Space, random: &mut Stream) -> Option<Plan> {
        let mut ask = |of: &mut TpeOptimizer| of.ask(random).ok().map(|number| number as u16);
        let axis = |levels: &mut Vec<TpeOptimizer>| levels.iter_mut().map(&mut ask).collect();
        let mut reached: Vec<Vec<u16>> =
            self.reached.iter_mut().map(axis).collect::<Option<_>>()?;
        let choices = self.choices.iter_mut().map(|of| ask(of).map(|value| value as u8));
        let choices = choices.collect::<Option<_>>()?;
        let last = space.lattice.places() as u16;
        let places = merged(&mut reached, last, space.lattice.max_stages);
        let after = |place: u16| -> Levels {
            let levels = |own: &Vec<u16>| own.iter().filter(|own| **own <= place).count() as u8;
            reached.iter().map(levels).collect()
        };
        let step = |&place: &u16| Step { place: place - 1, levels: after(place) };
        let way = Way { initial: after(0), stages: places.iter().map(step).collect() };
        let plan = space.canonical(Plan { way, choices });
        space.contains(&plan).then_some(plan)
    }
}

/// The places at which anything is reached, at most so many.
fn merged(reached: &mut [Vec<u16>], last: u16, most: usize) -> BTreeSet<u16> {
    loop {
        let all = reached.iter().flatten().copied().filter(|place| (1..=last).contains(place));
        let places: BTreeSet<u16> = all.collect();
        let pairs = places.iter().zip(places.iter().skip(1));
        let nearest = pairs.min_by_key(|(earlier, later)| *later - *earlier);
        let Some((earlier, later)) = nearest.filter(|_| places.len() > most) else { return places };
        let moved = reached.iter_mut().flatten().filter(|place| *place == later);
        moved.for_each(|place| *place = *earlier);
    }
}
