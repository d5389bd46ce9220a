use rand::seq::SliceRandom;
use serde::{Deserialize, Serialize};

use super::{Layers, Rule, Sampled, Share, StrategyError, Task, path::GrowthPath};
use crate::growth::TransformKind;

/// One axis at a time grows to the target, everywhere at once; the order of the axes is shuffled,
/// the places are evenly spaced over the window.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RandomOrder {
    /// How many plans, each with an order of its own.
    #[serde(default = "super::one")]
    pub plans: usize,
    /// First and last place.
    pub grow_between: Share<[f64; 2]>,
    /// Where new layers go.
    #[serde(default)]
    pub layers: Layers,
}

impl Rule for RandomOrder {
    fn plans(&self) -> usize {
        self.plans
    }

    fn is_random(&self) -> bool {
        true
    }

    fn stages(&self) -> usize {
        TransformKind::ALL.len()
    }

    fn sample(&self, task: &Task) -> Result<Sampled, StrategyError> {
        self.grow_between.check()?;
        let mut route = GrowthPath::new(task, self.layers)?;
        let mut order = route.missing();
        order.shuffle(&mut task.stream("random_order"));
        let places = self.grow_between.spaced(order.len().max(1));
        let mut stages = vec![];
        for (number, (&kind, at)) in order.iter().zip(places).enumerate() {
            route.close(kind);
            // New heads and layers begin as small as their neighbours: with unequal targets
            // something may be left.
            if number + 1 == order.len() {
                route.close_all();
            }
            stages.push((at, route.transforms()));
        }
        let (initial, measure) = (task.initial.clone(), self.grow_between.measure());
        Ok(Sampled::new(initial, measure, stages))
    }
}
