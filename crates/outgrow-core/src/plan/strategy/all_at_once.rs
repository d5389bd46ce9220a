use serde::{Deserialize, Serialize};

use super::{Layers, Rule, Sampled, Share, StrategyError, Task, path::GrowthPath};

/// Every axis grows to the target in one stage.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AllAtOnce {
    /// How many plans; they differ where the places of new layers are drawn.
    #[serde(default = "super::one")]
    pub plans: usize,
    /// When.
    pub at: Share<f64>,
    /// Where new layers go.
    #[serde(default)]
    pub layers: Layers,
}

impl Rule for AllAtOnce {
    fn plans(&self) -> usize {
        self.plans
    }

    fn is_random(&self) -> bool {
        self.layers == Layers::Random
    }

    fn sample(&self, task: &Task) -> Result<Sampled, StrategyError> {
        self.at.check()?;
        let mut route = GrowthPath::new(task, self.layers)?;
        route.close_all();
        let transforms = route.transforms();
        let stages = if transforms.is_empty() { vec![] } else { vec![(*self.at.of(), transforms)] };
        Ok(Sampled::new(task.initial.clone(), self.at.measure(), stages))
    }
}
