use serde::{Deserialize, Serialize};

use super::{Rule, Sampled, Share, StrategyError, Task};
use crate::{
    growth::{Application, Operator, TargetShape, operator::Spacing},
    model::{HeadShape, LayerShape},
};

/// A published operator, applied at one place or at several: from the initial architecture to the
/// target in so many steps, their sizes spaced as the operator has it (equal differences, or equal
/// factors where it multiplies).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct ByOperator {
    pub operator: Operator,
    /// Where, rising; one place may stand without a list.
    pub at: Share<Places>,
}

impl Rule for ByOperator {
    fn stages(&self) -> usize {
        self.places().len()
    }

    fn sample(&self, task: &Task) -> Result<Sampled, StrategyError> {
        self.at.check_rising()?;
        let mut now = task.initial.clone();
        let mut stages = vec![];
        for (number, &at) in self.places().iter().enumerate() {
            let to = self.goal(task, number + 1)?;
            now = self.operator.grow(&now, &to, 0)?.architecture;
            stages.push((at, vec![Application { operator: self.operator.clone(), to }.into()]));
        }
        Ok(Sampled::new(task.initial.clone(), self.at.measure(), stages))
    }
}

impl ByOperator {
    fn places(&self) -> &[f64] {
        &self.at.of().0
    }

    /// On the way of what changes which layers share weights: so many of the passes that come, or of
    /// the layers that are untied, from the first on.
    fn of_shared_layers(
        &self,
        initial: &TargetShape,
        target: &TargetShape,
        number: usize,
    ) -> Option<TargetShape> {
        let share = |n: usize| (n * number).div_ceil(self.places().len());
        let (from, to) = (&initial.layers, &target.layers);
        let layers = match self.operator {
            Operator::AddPasses(_) => {
                to[..from.len() + share(to.len().checked_sub(from.len())?)].to_vec()
            }
            Operator::Untie(_) if from.len() == to.len() => {
                let mut layers = from.clone();
                let untied = (0..to.len()).filter(|&l| to[l].of.is_none() && from[l].of.is_some());
                let untied: Vec<usize> = untied.collect();
                for &layer in &untied[..share(untied.len())] {
                    layers[layer].of = None;
                }
                layers
            }
            _ => return None,
        };
        Some(TargetShape { layers, ..target.clone() })
    }

    /// The sizes after the `number`th application.
    fn goal(&self, task: &Task, number: usize) -> Result<TargetShape, StrategyError> {
        let (initial, target) = (TargetShape::of(task.initial), TargetShape::of(task.target));
        if number == self.places().len() {
            return Ok(target);
        }
        if let Some(between) = self.of_shared_layers(&initial, &target, number) {
            return Ok(between);
        }
        let alike = |goal: &TargetShape| goal.layers.iter().all(|layer| *layer == goal.layers[0]);
        if !alike(&initial) || !alike(&target) {
            let why =
                "several places in `at` need initial and target layers that are all alike".into();
            return Err(StrategyError::Unreachable(why));
        }
        let share = number as f64 / self.places().len() as f64;
        let between = |from: usize, to: usize| match self.operator.spacing() {
            Spacing::Arithmetic => {
                (from as f64 + share * (to as f64 - from as f64)).round() as usize
            }
            Spacing::Geometric => {
                (from as f64 * (to as f64 / from as f64).powf(share)).round() as usize
            }
        };
        let (a, b) = (&initial.layers[0], &target.layers[0]);
        let head = HeadShape {
            n_queries: between(a.heads[0].n_queries, b.heads[0].n_queries),
            d_k: task.target.form.whole_d_k(between(a.heads[0].d_k, b.heads[0].d_k)),
            d_v: between(a.heads[0].d_v, b.heads[0].d_v),
        };
        let heads = vec![head; between(a.heads.len(), b.heads.len())];
        let layer = LayerShape::own(heads, between(a.d_ff, b.d_ff));
        let n_layers = between(initial.layers.len(), target.layers.len());
        Ok(TargetShape {
            d_model: between(initial.d_model, target.d_model),
            layers: vec![layer; n_layers],
        })
    }
}

impl Share<Places> {
    /// Refuses places that do not rise from 0 to 1.
    pub(super) fn check_rising(&self) -> Result<(), StrategyError> {
        let places = &self.of().0;
        let is_rising = places.windows(2).all(|pair| pair[0] < pair[1]);
        match !places.is_empty() && is_rising && places.iter().all(|at| (0.0..=1.0).contains(at)) {
            true => Ok(()),
            false => Err(StrategyError::Parameter {
                field: self.field("at"),
                value: format!("{places:?}"),
                allowed: "one or more shares of the trial, from 0 to 1, each greater than the one \
                          before",
            }),
        }
    }
}

/// Places on the way; one of them may stand without a list.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "OneOrMany")]
pub struct Places(pub Vec<f64>);

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(f64),
    Many(Vec<f64>),
}

impl From<OneOrMany> for Places {
    fn from(given: OneOrMany) -> Self {
        match given {
            OneOrMany::One(at) => Self(vec![at]),
            OneOrMany::Many(all) => Self(all),
        }
    }
}
