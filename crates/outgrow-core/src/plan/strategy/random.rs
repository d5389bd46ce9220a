use rand::{RngExt, seq::IndexedRandom};
use serde::{Deserialize, Serialize};

use super::{Layers, Rule, Sampled, Share, StrategyError, Task, path::GrowthPath};
use crate::{growth::Growth, stream::Stream};

/// Random transforms of random sizes at random places: until the target is reached, an axis that
/// lacks something is drawn, then where (everywhere, in one layer, in some of its heads) and how
/// much of what is missing; the sequence is cut at random into stages at random places of the
/// window.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct Random {
    #[serde(default = "super::one")]
    pub plans: usize,
    /// The sequence falls into at most this many stages (the number is drawn, too).
    pub max_stages: usize,
    /// Where stages may fall.
    pub grow_between: Share<[f64; 2]>,
    /// Where new layers go; drawn as everything else of this rule, if it is left out.
    #[serde(default = "drawn")]
    pub layers: Layers,
}

impl Rule for Random {
    fn plans(&self) -> usize {
        self.plans
    }

    fn is_random(&self) -> bool {
        true
    }

    fn stages(&self) -> usize {
        self.max_stages
    }

    fn sample(&self, task: &Task) -> Result<Sampled, StrategyError> {
        self.grow_between.check()?;
        if self.max_stages == 0 {
            return Err(StrategyError::Parameter {
                field: "max_stages",
                value: "0".into(),
                allowed: "it must be at least 1",
            });
        }
        let rng = &mut task.stream("random");
        let mut route = GrowthPath::new(task, self.layers)?;
        let mut sequence = vec![];
        while let Some(&kind) = route.missing().choose(rng) {
            let everywhere = rng.random_bool(0.5);
            let (layer, whole_layer) =
                (rng.random_range(0..route.n_layers()), rng.random_bool(0.5));
            let heads: u64 = rng.random();
            let chosen = |l: usize, head: usize| {
                everywhere || (l == layer && (whole_layer || heads >> (head % 64) & 1 == 1))
            };
            let share = if rng.random_bool(0.5) { 1.0 } else { rng.random::<f64>() };
            route.advance(kind, chosen, |gap| (gap as f64 * share).ceil() as usize);
            sequence.extend(route.transforms());
        }
        let (initial, measure) = (task.initial.clone(), self.grow_between.measure());
        Ok(Sampled::new(initial, measure, self.cut(sequence, rng)))
    }
}

fn drawn() -> Layers {
    Layers::Random
}

impl Random {
    fn cut(&self, sequence: Vec<Growth>, rng: &mut Stream) -> Vec<(f64, Vec<Growth>)> {
        if sequence.is_empty() {
            return vec![];
        }
        let n_stages = rng.random_range(1..=self.max_stages.min(sequence.len()));
        let [from, to] = *self.grow_between.of();
        let mut places: Vec<f64> =
            (0..n_stages).map(|_| from + (to - from) * rng.random::<f64>()).collect();
        places.sort_by(f64::total_cmp);
        let inner: Vec<usize> = (1..sequence.len()).collect();
        let mut cuts: Vec<usize> = inner.sample(rng, n_stages - 1).copied().collect();
        cuts.sort_unstable();
        let mut rest = sequence;
        let mut stages = vec![];
        for (place, cut) in places[1..].iter().zip(&cuts).rev() {
            stages.push((*place, rest.split_off(*cut)));
        }
        stages.push((places[0], rest));
        stages.reverse();
        stages
    }
}
