//! Plans on a lattice: axes with a few levels each, and a few places at which a model may grow. A
//! [`Way`] is a plan in these terms; of equal plans there is one.

use serde::{Deserialize, Serialize};

use super::{Layers, Places, Sampled, Share, StrategyError, Task};
use crate::{
    growth::{Sizes, TargetShape},
    model::Architecture,
};

/// What ways are made of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lattice {
    /// What grows together, each with its sizes from small to large; the last of each are the
    /// target's.
    pub axes: Vec<Axis>,
    /// Where a model may grow, rising.
    pub at: Share<Places>,
    /// At most so many of them are used by one way.
    pub max_stages: usize,
    /// Where ways end.
    #[serde(default, skip_serializing_if = "Goal::is_reached")]
    pub target: Goal,
}

/// Where plans end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Goal {
    /// At the target.
    #[default]
    Reached,
    /// At any size up to it.
    Free,
}

impl Goal {
    /// Whether it is at the target.
    pub fn is_reached(&self) -> bool {
        *self == Goal::Reached
    }
}

/// Sizes that grow together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Axis {
    /// For people: `width`.
    pub name: String,
    /// From small to large.
    pub levels: Vec<Sizes>,
}

/// The level of each axis, counted from 0.
pub type Levels = Vec<u8>;

/// A plan: where it begins, and where it grows to what.
///
/// Stages stand at rising places, and each of them raises something: so equal plans are equal
/// values.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Way {
    /// Before the first stage.
    pub initial: Levels,
    /// In order.
    pub stages: Vec<Step>,
}

/// A stage of a way.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Step {
    /// Which of the places.
    pub place: u16,
    /// After it.
    pub levels: Levels,
}

/// No axis has more levels, and no lattice more axes or places.
const MOST: usize = 64;
/// No lattice that is listed has more sizes, ...
const MOST_SIZES: usize = 4096;
/// ... or more ways.
const MOST_WAYS: usize = 100_000;

impl Way {
    /// The levels in each phase: at the beginning, and after each stage.
    pub fn phases(&self) -> impl DoubleEndedIterator<Item = &Levels> {
        (0..=self.stages.len()).map(|number| self.phase(number))
    }

    /// The levels of the phase of this number, 0 the first.
    pub fn phase(&self, number: usize) -> &Levels {
        match number {
            0 => &self.initial,
            number => &self.stages[number - 1].levels,
        }
    }

    /// The levels at its end.
    pub fn end(&self) -> &Levels {
        self.phase(self.stages.len())
    }
}

impl Lattice {
    /// The levels of the target.
    pub fn top(&self) -> Levels {
        self.axes.iter().map(|axis| axis.levels.len().saturating_sub(1) as u8).collect()
    }

    /// How many places there are.
    pub fn places(&self) -> usize {
        self.at.of().0.len()
    }

    /// Whether a way is one of this lattice's.
    pub fn contains(&self, way: &Way) -> bool {
        let top = self.top();
        let within = |levels: &Levels| {
            levels.len() == top.len() && levels.iter().zip(&top).all(|(level, most)| level <= most)
        };
        let rises = |(from, to): (&Levels, &Levels)| {
            from != to && from.iter().zip(to).all(|(from, to)| from <= to)
        };
        let places = || way.stages.iter().map(|step| usize::from(step.place));
        way.stages.len() <= self.max_stages
            && (*way.end() == top || !self.target.is_reached())
            && way.phases().all(within)
            && way.phases().zip(way.phases().skip(1)).all(rises)
            && places().all(|place| place < self.places())
            && places().zip(places().skip(1)).all(|(from, to)| from < to)
    }

    /// Every way that grows, the fewest stages first; none if there are more than a hundred thousand.
    pub fn ways(&self) -> Option<Vec<Way>> {
        let sizes = self.axes.iter().map(|axis| axis.levels.len());
        if sizes.fold(1, usize::saturating_mul) > MOST_SIZES {
            return None;
        }
        let mut ways = vec![];
        for stages in 1..=self.max_stages.min(self.places()) {
            let paths = self.paths(stages)?;
            let more = choices(self.places(), stages).saturating_mul(paths.len());
            if more.saturating_add(ways.len()) > MOST_WAYS {
                return None;
            }
            for places in subsets(self.places(), stages) {
                for path in &paths {
                    let (initial, after) = path.split_first()?;
                    let steps = places.iter().zip(after);
                    let stages =
                        steps.map(|(&place, levels)| Step { place, levels: levels.clone() });
                    ways.push(Way { initial: initial.clone(), stages: stages.collect() });
                }
            }
        }
        Some(ways)
    }

    /// Every sequence of levels with so many rises to where ways end.
    fn paths(&self, stages: usize) -> Option<Vec<Vec<Levels>>> {
        let top = self.top();
        let ends = if self.target.is_reached() { vec![] } else { below(&top) };
        let mut paths: Vec<Vec<Levels>> =
            ends.into_iter().chain([top]).map(|end| vec![end]).collect();
        for _ in 0..stages {
            let longer = paths.iter().flat_map(|path| {
                below(&path[0]).into_iter().map(|levels| [&[levels], &path[..]].concat())
            });
            paths = longer.take(MOST_WAYS + 1).collect();
            if paths.len() > MOST_WAYS {
                return None;
            }
        }
        paths.sort();
        Some(paths)
    }

    /// Refuses a lattice that is none, or whose last levels are not the target's.
    pub(super) fn check(&self, target: &Architecture) -> Result<(), StrategyError> {
        self.at.check_rising()?;
        let refused =
            |field, value: String, allowed| Err(StrategyError::Parameter { field, value, allowed });
        if !(1..=MOST).contains(&self.max_stages) {
            return refused("max_stages", self.max_stages.to_string(), "it must be from 1 to 64");
        }
        if !(1..=MOST).contains(&self.axes.len()) || self.places() > MOST {
            let said = format!("{} axes, {} places", self.axes.len(), self.places());
            return refused("axes", said, "1 to 64 axes, and at most 64 places");
        }
        for axis in &self.axes {
            if !(2..=MOST).contains(&axis.levels.len()) {
                let said = format!("{:?} with {} levels", axis.name, axis.levels.len());
                return refused("axes", said, "each has 2 to 64 levels, from small to large");
            }
        }
        if self.architecture(target, &self.top())? != *target {
            let said = "levels whose last are not the target's".to_owned();
            return refused("axes", said, "the last level of each axis has the sizes of [target]");
        }
        Ok(())
    }

    /// The model at some levels.
    fn architecture(
        &self,
        target: &Architecture,
        levels: &Levels,
    ) -> Result<Architecture, StrategyError> {
        let mut now = target.clone();
        for (axis, &level) in self.axes.iter().zip(levels) {
            let unreachable = |error: String| {
                StrategyError::Unreachable(format!("axis {:?}, level {level}: {error}", axis.name))
            };
            let shape = TargetShape::reach(&now, &axis.levels[usize::from(level)])
                .map_err(|error| unreachable(error.to_string()))?;
            now = Architecture { d_model: shape.d_model, layers: shape.layers, ..now };
            now.validate().map_err(|error| unreachable(error.to_string()))?;
        }
        Ok(now)
    }

    /// A way as a plan whose places are shares of a trial.
    ///
    /// # Errors
    /// If a level is no model, or smaller than the one before it.
    pub fn sampled(
        &self,
        way: &Way,
        task: &Task,
        layers: Layers,
    ) -> Result<Sampled, StrategyError> {
        let initial = self.architecture(task.target, &way.initial)?;
        let mut now = initial.clone();
        let mut stages = vec![];
        for Step { place, levels } in &way.stages {
            let goal = self.architecture(task.target, levels)?;
            let at = self.at.of().0[usize::from(*place)];
            stages.push((at, task.growths(&now, &goal, layers)?));
            now = goal;
        }
        Ok(Sampled::new(initial, self.at.measure(), stages))
    }
}

/// All levels below some, in order.
fn below(levels: &Levels) -> Vec<Levels> {
    let mut all: Vec<Levels> = vec![vec![]];
    for &most in levels {
        let longer =
            all.iter().flat_map(|one| (0..=most).map(|level| [&one[..], &[level]].concat()));
        all = longer.collect();
    }
    all.retain(|one| one != levels);
    all
}

/// How many choices of so many of `n` places there are; a large number where there are too many.
fn choices(n: usize, size: usize) -> usize {
    (0..size).fold(1, |product: usize, i| product.saturating_mul(n - i) / (i + 1))
}

/// All choices of so many of `n` places, in order.
fn subsets(n: usize, size: usize) -> Vec<Vec<u16>> {
    let mut all: Vec<Vec<u16>> = vec![vec![]];
    for _ in 0..size {
        let longer = all.iter().flat_map(|one: &Vec<u16>| {
            let next = one.last().map_or(0, |last| last + 1);
            (next..n as u16).map(|place| [&one[..], &[place]].concat())
        });
        all = longer.collect();
    }
    all
}
