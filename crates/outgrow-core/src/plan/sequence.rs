//! A plan as a short sequence of what happens in it, for predictors that read one.
//!
//! After NAR-Former (Yi et al. 2022, arXiv:2211.08024), which writes a network as one element for each
//! operation. Its codes of numbers are orthogonal for neighbours, as names need it; sizes and places
//! are numbers, and stay so here.

use crate::{
    growth::{Growth, TransformKind},
    model::{Architecture, n_frontier_parameters},
    plan::GrowthPlan,
};

/// How many numbers an element has.
pub const NUMBERS: usize = 7;

/// One thing that happens in a plan.
#[derive(Clone, Debug, PartialEq)]
pub struct Element {
    /// `begin`, the name of a transform or of an operator, or `end`.
    pub kind: &'static str,
    /// Each from 0 to 1; what they mean depends on the kind.
    pub numbers: [f64; NUMBERS],
}

impl GrowthPlan {
    /// What happens in it when it trains so many tokens: how it begins, its growths, and how it ends.
    /// Growths of one stage commute, and what one transform does in a stage is one element. Sizes are
    /// shares of those of the `target` of its sweep, at which it may end or not.
    ///
    /// - `begin`: each of the six sizes, and the parameters.
    /// - A growth: its place as a share of the tokens and of the compute; its size before and after, and
    ///   the parameters of its stage before and after; and how deep its new layers are on average, from
    ///   0 at the input to 1. The size of an operator is the parameters.
    /// - `end`: the logarithms of the target's parameters and of tokens.
    pub fn sequence(&self, tokens: u64, target: &Architecture) -> Vec<Element> {
        let initial = self.initial();
        let share = |of: &dyn Fn(&Architecture) -> f64, own: &Architecture| of(own) / of(target);
        let mut numbers = [0.0; NUMBERS];
        for (number, kind) in numbers.iter_mut().zip(TransformKind::ALL) {
            *number = share(&|own| size(own, kind), initial);
        }
        numbers[NUMBERS - 1] = share(&parameters, initial);
        // The mean layer may shrink where small ones are added.
        let begin = Element { kind: "begin", numbers: numbers.map(|number| number.min(1.0)) };
        let growths =
            (0..self.stages().len()).flat_map(|stage| self.elements(stage, tokens, target));
        let mut numbers = [0.0; NUMBERS];
        // Up to a trillion of both.
        numbers[0] = parameters(target).ln() / LARGEST.ln();
        numbers[1] = (tokens as f64).max(1.0).ln() / LARGEST.ln();
        [begin].into_iter().chain(growths).chain([Element { kind: "end", numbers }]).collect()
    }

    fn elements(&self, stage: usize, tokens: u64, target: &Architecture) -> Vec<Element> {
        let at = &self.stages()[stage];
        let [before, after] = [stage, stage + 1].map(|number| self.architecture_after(number));
        let place = at.tokens as f64 / tokens as f64;
        let spent = self.train_flops(at.tokens) as f64 / self.train_flops(tokens) as f64;
        let mut kinds: Vec<(&'static str, Option<TransformKind>)> = vec![];
        for growth in &at.growths {
            let own = match growth {
                Growth::Transform(transform) => Some(transform.kind()),
                Growth::Operator(_) => None,
            };
            if !kinds.contains(&(growth.name(), own)) {
                kinds.push((growth.name(), own));
            }
        }
        // Their order says nothing.
        kinds.sort();
        let element = |(kind, own): (&'static str, Option<TransformKind>)| {
            let of = |one: &Architecture| own.map_or_else(|| parameters(one), |own| size(one, own));
            let sizes = [before, after].map(|one| of(one) / of(target));
            let all = [before, after].map(|one| parameters(one) / parameters(target));
            let depth = match own {
                Some(TransformKind::LayerAddition) | None => self.depth(stage),
                Some(_) => 0.0,
            };
            let numbers = [place, spent, sizes[0], sizes[1], all[0], all[1], depth];
            Element { kind, numbers: numbers.map(|number| number.min(1.0)) }
        };
        kinds.into_iter().map(element).collect()
    }

    /// How deep the layers are on average that are new in a stage.
    fn depth(&self, stage: usize) -> f64 {
        let is_new = self.new_layers(stage);
        let last = (is_new.len() - 1).max(1) as f64;
        let places = is_new.iter().enumerate().filter(|(_, is_new)| **is_new);
        let places: Vec<f64> = places.map(|(place, _)| place as f64 / last).collect();
        places.iter().sum::<f64>() / places.len().max(1) as f64
    }
}

const LARGEST: f64 = 1e12;

fn parameters(of: &Architecture) -> f64 {
    n_frontier_parameters(of) as f64
}

/// What a transform enlarges, of the mean layer.
fn size(of: &Architecture, kind: TransformKind) -> f64 {
    let layers = of.layers.len() as f64;
    let heads = of.layers.iter().flat_map(|layer| &layer.heads);
    let n_heads = heads.clone().count().max(1) as f64;
    match kind {
        TransformKind::MlpExpansion => {
            of.layers.iter().map(|layer| layer.d_ff as f64).sum::<f64>() / layers
        }
        TransformKind::HeadAddition => n_heads / layers,
        TransformKind::HeadsExpansion => heads.map(|head| head.d_v as f64).sum::<f64>() / n_heads,
        TransformKind::AttentionExpansion => {
            heads.map(|head| head.d_k as f64).sum::<f64>() / n_heads
        }
        TransformKind::HiddenExpansion => of.d_model as f64,
        TransformKind::LayerAddition => layers,
    }
}
