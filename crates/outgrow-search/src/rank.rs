//! How well the final losses of plans are ranked: by what is known before a plan is trained, or by what
//! is seen while it is.

use std::collections::BTreeMap;

use outgrow_core::stream::stream;
use rand::RngExt;

use crate::{ridge::Ridge, trees::Trees};

/// A plan that was trained under several seeds.
#[derive(Clone, Debug, PartialEq)]
pub struct Trained {
    /// What is known of it before.
    pub features: Vec<f64>,
    /// Final loss under each seed, nats per token; of all plans the same seeds.
    pub losses: Vec<f64>,
    /// What was seen of it at each look, under each seed, nats per token; none where nothing of it could be
    /// told from other plans yet.
    pub seen: Vec<Vec<Option<f64>>>,
}

/// A number with the bounds of its 95 % interval, over plans that are drawn again.
#[derive(Clone, Copy, Debug, PartialEq)]
#[allow(missing_docs)]
pub struct Drawn {
    pub value: f64,
    pub low: f64,
    pub high: f64,
}

/// How well one predictor ranks.
#[derive(Clone, Debug, PartialEq)]
pub struct Ranked {
    /// `ridge`, `boosted_trees`, of one from outside, of a look, or [`FINAL`].
    pub name: String,
    /// Spearman's correlation of what is told without a seed with the final loss under that seed: mean over
    /// seeds.
    pub spearman: Drawn,
    /// That over what a perfect predictor would have; none where that may be 0.
    pub of_ceiling: Option<Drawn>,
    /// That minus ridge's.
    pub minus_ridge: Drawn,
    /// Final loss of the plan that is ranked first, and the mean of the first three, minus the mean of all
    /// plans, nats; under a seed that was not seen, mean over seeds.
    pub picked: [f64; 2],
}

/// All predictors on the same plans.
#[derive(Clone, Debug, PartialEq)]
pub struct Ranking {
    /// Spearman's correlation that a perfect predictor would have, for a training has noise.
    pub ceiling: Drawn,
    /// Spearman's correlation of each seed with each other, rising: where they are unlike, the ceiling is
    /// less sure than its interval, which draws plans and not seeds.
    pub agreement: Vec<f64>,
    /// In the order of the documentation.
    pub predictors: Vec<Ranked>,
}

/// A training that came to its end tells no more than that of its plan under another seed.
pub const FINAL: &str = "final loss";

/// Plans are drawn again so often.
const DRAWS: usize = 500;
/// Of fewer plans nothing is said.
pub const FEWEST_PLANS: usize = 20;

/// For each seed what is said of every plan without it: by a predictor that was fitted under the other
/// seeds, or under each of the others for itself by a look.
type Said = Vec<Vec<Vec<f64>>>;

/// A predictor from outside: by the numbers of plans and their losses it predicts others; none if it
/// can't.
pub type Predict<'a> = dyn Fn(&[usize], &[f64], &[usize]) -> Option<Vec<f64>> + 'a;

/// Ranks plans by each predictor; `looks` are the names of what was seen. Predictions of a plan are
/// made from the plans of other `folds` alone, a number for each plan. Whatever is told is judged by
/// losses under a seed that it has not seen: a look shares the noise of the training that it looks at,
/// and plans that begin alike share the noise of a seed.
///
/// # Errors
/// In words, if there are too few plans, seeds or folds.
pub fn rank(
    plans: &[Trained],
    looks: &[String],
    others: &[(&str, &Predict)],
    folds: &[usize],
    seed: u64,
) -> Result<Ranking, String> {
    let seeds = plans.iter().map(|plan| plan.losses.len()).min().unwrap_or(0);
    if plans.len() < FEWEST_PLANS || seeds < 2 {
        return Err(format!(
            "{} plans came to their end under the same {seeds} seeds: at least {FEWEST_PLANS} plans \
             and 2 seeds are needed",
            plans.len()
        ));
    }
    let random = &mut stream(seed, "rank");
    let folds = folds_of(folds);
    if folds.len() < 2 {
        return Err("all are of one kind, so none can be predicted from others".into());
    }
    let said = said(plans, looks, others, &folds);
    let mut drawn: Vec<Vec<usize>> = vec![(0..plans.len()).collect()];
    drawn.extend((0..DRAWS).map(|_| {
        (0..plans.len()).map(|_| random.random_range(0..plans.len())).collect::<Vec<usize>>()
    }));
    let ceilings: Vec<f64> = drawn.iter().map(|some| ceiling(plans, some, seeds)).collect();
    let ceiling = Drawn::of(ceilings.clone());
    let correlations = |said: &Said| -> Vec<f64> {
        let one = |some: &Vec<usize>| {
            let of_seed = |(seed, said): (usize, &Vec<Vec<f64>>)| {
                let losses = under(plans, seed, some);
                let all = said.iter().map(|said| spearman(&at(said, some), &losses));
                mean(&all.collect::<Vec<_>>())
            };
            mean(&said.iter().enumerate().map(of_seed).collect::<Vec<_>>())
        };
        drawn.iter().map(one).collect()
    };
    let of_ridge = correlations(&said[0].1);
    let ranked = |(name, said): &(String, Said)| {
        let own = correlations(said);
        let with = |other: &[f64], by: fn(f64, f64) -> f64| {
            Drawn::of(own.iter().zip(other).map(|(own, other)| by(*own, *other)).collect())
        };
        Ranked {
            name: name.clone(),
            of_ceiling: (ceiling.low > 0.0).then(|| with(&ceilings, |own, ceiling| own / ceiling)),
            minus_ridge: with(&of_ridge, |own, ridge| own - ridge),
            picked: [1, 3].map(|first| {
                let of_seed = |(seed, all): (usize, &Vec<Vec<f64>>)| {
                    mean(
                        &all.iter()
                            .map(|said| picked(plans, seed, said, first))
                            .collect::<Vec<_>>(),
                    )
                };
                mean(&said.iter().enumerate().map(of_seed).collect::<Vec<_>>())
            }),
            spearman: Drawn::of(own),
        }
    };
    let agreement = agreement(plans, &drawn[0], seeds);
    Ok(Ranking { ceiling, agreement, predictors: said.iter().map(ranked).collect() })
}

/// All predictors that say anything, ridge first.
fn said(
    plans: &[Trained],
    looks: &[String],
    others: &[(&str, &Predict)],
    folds: &[Vec<usize>],
) -> Vec<(String, Said)> {
    let seeds = 0..plans[0].losses.len();
    let without: Vec<Vec<f64>> = seeds.clone().map(|seed| means_of_others(plans, seed)).collect();
    let rows = |some: &[usize]| -> Vec<Vec<f64>> {
        some.iter().map(|plan| plans[*plan].features.clone()).collect()
    };
    let ridge = |of: &[usize], losses: &[f64], new: &[usize]| {
        let fit = Ridge::fit(&rows(of), losses)?;
        Some(rows(new).iter().map(|row| fit.mean(row)).collect())
    };
    let trees = |of: &[usize], losses: &[f64], new: &[usize]| {
        Trees::fit(&rows(of), losses)?.means(&rows(new))
    };
    let own: [(&str, &Predict); 2] = [("ridge", &ridge), ("boosted_trees", &trees)];
    let all = own.iter().chain(others);
    let mut said: Vec<(String, Said)> = all
        .map(|(name, predict)| {
            let fitted = without.iter().map(|losses| vec![held_out(losses, folds, predict)]);
            ((*name).to_owned(), fitted.collect())
        })
        .collect();
    for (number, look) in looks.iter().enumerate() {
        let one = |seed: usize| -> Option<Vec<f64>> {
            let seen: Vec<Option<f64>> = plans.iter().map(|plan| plan.seen[number][seed]).collect();
            let known: Vec<f64> = seen.iter().flatten().copied().collect();
            // What can't be told apart is a tie.
            let middle = mean(&known);
            let all = seen.into_iter().map(|loss| loss.unwrap_or(middle)).collect();
            (!known.is_empty()).then_some(all)
        };
        if let Some(all) = seeds.clone().map(one).collect::<Option<Vec<_>>>() {
            said.push((look.clone(), by_others(&all)));
        }
    }
    let all: Vec<usize> = (0..plans.len()).collect();
    let ends: Vec<Vec<f64>> = seeds.map(|seed| under(plans, seed, &all)).collect();
    said.push((FINAL.to_owned(), by_others(&ends)));
    said
}

/// What is seen under each seed, for each seed by the others.
fn by_others(seen: &[Vec<f64>]) -> Said {
    let others = |seed: usize| {
        let others = seen.iter().enumerate().filter(move |(other, _)| *other != seed);
        others.map(|(_, seen)| seen.clone()).collect()
    };
    (0..seen.len()).map(others).collect()
}

/// The mean final loss of each plan under all seeds but one.
fn means_of_others(plans: &[Trained], seed: usize) -> Vec<f64> {
    let own = |plan: &Trained| {
        let others = plan.losses.iter().enumerate().filter(|(other, _)| *other != seed);
        mean(&others.map(|(_, loss)| *loss).collect::<Vec<_>>())
    };
    plans.iter().map(own).collect()
}

impl Drawn {
    /// The first is of the plans as they are, the others of plans that were drawn again.
    fn of(mut values: Vec<f64>) -> Self {
        let value = values.remove(0);
        values.sort_by(f64::total_cmp);
        let at = |share: f64| values[(share * (values.len() - 1) as f64).round() as usize];
        Self { value, low: at(0.025), high: at(0.975) }
    }
}

/// Predictions of each plan by a fit to the plans of other folds.
fn held_out(truth: &[f64], folds: &[Vec<usize>], predict: &Predict) -> Vec<f64> {
    let mut predicted = vec![mean(truth); truth.len()];
    for (number, out) in folds.iter().enumerate() {
        let others = folds.iter().enumerate().filter(|(other, _)| *other != number);
        let of: Vec<usize> = others.flat_map(|(_, fold)| fold).copied().collect();
        let losses = predict(&of, &at(truth, &of), out);
        let losses = losses.into_iter().flatten();
        for (plan, loss) in out.iter().zip(losses).filter(|(_, loss)| loss.is_finite()) {
            predicted[*plan] = loss;
        }
    }
    predicted
}

/// The plans of each fold.
fn folds_of(plans: &[usize]) -> Vec<Vec<usize>> {
    let mut folds: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    plans.iter().enumerate().for_each(|(plan, fold)| folds.entry(*fold).or_default().push(plan));
    folds.into_values().collect()
}

/// By how single seeds agree: the root of their reliability, which is the correlation of a loss under one
/// seed with what it is an estimate of.
fn ceiling(plans: &[Trained], some: &[usize], seeds: usize) -> f64 {
    mean(&agreement(plans, some, seeds)).max(0.0).sqrt()
}

/// Of each two seeds, rising.
fn agreement(plans: &[Trained], some: &[usize], seeds: usize) -> Vec<f64> {
    let pairs = (0..seeds).flat_map(|a| (a + 1..seeds).map(move |b| (a, b)));
    let agree = |(a, b)| spearman(&under(plans, a, some), &under(plans, b, some));
    let mut all: Vec<f64> = pairs.map(agree).collect();
    all.sort_by(f64::total_cmp);
    all
}

/// Final losses of some plans under one seed.
fn under(plans: &[Trained], seed: usize, some: &[usize]) -> Vec<f64> {
    some.iter().map(|plan| plans[*plan].losses[seed]).collect()
}

/// How much more than the mean of all plans those lose under a seed that are said to be the first.
fn picked(plans: &[Trained], seed: usize, said: &[f64], first: usize) -> f64 {
    let mut order: Vec<usize> = (0..plans.len()).collect();
    order.sort_by(|a, b| said[*a].total_cmp(&said[*b]));
    mean(&under(plans, seed, &order[..first])) - mean(&under(plans, seed, &order))
}

/// Spearman's rank correlation, ties at their mean rank; 0 where one of both is all ties.
pub fn spearman(a: &[f64], b: &[f64]) -> f64 {
    let (a, b) = (ranks(a), ranks(b));
    let (mean_a, mean_b) = (mean(&a), mean(&b));
    let sum = |of: &dyn Fn(f64, f64) -> f64| {
        a.iter().zip(&b).map(|(a, b)| of(a - mean_a, b - mean_b)).sum::<f64>()
    };
    let spread = (sum(&|a, _| a * a) * sum(&|_, b| b * b)).sqrt();
    if spread > 0.0 { sum(&|a, b| a * b) / spread } else { 0.0 }
}

fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|a, b| values[*a].total_cmp(&values[*b]));
    let mut ranks = vec![0.0; values.len()];
    let mut first = 0;
    while first < order.len() {
        let same = |n: &&usize| values[**n] == values[order[first]];
        let ties = order[first..].iter().take_while(same).count();
        let rank = first as f64 + (ties - 1) as f64 / 2.0;
        order[first..first + ties].iter().for_each(|n| ranks[*n] = rank);
        first += ties;
    }
    ranks
}

fn at(values: &[f64], some: &[usize]) -> Vec<f64> {
    some.iter().map(|number| values[*number]).collect()
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}
