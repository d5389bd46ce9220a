//! How well the final losses of plans are ranked: by what is known before a plan is trained, or by what
//! is seen while it is.

use std::collections::BTreeMap;

use outgrow_core::stream::stream;
use rand::RngExt;

use crate::{
    ridge::Ridge,
    trees::{TreeSettings, Trees},
};

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

/// What plans are predicted from.
#[derive(Clone, Copy)]
pub enum Teachers<'a> {
    /// Each from those of other folds; a number for each plan.
    Folds(&'a [usize]),
    /// All from these, whose numbers go on from those of the plans. Under each seed of the plans, their
    /// losses are what is known of them without that seed.
    Others(&'a [Trained]),
}

/// Ranks plans by each predictor; `looks` are the names of what was seen. Whatever is told is judged by
/// losses under a seed that it has not seen: a look shares the noise of the training that it looks at,
/// and plans that begin alike share the noise of a seed.
///
/// # Errors
/// In words, if there are too few plans, seeds, folds or others.
pub fn rank(
    plans: &[Trained],
    looks: &[String],
    predictors: &[(&str, &Predict)],
    teachers: Teachers,
    trees: TreeSettings,
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
    let said = said(plans, looks, predictors, &Lessons::of(plans, teachers)?, trees);
    let mut drawn: Vec<Vec<usize>> = vec![(0..plans.len()).collect()];
    drawn.extend((0..DRAWS).map(|_| {
        (0..plans.len()).map(|_| random.random_range(0..plans.len())).collect::<Vec<usize>>()
    }));
    let mut agreements = drawn.iter().map(|some| agreement(plans, some, seeds)).collect::<Vec<_>>();
    let ceilings: Vec<f64> = agreements.iter().map(|agreement| ceiling(agreement)).collect();
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
    let agreement = agreements.swap_remove(0);
    Ok(Ranking { ceiling, agreement, predictors: said.iter().map(ranked).collect() })
}

/// All predictors that say anything, ridge first.
fn said(
    plans: &[Trained],
    looks: &[String],
    predictors: &[(&str, &Predict)],
    lessons: &Lessons,
    settings: TreeSettings,
) -> Vec<(String, Said)> {
    let seeds = 0..plans[0].losses.len();
    let rows = |some: &[usize]| -> Vec<Vec<f64>> {
        some.iter().map(|plan| lessons.features[*plan].clone()).collect()
    };
    let ridge = |of: &[usize], losses: &[f64], new: &[usize]| {
        let fit = Ridge::fit(&rows(of), losses)?;
        Some(rows(new).iter().map(|row| fit.mean(row)).collect())
    };
    let trees = |of: &[usize], losses: &[f64], new: &[usize]| {
        Trees::fit(&rows(of), losses, settings)?.means(&rows(new))
    };
    let own: [(&str, &Predict); 2] = [("ridge", &ridge), ("boosted_trees", &trees)];
    let all = own.iter().chain(predictors);
    let mut said: Vec<(String, Said)> = all
        .map(|(name, predict)| {
            let fitted = seeds.clone().map(|seed| vec![lessons.predictions(seed, predict)]);
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

impl Drawn {
    /// The first is of the plans as they are, the others of plans that were drawn again.
    fn of(mut values: Vec<f64>) -> Self {
        let value = values.remove(0);
        values.sort_by(f64::total_cmp);
        let at = |share: f64| values[(share * (values.len() - 1) as f64).round() as usize];
        Self { value, low: at(0.025), high: at(0.975) }
    }
}

/// From what the final losses of plans are predicted.
struct Lessons<'a> {
    /// Of the plans, and of others that they are predicted from.
    features: Vec<&'a Vec<f64>>,
    /// Under each seed of the plans, the mean final losses without it, of all that have [`Self::features`].
    losses: Vec<Vec<f64>>,
    /// From whom, and whom.
    turns: Vec<[Vec<usize>; 2]>,
    plans: usize,
}

impl<'a> Lessons<'a> {
    fn of(plans: &'a [Trained], teachers: Teachers<'a>) -> Result<Self, String> {
        let seeds = 0..plans[0].losses.len();
        let (turns, others): (_, &[Trained]) = match teachers {
            Teachers::Folds(folds) => (turns(folds), &[]),
            Teachers::Others(others) if others.len() < FEWEST_PLANS => {
                let n = others.len();
                return Err(format!(
                    "{n} plans to predict them from, at least {FEWEST_PLANS} are needed"
                ));
            }
            Teachers::Others(others) => {
                let all = plans.len() + others.len();
                (vec![[(plans.len()..all).collect(), (0..plans.len()).collect()]], others)
            }
        };
        if turns.iter().any(|[from, _]| from.is_empty()) {
            return Err("all are of one kind, so none can be predicted from others".into());
        }
        let of_seed = |seed: usize| {
            let own = plans.iter().map(|plan| mean_without(&plan.losses, Some(seed)));
            own.chain(others.iter().map(|plan| plan.losses[seed])).collect()
        };
        Ok(Self {
            features: plans.iter().chain(others).map(|plan| &plan.features).collect(),
            losses: seeds.map(of_seed).collect(),
            turns,
            plans: plans.len(),
        })
    }

    /// Of each plan, without that seed. Of whom nothing is said is in the middle of the others.
    fn predictions(&self, seed: usize, predict: &Predict) -> Vec<f64> {
        let losses = &self.losses[seed];
        let mut predicted = vec![0.0; self.plans];
        for [from, to] in &self.turns {
            let known = at(losses, from);
            let all = predict(from, &known, to).unwrap_or_default();
            let said: Vec<f64> = all.iter().copied().filter(|loss| loss.is_finite()).collect();
            let middle = mean(if said.is_empty() { &known } else { &said });
            for (number, plan) in to.iter().enumerate() {
                let loss = all.get(number).copied().filter(|loss| loss.is_finite());
                predicted[*plan] = loss.unwrap_or(middle);
            }
        }
        predicted
    }
}

/// The plans of each fold, predicted from those of all others.
fn turns(plans: &[usize]) -> Vec<[Vec<usize>; 2]> {
    let mut folds: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    plans.iter().enumerate().for_each(|(plan, fold)| folds.entry(*fold).or_default().push(plan));
    let others = |own: &usize| {
        folds
            .iter()
            .filter(|(fold, _)| *fold != own)
            .flat_map(|(_, plans)| plans)
            .copied()
            .collect()
    };
    folds.iter().map(|(own, plans)| [others(own), plans.clone()]).collect()
}

/// The mean of all losses but that of one seed, if it is among them.
pub fn mean_without(losses: &[f64], seed: Option<usize>) -> f64 {
    let others = losses.iter().enumerate().filter(|(other, _)| Some(*other) != seed);
    mean(&others.map(|(_, loss)| *loss).collect::<Vec<_>>())
}

/// By how single seeds agree: the root of their reliability, which is the correlation of a loss under one
/// seed with what it is an estimate of.
fn ceiling(agreement: &[f64]) -> f64 {
    mean(agreement).max(0.0).sqrt()
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
