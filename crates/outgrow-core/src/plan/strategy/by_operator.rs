use serde::{Deserialize, Deserializer, Serialize};

use super::{Rule, Sampled, StrategyError, Task, check_place};
use crate::{
    growth::{Application, Operator, TargetShape, operator::Spacing},
    model::{HeadShape, LayerShape},
    stream::Stream,
};

/// A published operator, applied at one place or at several: from the initial architecture to the
/// target in so many steps, their sizes spaced as the operator has it (equal differences, or equal
/// factors where it multiplies).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct ByOperator {
    pub operator: Operator,
    /// Where, as rising fractions of the trial's tokens; one of them may stand without a list.
    #[serde(deserialize_with = "one_or_many")]
    pub at: Vec<f64>,
}

impl Rule for ByOperator {
    fn plans(&self) -> usize {
        1
    }

    fn stages(&self) -> usize {
        self.at.len()
    }

    fn sample(&self, task: &Task, _: &mut Stream) -> Result<Sampled, StrategyError> {
        self.check_places()?;
        let mut now = task.initial.clone();
        let mut stages = vec![];
        for (number, &at) in self.at.iter().enumerate() {
            let to = self.goal(task, number + 1)?;
            now = self.operator.grow(&now, &to, 0)?.architecture;
            stages.push((at, vec![Application { operator: self.operator.clone(), to }.into()]));
        }
        Ok(Sampled { initial: task.initial.clone(), stages })
    }
}

impl ByOperator {
    fn check_places(&self) -> Result<(), StrategyError> {
        self.at.iter().try_for_each(|&at| check_place(at))?;
        if self.at.is_empty() || self.at.windows(2).any(|pair| pair[0] >= pair[1]) {
            let allowed =
                "one or more fractions of the trial's tokens, each greater than the one before";
            return Err(StrategyError::Parameter {
                field: "at",
                value: format!("{:?}", self.at),
                allowed,
            });
        }
        Ok(())
    }

    /// The sizes after the `number`th application.
    fn goal(&self, task: &Task, number: usize) -> Result<TargetShape, StrategyError> {
        let (initial, target) = (TargetShape::of(task.initial), TargetShape::of(task.target));
        if number == self.at.len() {
            return Ok(target);
        }
        let alike = |goal: &TargetShape| goal.layers.iter().all(|layer| *layer == goal.layers[0]);
        if !alike(&initial) || !alike(&target) {
            let why =
                "several places in `at` need initial and target layers that are all alike".into();
            return Err(StrategyError::Unreachable(why));
        }
        let share = number as f64 / self.at.len() as f64;
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
        let layer = LayerShape { heads, d_ff: between(a.d_ff, b.d_ff) };
        let n_layers = between(initial.layers.len(), target.layers.len());
        Ok(TargetShape {
            d_model: between(initial.d_model, target.d_model),
            layers: vec![layer; n_layers],
        })
    }
}

fn one_or_many<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<f64>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "a share of the trial's tokens, or a list of them")]
    enum Places {
        One(f64),
        Many(Vec<f64>),
    }
    Ok(match Places::deserialize(deserializer)? {
        Places::One(at) => vec![at],
        Places::Many(all) => all,
    })
}
