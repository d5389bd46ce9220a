use serde::{Deserialize, Serialize};

use super::{Rule, Sampled, StrategyError, Task, check_place, path::GrowthPath};
use crate::stream::Stream;

/// Every axis grows to the target in one stage.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AllAtOnce {
    /// How many plans (they differ in where the new layers go).
    #[serde(default = "super::one")]
    pub plans: usize,
    /// When, as a fraction of the trial's tokens.
    pub at: f64,
}

impl Rule for AllAtOnce {
    fn plans(&self) -> usize {
        self.plans
    }

    fn sample(&self, task: &Task, rng: &mut Stream) -> Result<Sampled, StrategyError> {
        check_place(self.at)?;
        let mut route = GrowthPath::new(task, rng)?;
        route.close_all(rng);
        let transforms = route.transforms();
        let stages = if transforms.is_empty() { vec![] } else { vec![(self.at, transforms)] };
        Ok(Sampled { initial: task.initial.clone(), stages })
    }
}
