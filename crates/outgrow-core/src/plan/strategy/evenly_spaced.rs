use serde::{Deserialize, Serialize};

use super::{Layers, Rule, Sampled, Share, StrategyError, Task, path::GrowthPath};
use crate::model::MAX_COUNT;

/// Every axis grows by an equal share at each of `stages` places, evenly spaced over the window.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct EvenlySpaced {
    /// How many plans; they differ where the places of new layers are drawn.
    #[serde(default = "super::one")]
    pub plans: usize,
    pub stages: usize,
    /// First and last place.
    pub grow_between: Share<[f64; 2]>,
    /// Where new layers go.
    #[serde(default)]
    pub layers: Layers,
}

impl Rule for EvenlySpaced {
    fn plans(&self) -> usize {
        self.plans
    }

    fn is_random(&self) -> bool {
        self.layers == Layers::Random
    }

    fn stages(&self) -> usize {
        self.stages
    }

    fn sample(&self, task: &Task) -> Result<Sampled, StrategyError> {
        self.grow_between.check()?;
        if self.stages == 0 || self.stages > MAX_COUNT {
            let value = self.stages.to_string();
            return Err(StrategyError::Parameter {
                field: "stages",
                value,
                allowed: "it must be from 1 to 16384",
            });
        }
        let mut route = GrowthPath::new(task, self.layers)?;
        let mut stages = vec![];
        for (number, at) in self.grow_between.spaced(self.stages).into_iter().enumerate() {
            // An equal share of what is left at each of the stages left is an equal share of the
            // whole.
            let left = self.stages - number;
            for kind in route.missing() {
                route.advance(kind, |_, _| true, |gap| (gap + left / 2) / left);
            }
            if left == 1 {
                route.close_all();
            }
            stages.push((at, route.transforms()));
        }
        stages.retain(|(_, transforms)| !transforms.is_empty());
        let (initial, measure) = (task.initial.clone(), self.grow_between.measure());
        Ok(Sampled::new(initial, measure, stages))
    }
}
