use rand::seq::SliceRandom;
use serde::{Deserialize, Serialize};

use super::{Rule, Sampled, StrategyError, Task, check_grow_between, path::GrowthPath, spaced};
use crate::{growth::TransformKind, stream::Stream};

/// One axis at a time grows to the target, everywhere at once; the order of the axes is shuffled,
/// the places are evenly spaced over the window.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RandomOrder {
    /// How many plans, each with an order of its own.
    #[serde(default = "super::one")]
    pub plans: usize,
    /// First and last place, as fractions of the trial's tokens.
    pub grow_between: [f64; 2],
}

impl Rule for RandomOrder {
    fn plans(&self) -> usize {
        self.plans
    }

    fn stages(&self) -> usize {
        TransformKind::ALL.len()
    }

    fn sample(&self, task: &Task, rng: &mut Stream) -> Result<Sampled, StrategyError> {
        check_grow_between(self.grow_between)?;
        let mut route = GrowthPath::new(task, rng)?;
        let mut order = route.missing();
        order.shuffle(rng);
        let places = spaced(self.grow_between, order.len().max(1));
        let mut stages = vec![];
        for (number, (&kind, at)) in order.iter().zip(places).enumerate() {
            route.close(kind, rng);
            // New heads and layers begin as small as their neighbours: with unequal targets
            // something may be left.
            if number + 1 == order.len() {
                route.close_all(rng);
            }
            stages.push((at, route.transforms()));
        }
        Ok(Sampled { initial: task.initial.clone(), stages })
    }
}
