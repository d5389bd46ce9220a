//! What one simulated frontier says, against its truth.

use std::collections::BTreeMap;

use outgrow_report::{
    Interval,
    frontier::{Censored, Count, Estimator, Frontier},
};

use super::planted::{BUDGETS, Planted, Setting, mean_loss, plant};

/// True gaps of the arms that are not null, in nats.
const EFFECTS: [f64; 2] = [-0.012, 0.02];
/// Arms of a family without any effect.
const NULL_ARMS: usize = 10;

/// Counts of yes and of all, by what was asked.
#[derive(Clone, Default, Debug)]
pub struct Tally(BTreeMap<&'static str, [u32; 2]>);

impl Tally {
    fn add(&mut self, key: &'static str, yes: bool) {
        let count = self.0.entry(key).or_default();
        *count = [count[0] + u32::from(yes), count[1] + 1];
    }

    pub fn and(mut self, other: Self) -> Self {
        for (key, [yes, all]) in other.0 {
            let count = self.0.entry(key).or_default();
            *count = [count[0] + yes, count[1] + all];
        }
        self
    }

    /// None for what was never asked.
    pub fn share(&self, key: &str) -> Option<f64> {
        self.0.get(key).map(|[yes, all]| f64::from(*yes) / f64::from(*all))
    }
}

fn covers(interval: &Interval, truth: f64) -> bool {
    interval.bounds.is_some_and(|[low, high]| low <= truth && truth <= high)
}

/// Whether a bound that is open does not exclude the truth either.
fn allows(bounds: [Option<f64>; 2], truth: f64) -> bool {
    bounds[0].is_none_or(|low| low <= truth) && bounds[1].is_none_or(|high| truth <= high)
}

/// Plants a frontier with a family of null arms and with arms that have an effect, and asks the
/// estimator about both.
pub fn simulate(setting: &Setting, number: u64) -> Tally {
    let mut tally = Tally::default();
    let gaps: Vec<f64> = [0.0; NULL_ARMS].into_iter().chain(EFFECTS).collect();
    let planted = plant(setting, &gaps, number);
    let (null, effects) = planted.grown.split_at(NULL_ARMS * BUDGETS.len() * setting.seeds);
    let estimator = Estimator::new(&planted.born, Count::default());
    let frontier = estimator.frontier(null);
    vertices(&mut tally, setting, &frontier);
    exponents(&mut tally, setting, &frontier);
    family(&mut tally, &frontier, &planted);
    arms(&mut tally, setting, &estimator.frontier(effects));
    tally
}

fn vertices(tally: &mut Tally, setting: &Setting, frontier: &Frontier) {
    for budget in &frontier.budgets {
        tally.add("enclosed", budget.vertex.is_ok());
        let Ok(vertex) = &budget.vertex else { continue };
        let (loss, n) = setting.truth.least(budget.flops);
        tally.add("L*", covers(&vertex.loss, loss));
        tally.add("N*", covers(&vertex.n_star, n));
        tally.add("undercut", vertex.undercut.is_some());
    }
}

fn exponents(tally: &mut Tally, setting: &Setting, frontier: &Frontier) {
    let law = setting.truth.law;
    let found = frontier.law.as_ref().and_then(|fit| fit.exponents);
    let mut add = |key, covered: Option<bool>| {
        if setting.seeds >= 5 {
            tally.add(key, covered.unwrap_or(false));
        }
    };
    add("alpha", found.map(|found| covers(&found.alpha, law.alpha)));
    add("beta", found.map(|found| covers(&found.beta, law.beta)));
    add("size", found.map(|found| covers(&found.size, law.size_exponent())));
    add("loss", found.map(|found| covers(&found.loss, law.loss_exponent())));
}

/// Arms without an effect that are called different: one by one, any of the family after the
/// correction, and against the size with the least mean loss.
fn family(tally: &mut Tally, frontier: &Frontier, planted: &Planted) {
    let known = || frontier.gaps.iter().filter_map(|gap| Some((gap, gap.against.as_ref().ok()?)));
    tally.add("family", known().any(|(_, against)| against.gap.is_significant()));
    for (gap, against) in known() {
        tally.add("null", against.gap.value.excludes_zero());
        let best = (0..planted.sizes)
            .min_by(|&a, &b| {
                let [a, b] = [a, b].map(|size| mean_loss(&planted.born, gap.budget, size));
                a.total_cmp(&b)
            })
            .expect("some size");
        let naive = Interval::of(&planted.differences(&gap.arm, gap.budget, best));
        tally.add("naive", naive.expect("some seed").excludes_zero());
    }
}

fn arms(tally: &mut Tally, setting: &Setting, frontier: &Frontier) {
    for gap in &frontier.gaps {
        let Ok(against) = &gap.against else { continue };
        let arm: usize = gap.arm["arm ".len()..].parse().expect("a number");
        let truth = EFFECTS[arm - NULL_ARMS];
        tally.add("g", covers(&against.gap.value, truth));
        let multiplier = against.multiplier.expect("six budgets");
        let true_multiplier = setting.truth.needed(gap.flops, truth) / gap.flops;
        tally.add("m", allows(multiplier.bounds, true_multiplier));
        tally.add("censored", !matches!(multiplier.value, Censored::At(_)));
    }
}
