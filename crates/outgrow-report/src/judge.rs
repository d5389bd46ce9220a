//! Which comparisons are judged together (Holm). A pair of arms is judged once for each quantity:
//! where it is asked for again, the same interval, p-value and verdict stand there.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::{
    ablation::{Ablation, AblationRow},
    comparison::{Comparison, Gap},
    contrast::Contrast,
    strategy::{Role, Strategy},
    tested::{self, Tested},
};

/// Comparisons that are corrected for each other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Family {
    /// What each of them is, in words.
    pub what: String,
    /// How many of them there are; those that an earlier family has judged are not counted.
    pub n: usize,
}

/// What is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Measure {
    Loss,
    Saving,
}

/// A quantity of one arm minus that of another.
type Key = (Measure, String, String);

/// Everything of a report that is tested.
pub struct Asked<'a> {
    pub strategies: &'a mut [Strategy],
    pub contrasts: &'a mut [Contrast],
    pub ablations: &'a mut [Ablation],
}

/// Judges all of it, family by family. `control` is the name of the from-scratch control, `names`
/// are what people read for the names of arms.
pub fn judge(asked: Asked, control: &str, names: &BTreeMap<String, String>) -> Vec<Family> {
    let shown = names.get(control).map_or(control, String::as_str);
    let fixed = fixed(asked.strategies);
    let mut judge = Judge { control, known: BTreeMap::new(), families: vec![] };
    let Asked { strategies, contrasts, ablations } = asked;
    judge.savings(&format!("compute saved against {shown}"), strategies);
    let kinds: [(String, OfComparison); 4] = [
        ("final loss against the target size with the same compute".into(), same_flops),
        (format!("final loss against {fixed}"), best_fixed_size),
        ("final loss against the target size with the same tokens".into(), same_tokens),
        (format!("other final loss against {shown}"), to_control),
    ];
    for (what, of) in kinds {
        judge.losses(&what, strategies, of);
    }
    judge.contrasts(contrasts);
    judge.policies(ablations);
    judge.families
}

/// The one size that never grows, or what several are called.
fn fixed(strategies: &[Strategy]) -> String {
    let mut all = strategies.iter().filter(|strategy| strategy.role == Role::FixedSize);
    match (all.next(), all.next()) {
        (Some(only), None) => only.shown.clone(),
        _ => "the best size that never grows".into(),
    }
}

/// The name of a control, and the difference to it.
type OfComparison = fn(&mut Comparison) -> Option<(Option<String>, &mut Tested)>;

fn gap(gap: &mut Option<Gap>) -> Option<(Option<String>, &mut Tested)> {
    gap.as_mut().map(|gap| (Some(gap.against.clone()), &mut gap.difference))
}

fn same_flops(all: &mut Comparison) -> Option<(Option<String>, &mut Tested)> {
    gap(&mut all.same_flops)
}

fn best_fixed_size(all: &mut Comparison) -> Option<(Option<String>, &mut Tested)> {
    gap(&mut all.best_fixed_size)
}

fn same_tokens(all: &mut Comparison) -> Option<(Option<String>, &mut Tested)> {
    gap(&mut all.same_tokens)
}

fn to_control(all: &mut Comparison) -> Option<(Option<String>, &mut Tested)> {
    all.loss_difference.as_mut().map(|tested| (None, tested))
}

struct Judge<'a> {
    control: &'a str,
    known: BTreeMap<Key, Tested>,
    families: Vec<Family>,
}

impl Judge<'_> {
    fn savings(&mut self, what: &str, strategies: &mut [Strategy]) {
        let control = self.control.to_owned();
        let stated = strategies.iter_mut().filter(|s| s.role != Role::Annealed);
        let tests = stated.filter_map(|strategy| {
            let test = strategy.comparison.as_mut()?.test.as_mut()?;
            Some(((Measure::Saving, strategy.name.clone(), control.clone()), test))
        });
        self.family(what, tests.collect());
    }

    /// The growing strategies alone, but where the control itself is compared with: there each arm.
    fn losses(&mut self, what: &str, strategies: &mut [Strategy], of: OfComparison) {
        let control = self.control.to_owned();
        let tests = strategies.iter_mut().filter_map(|strategy| {
            let is_grown = strategy.role == Role::Grown;
            let (against, tested) = of(strategy.comparison.as_mut()?)?;
            let is_asked = is_grown || against.is_none();
            let against = against.unwrap_or_else(|| control.clone());
            is_asked.then(|| ((Measure::Loss, strategy.name.clone(), against), tested))
        });
        self.family(what, tests.collect());
    }

    fn contrasts(&mut self, contrasts: &mut [Contrast]) {
        let (mut losses, mut savings) = (vec![], vec![]);
        for Contrast { a, b, loss, saving } in contrasts {
            let key = |measure| (measure, a.clone(), b.clone());
            losses.extend(loss.as_mut().map(|tested| (key(Measure::Loss), tested)));
            savings.extend(saving.as_mut().map(|tested| (key(Measure::Saving), tested)));
        }
        self.family("contrast of final losses", losses);
        self.family("contrast of compute saved", savings);
    }

    fn policies(&mut self, ablations: &mut [Ablation]) {
        let (mut losses, mut savings) = (vec![], vec![]);
        for Ablation { base, rows } in ablations {
            for AblationRow { strategy, difference, saving_difference, .. } in rows {
                let key = |measure| (measure, strategy.clone(), base.clone());
                losses.extend(difference.as_mut().map(|tested| (key(Measure::Loss), tested)));
                let saving = saving_difference.as_mut();
                savings.extend(saving.map(|tested| (key(Measure::Saving), tested)));
            }
        }
        self.family("final loss against the first policy", losses);
        self.family("compute saved against the first policy", savings);
    }

    /// Corrects what was not judged before for its number, and repeats what was.
    fn family(&mut self, what: &str, asked: Vec<(Key, &mut Tested)>) {
        let (mut own, mut again): (Vec<(Key, &mut Tested)>, Vec<_>) = (vec![], vec![]);
        for (key, tested) in asked {
            let is_own = self.find(&key).is_none()
                && !own.iter().any(|(other, _)| *other == key || *other == turned(&key));
            if is_own { own.push((key, tested)) } else { again.push((key, tested)) }
        }
        let n = own.iter().filter(|(_, tested)| tested.p.is_some()).count();
        self.families.extend((n > 0).then(|| Family { what: what.to_owned(), n }));
        tested::correct(own.iter_mut().map(|(_, tested)| &mut **tested));
        for (key, tested) in own {
            *tested = tested.clone().within(self.possible(&key));
            self.known.insert(key, tested.clone());
        }
        for (key, tested) in again {
            *tested = self.find(&key).unwrap_or_else(|| tested.clone());
        }
    }

    /// The bounds of what the difference can be: the control saves nothing, and no arm saves more
    /// than all.
    fn possible(&self, (measure, a, b): &Key) -> [f64; 2] {
        match measure {
            Measure::Saving if b == self.control => [f64::NEG_INFINITY, 1.0],
            Measure::Saving if a == self.control => [-1.0, f64::INFINITY],
            _ => [f64::NEG_INFINITY, f64::INFINITY],
        }
    }

    fn find(&self, key: &Key) -> Option<Tested> {
        let turned = || self.known.get(&turned(key)).map(Tested::negated);
        self.known.get(key).cloned().or_else(turned)
    }
}

/// The same difference, the other way round.
fn turned((measure, a, b): &Key) -> Key {
    (*measure, b.clone(), a.clone())
}
