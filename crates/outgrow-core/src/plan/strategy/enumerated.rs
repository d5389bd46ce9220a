use std::sync::{Arc, OnceLock};

use serde::{Deserialize, Serialize};

use super::{
    Layers, Places, Rule, Sampled, Share, StrategyError, Task,
    lattice::{Axis, Goal, Lattice, Way},
};

/// Every plan of a lattice: axes with a few levels, places, and a number of stages. Each plan has
/// an initial size of its own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct Enumerated {
    pub axes: Vec<Axis>,
    /// Where models may grow, rising.
    pub at: Share<Places>,
    /// A plan grows at most so often.
    pub max_stages: usize,
    /// Where new layers go.
    #[serde(default)]
    pub layers: Layers,
    /// Where plans end.
    #[serde(default, skip_serializing_if = "Goal::is_reached")]
    pub target: Goal,
    /// Its plans, once they are known.
    #[serde(skip)]
    pub ways: Ways,
}

/// Plans in order, made when they are asked for; none if there are too many. It follows from the
/// rest of a strategy, so it tells none from another.
#[derive(Clone, Debug, Default)]
pub struct Ways(OnceLock<Option<Arc<Vec<Way>>>>);

impl PartialEq for Ways {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Enumerated {
    /// What its plans are made of.
    pub fn lattice(&self) -> Lattice {
        let (axes, at, max_stages) = (self.axes.clone(), self.at.clone(), self.max_stages);
        Lattice { axes, at, max_stages, target: self.target }
    }

    /// Its plans in order; none if there are too many.
    pub fn ways(&self) -> Option<&[Way]> {
        let ways = self.ways.0.get_or_init(|| self.lattice().ways().map(Arc::new));
        ways.as_ref().map(|ways| &ways[..])
    }
}

impl Rule for Enumerated {
    fn plans(&self) -> usize {
        // What is no lattice, or too large, is refused when it is sampled.
        self.ways().map_or(1, |ways| ways.len().max(1))
    }

    fn is_enumerated(&self) -> bool {
        true
    }

    fn is_random(&self) -> bool {
        self.layers == Layers::Random
    }

    fn stages(&self) -> usize {
        self.max_stages
    }

    fn sample(&self, task: &Task) -> Result<Sampled, StrategyError> {
        let lattice = self.lattice();
        lattice.check(task.target)?;
        let Some(ways) = self.ways() else {
            return Err(StrategyError::Parameter {
                field: "axes",
                value: "a lattice of too many plans".into(),
                allowed: "at most a hundred thousand: fewer levels, places or stages",
            });
        };
        lattice.sampled(&ways[task.draw.1], task, self.layers)
    }
}
