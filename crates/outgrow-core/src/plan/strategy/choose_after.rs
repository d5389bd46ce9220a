use serde::{Deserialize, Serialize};

use super::{Layers, Measure, Places, Rule, Sampled, Share, StrategyError, Task, path::GrowthPath};
use crate::{
    growth::{Growth, TransformKind},
    plan::Look,
};

/// Which axis grows next is seen: at each place but the last, the state grows in each way that is left,
/// each is trained for a while, and the lowest validation loss goes on. All of it is charged. The last
/// place leads to the target.
///
/// Its plans are all orders; which of them a seed is trained by, it says itself on the way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChooseAfter {
    /// What may grow next; transforms that stand together grow together.
    pub among: Vec<Together>,
    /// Where it grows, rising.
    pub at: Share<Places>,
    /// For how many tokens each is trained before they are compared.
    pub look: u64,
    /// Where new layers go.
    #[serde(default)]
    pub layers: Layers,
}

/// One transform, or several.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged, expecting = "a transform such as \"mlp_expansion\", or a list of them")]
#[allow(missing_docs)]
pub enum Together {
    One(TransformKind),
    Several(Vec<TransformKind>),
}

/// As many as there are transforms.
const MOST: usize = TransformKind::ALL.len();

impl Together {
    fn all(&self) -> &[TransformKind] {
        match self {
            Self::One(kind) => std::slice::from_ref(kind),
            Self::Several(kinds) => kinds,
        }
    }

    fn close(&self, route: &mut GrowthPath) -> Vec<Growth> {
        self.all().iter().for_each(|kind| route.close(*kind));
        route.transforms()
    }
}

impl ChooseAfter {
    /// Between how many is chosen at each place.
    fn choices(&self) -> impl Iterator<Item = usize> {
        let among = self.among.len();
        (0..self.stages().saturating_sub(1)).map(move |place| among.saturating_sub(place).max(1))
    }

    fn check(&self) -> Result<(), StrategyError> {
        self.at.check_rising()?;
        let refused =
            |field, value: String, allowed| Err(StrategyError::Parameter { field, value, allowed });
        if self.at.measure() == Measure::Tokens {
            return refused(
                "at",
                "a share of the tokens".into(),
                "give `at_compute`: every order has the \
                same compute until a place, and so the same state to choose from",
            );
        }
        if !(2..=MOST).contains(&self.among.len()) {
            return refused(
                "among",
                format!("a list of {}", self.among.len()),
                "2 to 6 ways to grow",
            );
        }
        if !(2..=self.among.len()).contains(&self.stages()) {
            return refused(
                "at_compute",
                format!("a list of {}", self.stages()),
                "from 2 places to as many as \
                ways in `among`: the last one leads to the target",
            );
        }
        if self.look == 0 {
            return refused("look", "0".into(), "a number of tokens");
        }
        if self.layers == Layers::Random {
            return refused(
                "layers",
                "random".into(),
                "nothing of this rule is drawn: give another",
            );
        }
        let kinds: Vec<&TransformKind> = self.among.iter().flat_map(Together::all).collect();
        if self.among.iter().any(|own| own.all().is_empty()) {
            return refused("among", "a list with an empty one".into(), "name transforms");
        }
        if let Some((_, kind)) =
            kinds.iter().enumerate().find(|(n, kind)| kinds[..*n].contains(kind))
        {
            return refused(
                "among",
                format!("a list with {} twice", kind.axis()),
                "each transform once",
            );
        }
        Ok(())
    }
}

impl Rule for ChooseAfter {
    fn plans(&self) -> usize {
        self.choices().fold(1, usize::saturating_mul)
    }

    fn is_enumerated(&self) -> bool {
        true
    }

    fn stages(&self) -> usize {
        self.at.of().0.len()
    }

    fn sample(&self, task: &Task) -> Result<Sampled, StrategyError> {
        self.check()?;
        let mut route = GrowthPath::new(task, self.layers)?;
        let missing = route.missing();
        for kind in self.among.iter().flat_map(Together::all) {
            if !missing.contains(kind) {
                let why = format!("{} is at its target from the beginning", kind.axis());
                return Err(StrategyError::Unreachable(why));
            }
        }
        let mut left: Vec<&Together> = self.among.iter().collect();
        let mut order = task.draw.1;
        let (mut stages, mut looks) = (vec![], vec![]);
        for (at, choices) in self.at.of().0.iter().zip(self.choices()) {
            let own = left.remove(order % choices);
            order /= choices;
            let others = left.iter().map(|other| other.close(&mut route.clone())).collect();
            stages.push((*at, own.close(&mut route)));
            looks.push(Some(Look { tokens: self.look, others }));
        }
        route.close_all();
        stages.push((self.at.of().0[stages.len()], route.transforms()));
        let (initial, measure) = (task.initial.clone(), self.at.measure());
        Ok(Sampled { looks, ..Sampled::new(initial, measure, stages) })
    }
}
