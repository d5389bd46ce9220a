use serde::{Deserialize, Serialize};

use super::{Layers, Rule, Sampled, Share, StrategyError, Task, by_operator::Places};
use crate::{
    growth::{Sizes, TargetShape},
    model::Architecture,
};

/// A plan that is written out: at each place, the sizes that the model grows to. The last place
/// leads to the target, or to sizes of its own where there are as many as places.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Listed {
    /// Where it grows, rising; one place may stand without a list.
    pub at: Share<Places>,
    /// What it grows to at each place; what is left out stays as it is.
    #[serde(default)]
    pub sizes: Vec<Sizes>,
    /// Where new layers go.
    #[serde(default)]
    pub layers: Layers,
}

impl Rule for Listed {
    fn is_random(&self) -> bool {
        self.layers == Layers::Random
    }

    fn stages(&self) -> usize {
        self.at.of().0.len()
    }

    fn sample(&self, task: &Task) -> Result<Sampled, StrategyError> {
        self.at.check_rising()?;
        let places = &self.at.of().0;
        if ![places.len(), places.len() - 1].contains(&self.sizes.len()) {
            return Err(StrategyError::Parameter {
                field: "sizes",
                value: format!("a list of {}", self.sizes.len()),
                allowed: "one for each place in `at`, or one fewer where the last leads to the \
                          target",
            });
        }
        let mut now = task.initial.clone();
        let mut stages = vec![];
        for (number, at) in places.iter().enumerate() {
            let goal = match self.sizes.get(number) {
                Some(sizes) => reach(&now, sizes)?,
                None => task.target.clone(),
            };
            stages.push((*at, task.growths(&now, &goal, self.layers)?));
            now = goal;
        }
        stages.retain(|(_, transforms)| !transforms.is_empty());
        let (initial, measure) = (task.initial.clone(), self.at.measure());
        Ok(Sampled::new(initial, measure, stages))
    }
}

fn reach(now: &Architecture, sizes: &Sizes) -> Result<Architecture, StrategyError> {
    let unreachable = |error: String| StrategyError::Unreachable(error);
    let shape = TargetShape::reach(now, sizes).map_err(|error| unreachable(error.to_string()))?;
    let TargetShape { d_model, layers } = shape;
    let goal = Architecture { d_model, layers, ..now.clone() };
    goal.validate().map_err(|error| unreachable(error.to_string()))?;
    Ok(goal)
}
