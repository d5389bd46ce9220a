use serde::{Deserialize, Serialize};

use super::{Layers, Rule, Sampled, Share, StrategyError, Task, path::GrowthPath};
use crate::growth::TransformKind;

/// One axis grows to the target early, all the others in one stage later: what is it worth to have
/// that axis first?
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AxisFirst {
    /// How many plans; they differ where the places of new layers are drawn.
    #[serde(default = "super::one")]
    pub plans: usize,
    /// The transform of the early axis: `mlp_expansion`, `head_addition`, ...
    pub first: TransformKind,
    /// When it grows, and when the rest does.
    pub grow_between: Share<[f64; 2]>,
    /// Where new layers go.
    #[serde(default)]
    pub layers: Layers,
}

impl Rule for AxisFirst {
    fn plans(&self) -> usize {
        self.plans
    }

    fn is_random(&self) -> bool {
        self.layers == Layers::Random
    }

    fn stages(&self) -> usize {
        2
    }

    fn sample(&self, task: &Task) -> Result<Sampled, StrategyError> {
        self.grow_between.check()?;
        let mut route = GrowthPath::new(task, self.layers)?;
        if !route.missing().contains(&self.first) {
            let why = format!(
                "{} is to be the first, but it is at its target from the beginning",
                self.first.axis()
            );
            return Err(StrategyError::Unreachable(why));
        }
        route.close(self.first);
        let first = route.transforms();
        route.close_all();
        let [early, late] = *self.grow_between.of();
        let mut stages = vec![(early, first), (late, route.transforms())];
        stages.retain(|(_, growths)| !growths.is_empty());
        let (initial, measure) = (task.initial.clone(), self.grow_between.measure());
        Ok(Sampled::new(initial, measure, stages))
    }
}
