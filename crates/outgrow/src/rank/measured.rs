//! The plans of a sweep that came to their end under the same seeds, and what was seen of them early.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use outgrow_core::{Architecture, Trial, TrialState, rows::TrialRow};
use outgrow_report::Input;
use outgrow_search::{FEWEST_PLANS, Trained};

use super::described::Described;

/// Shares of a trial's compute at which plans are looked at, ...
pub(super) const LAST: [f64; 3] = [0.125, 0.25, 0.5];
/// ... and after the last growth of each.
pub(super) const LAG: [f64; 4] = [0.0, 0.02, 0.05, 0.1];
/// Steps of the mean curve that early losses are compared with.
const STEPS: usize = 200;

/// A trial with what was measured of it.
struct Measured<'a> {
    trial: &'a TrialRow,
    /// Shares of its compute and validation losses, rising.
    curve: Vec<[f64; 2]>,
    /// The share of its compute at its last growth.
    last_growth: f64,
}

/// Growing plans that came to their end under the same seeds.
pub(super) struct TrainedPlans {
    /// Identity of their sweep.
    pub sweep: String,
    pub plans: Vec<(Described, Trained)>,
    /// Of their losses, in order.
    pub seeds: BTreeSet<u64>,
    /// Plans that did not come to their end under all of these.
    pub left_out: usize,
}

impl TrainedPlans {
    /// To predict others from them.
    pub fn are_enough(&self) -> Result<(), String> {
        let n = self.plans.len();
        (n >= FEWEST_PLANS).then_some(()).ok_or_else(|| {
            format!(
                "{n} came to their end under the same two seeds or more, at least {FEWEST_PLANS} \
                 are needed"
            )
        })
    }
}

/// The growing plans that were trained under the same seeds, at the largest budget.
pub(super) fn trained(
    input: &Input,
    definitions: &HashMap<String, Trial>,
    target: &Architecture,
) -> Result<TrainedPlans, String> {
    let measured = measured(input);
    let budgets = measured.iter().filter_map(|one| one.trial.budget);
    let largest = budgets.reduce(f64::max);
    let mut plans: BTreeMap<[String; 2], BTreeMap<u64, &Measured>> = BTreeMap::new();
    for one in measured.iter().filter(|one| one.trial.budget == largest) {
        let own = plans.entry(one.trial.grown_by()).or_default();
        if own.insert(one.trial.seed, one).is_some() {
            return Err(
                "some were trained at several points of a grid, and would be ranked by these: \
                        a sweep with one learning rate, or with tuning_replicates, has one"
                    .into(),
            );
        }
    }
    let all = plans.len();
    let seeds = common_seeds(plans.values().map(|own| own.keys().copied().collect()));
    plans.retain(|_, own| seeds.iter().all(|seed| own.contains_key(seed)));
    plans.values_mut().for_each(|own| own.retain(|seed, _| seeds.contains(seed)));
    let curves: BTreeMap<u64, Vec<f64>> =
        seeds.iter().map(|seed| (*seed, mean_curve(plans.values().map(|own| own[seed])))).collect();
    let left_out = all - plans.len();
    let known = |own: &BTreeMap<u64, &Measured>| {
        let described = Described::of(definitions.get(&own.values().next()?.trial.trial)?, target);
        let trained = plan(own, &curves, described.features.clone());
        Some((described, trained))
    };
    let plans = plans.values().filter_map(known).collect();
    Ok(TrainedPlans { sweep: input.id.clone(), plans, seeds, left_out })
}

/// Of the sets of two seeds or more that plans have, the one that the most plans have all of; of several
/// the largest.
fn common_seeds(plans: impl Iterator<Item = BTreeSet<u64>>) -> BTreeSet<u64> {
    let all: Vec<BTreeSet<u64>> = plans.collect();
    let sets: BTreeSet<&BTreeSet<u64>> = all.iter().filter(|own| own.len() > 1).collect();
    let plans = |set: &BTreeSet<u64>| all.iter().filter(|own| own.is_superset(set)).count();
    let most = sets.into_iter().max_by_key(|set| (plans(set), set.len()));
    most.cloned().unwrap_or_default()
}

/// Complete trials that grow, and are compared.
fn measured(input: &Input) -> Vec<Measured<'_>> {
    let mut curves: BTreeMap<&str, Vec<[f64; 2]>> = BTreeMap::new();
    for row in &input.curves {
        if let Some(loss) = row.val_loss {
            curves.entry(&row.trial).or_default().push([row.at.train_flops as f64, loss]);
        }
    }
    // Rows are in order.
    let growths: HashMap<&str, f64> =
        input.growths.iter().map(|row| (&*row.trial, row.at.train_flops as f64)).collect();
    let mut seen = BTreeSet::new();
    let grows = input.trials.iter().filter(|trial| {
        trial.state == TrialState::Complete && !trial.tuning && seen.insert(&trial.trial)
    });
    grows
        .filter_map(|trial| {
            let last_growth = *growths.get(&*trial.trial)?;
            let mut curve = curves.get(&*trial.trial)?.clone();
            let all = curve.last()?[0];
            curve.iter_mut().for_each(|point| point[0] /= all);
            Some(Measured { trial, curve, last_growth: last_growth / all })
        })
        .collect()
}

/// The mean loss of some trials at even steps of their compute.
fn mean_curve<'a>(trials: impl Iterator<Item = &'a Measured<'a>> + Clone) -> Vec<f64> {
    let mean = |step: usize| {
        let at = step as f64 / STEPS as f64;
        let losses: Vec<f64> = trials.clone().filter_map(|one| one.loss_at(at)).collect();
        losses.iter().sum::<f64>() / losses.len() as f64
    };
    (0..=STEPS).map(mean).collect()
}

fn plan(
    own: &BTreeMap<u64, &Measured>,
    curves: &BTreeMap<u64, Vec<f64>>,
    features: Vec<f64>,
) -> Trained {
    let under = |look: &dyn Fn(&Measured) -> Option<[f64; 2]>| -> Vec<Option<f64>> {
        let seen = |(seed, one): (&u64, &&Measured)| {
            let [at, loss] = look(one)?;
            minus(loss, &curves[seed], at)
        };
        own.iter().map(seen).collect()
    };
    // What still has to grow is no worse than it looks: a tie.
    let last = LAST.map(|share| under(&|one| one.seen_until(share)));
    let lag = LAG.map(|lag| under(&|one| one.seen_after_growth(lag)));
    Trained {
        features,
        losses: own.values().filter_map(|one| Some(one.curve.last()?[1])).collect(),
        seen: last.into_iter().chain(lag).collect(),
    }
}

/// A loss minus that of plans on average at the same share of their compute.
fn minus(loss: f64, curve: &[f64], at: f64) -> Option<f64> {
    let step = at * STEPS as f64;
    let (low, high) = (curve.get(step.floor() as usize)?, curve.get(step.ceil() as usize)?);
    let mean = low + (high - low) * step.fract();
    mean.is_finite().then_some(loss - mean)
}

impl Measured<'_> {
    /// Between the evaluations around it.
    fn loss_at(&self, at: f64) -> Option<f64> {
        let after = self.curve.iter().position(|point| point[0] >= at)?;
        let [to, second] = self.curve[after];
        let [from, first] = self.curve[after.checked_sub(1)?];
        Some(first + (second - first) * (at - from) / (to - from).max(f64::MIN_POSITIVE))
    }

    /// Where it was evaluated last until there, and the loss: after its last growth, and before its end.
    fn seen_until(&self, share: f64) -> Option<[f64; 2]> {
        let grown = self.last_growth;
        let is_seen = |point: &&[f64; 2]| point[0] > grown && point[0] <= share;
        self.curve.iter().rfind(is_seen).copied().filter(|point| point[0] < 1.0)
    }

    /// The same so much of its compute after its last growth; right after it at the first evaluation.
    fn seen_after_growth(&self, lag: f64) -> Option<[f64; 2]> {
        let first = self.curve.iter().find(|point| point[0] > self.last_growth)?[0];
        self.seen_until(f64::max(self.last_growth + lag, first))
    }
}
