use serde::{Deserialize, Serialize};

use super::{Layers, Places, Rule, Sampled, Share, StrategyError, Task};
use crate::plan::lattice::{Axis, Lattice};

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
}

impl Enumerated {
    fn lattice(&self) -> Lattice {
        let Self { axes, at, max_stages, .. } = self.clone();
        Lattice { axes, at, max_stages }
    }
}

impl Rule for Enumerated {
    fn plans(&self) -> usize {
        let lattice = self.lattice();
        // What is no lattice, or too large, is refused when it is sampled.
        lattice.ways().map_or(1, |ways| ways.len().max(1))
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
        let Some(ways) = lattice.ways() else {
            return Err(StrategyError::Parameter {
                field: "axes",
                value: "a lattice of too many plans".into(),
                allowed: "at most a hundred thousand: fewer levels, places or stages",
            });
        };
        lattice.sampled(&ways[task.draw.1], task, self.layers)
    }
}
