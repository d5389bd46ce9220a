use serde::{Deserialize, Serialize};

use super::{Rule, Sampled, StrategyError, Task, check_grow_between, path::GrowthPath, spaced};
use crate::{model::MAX_COUNT, stream::Stream};

/// Every axis grows by an equal share at each of `stages` places, evenly spaced over the window.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct EvenlySpaced {
    /// How many plans (they differ in where the new layers go).
    #[serde(default = "super::one")]
    pub plans: usize,
    pub stages: usize,
    /// First and last place, as fractions of the trial's tokens.
    pub grow_between: [f64; 2],
}

impl Rule for EvenlySpaced {
    fn plans(&self) -> usize {
        self.plans
    }

    fn stages(&self) -> usize {
        self.stages
    }

    fn sample(&self, task: &Task, rng: &mut Stream) -> Result<Sampled, StrategyError> {
        check_grow_between(self.grow_between)?;
        if self.stages == 0 || self.stages > MAX_COUNT {
            let value = self.stages.to_string();
            return Err(StrategyError::Parameter {
                field: "stages",
                value,
                allowed: "it must be from 1 to 16384",
            });
        }
        let mut route = GrowthPath::new(task, rng)?;
        let mut stages = vec![];
        for (number, at) in spaced(self.grow_between, self.stages).into_iter().enumerate() {
            // An equal share of what is left at each of the stages left is an equal share of the
            // whole.
            let left = self.stages - number;
            for kind in route.missing() {
                route.advance(kind, |_, _| true, |gap| (gap + left / 2) / left, rng);
            }
            if left == 1 {
                route.close_all(rng);
            }
            stages.push((at, route.transforms()));
        }
        stages.retain(|(_, transforms)| !transforms.is_empty());
        Ok(Sampled { initial: task.initial.clone(), stages })
    }
}
