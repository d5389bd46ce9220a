//! What may vary in a plan.

use outgrow_core::{
    plan::strategy::lattice::{Lattice, Levels, Step, Way},
    stream::Stream,
};
use rand::{RngExt, seq::index};
use serde::{Deserialize, Serialize};

/// The plans among which is searched.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Space {
    /// Sizes, places, and how often a plan grows at most.
    pub lattice: Lattice,
    /// What else varies.
    #[serde(default)]
    pub choices: Vec<Choice>,
    /// Whether a plan may be born at its size and never grow.
    #[serde(default)]
    pub born: bool,
}

/// What one of several values is chosen of for a whole plan: where layers go, a learning rate, ...
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Choice {
    /// For people.
    pub name: String,
    /// How many values there are.
    pub values: u8,
    /// It matters only where one of these axes grows; everywhere if there is none.
    #[serde(default)]
    pub of_axes: Vec<usize>,
}

/// A point of a space. Equal plans are equal values: see [`Way`], and what does not matter is 0.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Plan {
    /// From which sizes to which, and where.
    pub way: Way,
    /// Which value of each choice.
    pub choices: Vec<u8>,
}

/// So many draws in a row that are no plan mean that the space has none, or hardly any.
const MOST_DRAWS: usize = 10_000;

impl Space {
    /// Whether a plan is one of its points.
    pub fn contains(&self, plan: &Plan) -> bool {
        let values = |(choice, value): (&Choice, &u8)| {
            *value < choice.values && (choice.matters(&plan.way) || *value == 0)
        };
        self.lattice.contains(&plan.way)
            && (self.born || !plan.way.stages.is_empty())
            && plan.choices.len() == self.choices.len()
            && self.choices.iter().zip(&plan.choices).all(values)
    }

    /// Every plan that grows; none if there are more than a hundred thousand for
    /// each value of the choices.
    pub fn plans(&self) -> Vec<Plan> {
        let mut choices: Vec<Vec<u8>> = vec![vec![]];
        for choice in &self.choices {
            let more = |own: &Vec<u8>| {
                let own = own.clone();
                (0..choice.values).map(move |value| [&own[..], &[value]].concat())
            };
            choices = choices.iter().flat_map(more).collect();
        }
        let ways = self.lattice.ways().unwrap_or_default();
        let plan = |way: Way| {
            choices.iter().map(move |own| Plan { way: way.clone(), choices: own.clone() })
        };
        ways.into_iter().flat_map(plan).filter(|plan| self.contains(plan)).collect()
    }

    /// Draws a plan: the number of stages uniformly, then their places, then for each axis the
    /// levels of the phases in rising order, each choice uniformly; what is no plan, because a stage
    /// would raise nothing, is drawn again. None if there is hardly anything to draw.
    pub fn sample(&self, random: &mut Stream) -> Option<Plan> {
        (0..MOST_DRAWS).map(|_| self.draw(random)).find(|plan| self.contains(plan))
    }

    fn draw(&self, random: &mut Stream) -> Plan {
        let most = self.lattice.max_stages.min(self.lattice.places());
        let stages = random.random_range(usize::from(!self.born)..=most.max(1));
        let mut places = index::sample(random, self.lattice.places().max(1), stages).into_vec();
        places.sort_unstable();
        let mut phases: Vec<Levels> = vec![vec![]; stages + 1];
        for top in self.lattice.top() {
            let drawn = stages + usize::from(!self.lattice.target.is_reached());
            let mut levels: Vec<u8> =
                (0..drawn).map(|_| random.random_range(0..=top)).chain([top]).collect();
            levels.sort_unstable();
            phases.iter_mut().zip(levels).for_each(|(phase, level)| phase.push(level));
        }
        let mut phases = phases.into_iter();
        let initial = phases.next().unwrap_or_default();
        let step = |(place, levels)| Step { place: place as u16, levels };
        let way = Way { initial, stages: places.into_iter().zip(phases).map(step).collect() };
        let choices =
            self.choices.iter().map(|choice| random.random_range(0..choice.values.max(1)));
        self.canonical(Plan { way, choices: choices.collect() })
    }

    /// The plan without what does not matter.
    pub fn canonical(&self, mut plan: Plan) -> Plan {
        for (choice, value) in self.choices.iter().zip(&mut plan.choices) {
            *value = if choice.matters(&plan.way) { *value } else { 0 };
        }
        plan
    }
}

impl Choice {
    fn matters(&self, way: &Way) -> bool {
        let grows = |axis: &usize| way.initial.get(*axis) != way.end().get(*axis);
        self.of_axes.is_empty() || self.of_axes.iter().any(grows)
    }
}
