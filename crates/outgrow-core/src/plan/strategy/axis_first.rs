use serde::{Deserialize, Serialize};

use super::{Rule, Sampled, StrategyError, Task, check_grow_between, path::GrowthPath};
use crate::{growth::TransformKind, stream::Stream};

/// One axis grows to the target early, all the others in one stage later: what is it worth to have
/// that axis first?
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AxisFirst {
    /// How many plans (they differ in where the new layers go).
    #[serde(default = "super::one")]
    pub plans: usize,
    /// The transform of the early axis: `mlp_expansion`, `head_addition`, ...
    pub first: TransformKind,
    /// When it grows, and when the rest does, as fractions of the trial's tokens.
    pub grow_between: [f64; 2],
}

impl Rule for AxisFirst {
    fn plans(&self) -> usize {
        self.plans
    }

    fn stages(&self) -> usize {
        2
    }

    fn sample(&self, task: &Task, rng: &mut Stream) -> Result<Sampled, StrategyError> {
        check_grow_between(self.grow_between)?;
        let mut route = GrowthPath::new(task, rng)?;
        if !route.missing().contains(&self.first) {
            let why = format!(
                "{} is to be the first, but it is at its target from the beginning",
                self.first.axis()
            );
            return Err(StrategyError::Unreachable(why));
        }
        route.close(self.first, rng);
        let first = route.transforms();
        route.close_all(rng);
        let mut stages =
            vec![(self.grow_between[0], first), (self.grow_between[1], route.transforms())];
        stages.retain(|(_, growths)| !growths.is_empty());
        Ok(Sampled { initial: task.initial.clone(), stages })
    }
}
