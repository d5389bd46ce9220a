//! What plans have in common that are good: marginal effects of their traits.

use std::collections::BTreeMap;

use outgrow_core::stream::stream;

use crate::{
    history::History,
    ridge::Ridge,
    space::{Plan, Space},
};

/// What plans may have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs)]
pub enum Trait {
    /// An axis reaches a level at one of the places, or has it from its beginning (none).
    Reached { axis: usize, level: u8, place: Option<u16> },
    /// So many stages.
    Stages(usize),
    /// A value of a choice.
    Chosen { choice: usize, value: u8 },
}

/// How much lower or higher plans with a trait end than plans on average.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Effect {
    /// What these plans have in common.
    pub of: Trait,
    /// Their mean loss minus that of all plans, nats per token.
    pub loss: f64,
    /// The 95 % credible interval of that.
    pub interval: [f64; 2],
}

/// Plans that are drawn from the space, ...
const PLANS: usize = 1000;
/// ... and surfaces that are drawn from what is believed.
const DRAWS: usize = 200;
/// A trait that fewer of the plans have is not told.
const FEWEST: usize = 20;

/// Over plans of the space as they are drawn by chance, of losses by a response surface: so it does not
/// matter which plans a searcher liked. None before a surface can be fitted.
pub fn effects(space: &Space, history: &History, seed: u64) -> Option<Vec<Effect>> {
    let (known, losses) = means(history);
    let rows: Vec<Vec<f64>> = known.iter().map(|plan| space.features(plan)).collect();
    let surface = Ridge::fit(&rows, &losses)?;
    let random = &mut stream(seed, "search/effects");
    let plans: Vec<Plan> = (0..PLANS).filter_map(|_| space.sample(random)).collect();
    let mut having: BTreeMap<Trait, Vec<usize>> = BTreeMap::new();
    for (number, plan) in plans.iter().enumerate() {
        for of in space.traits_of(plan) {
            having.entry(of).or_default().push(number);
        }
    }
    let rows: Vec<Vec<f64>> = plans.iter().map(|plan| space.features(plan)).collect();
    having.retain(|_, own| (FEWEST..=plans.len() - FEWEST.min(plans.len())).contains(&own.len()));
    let mut drawn: BTreeMap<Trait, Vec<f64>> = BTreeMap::new();
    for _ in 0..DRAWS {
        let surface = surface.draw(random);
        let losses: Vec<f64> = rows.iter().map(|row| surface.mean(row)).collect();
        let all = losses.iter().sum::<f64>() / losses.len() as f64;
        for (of, own) in &having {
            let mean = own.iter().map(|number| losses[*number]).sum::<f64>() / own.len() as f64;
            drawn.entry(*of).or_default().push(mean - all);
        }
    }
    let effect = |(of, mut losses): (Trait, Vec<f64>)| {
        losses.sort_by(f64::total_cmp);
        let at = |share: f64| losses[(share * (losses.len() - 1) as f64).round() as usize];
        let loss = losses.iter().sum::<f64>() / losses.len() as f64;
        Effect { of, loss, interval: [at(0.025), at(0.975)] }
    };
    Some(drawn.into_iter().map(effect).collect())
}

/// The plans that came to their end, and the mean of their losses as they would be under seed 0: a
/// surface misses all seeds of a plan by the same.
fn means(history: &History) -> (Vec<&Plan>, Vec<f64>) {
    let believed = history.believed();
    let mut all: BTreeMap<&Plan, Vec<f64>> = BTreeMap::new();
    for (plan, seed, loss) in history.losses() {
        all.entry(plan).or_default().push(believed.paired(seed, loss));
    }
    let mean = |losses: Vec<f64>| losses.iter().sum::<f64>() / losses.len() as f64;
    all.into_iter().map(|(plan, losses)| (plan, mean(losses))).unzip()
}

impl Space {
    /// All traits of a plan.
    fn traits_of(&self, plan: &Plan) -> Vec<Trait> {
        let way = &plan.way;
        let reached = |(axis, level): (usize, u8)| {
            let phase = way.phases().position(|levels| levels[axis] >= level)?;
            let place = phase.checked_sub(1).map(|stage| way.stages[stage].place);
            Some(Trait::Reached { axis, level, place })
        };
        let top = self.lattice.top();
        let levels =
            (0..top.len()).flat_map(|axis| (1..=top[axis]).map(move |level| (axis, level)));
        let chosen = plan.choices.iter().enumerate();
        let chosen = chosen.map(|(choice, value)| Trait::Chosen { choice, value: *value });
        let stages = Trait::Stages(way.stages.len());
        levels.filter_map(reached).chain([stages]).chain(chosen).collect()
    }
}
