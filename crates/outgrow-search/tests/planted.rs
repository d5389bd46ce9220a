//! Searchers on landscapes whose truth is known: what a plan is worth is planted, what is seen of it
//! has noise.

use std::collections::BTreeSet;

use outgrow_core::{
    growth::Sizes,
    plan::strategy::{
        Places, Share,
        lattice::{Axis, Goal, Lattice},
    },
    stream::{Stream, stream},
};
use outgrow_search::{
    Asked, Choice, Evolution, History, Local, Outcome, Plan, Predictor, Racing, Random, Searcher,
    Space, Surrogate, Tpe,
};
use rand::RngExt;
use rand_distr::{Distribution, StandardNormal};
use rayon::prelude::*;

/// Nats between what random plans are worth on average and the best plan.
const ADVANTAGE: f64 = 0.02;
/// Standard deviation of a loss over seeds; half of its variance is common to all plans.
const NOISE: f64 = 0.003;
const EVALUATIONS: usize = 200;
/// Searches of each searcher, by trees a third, for they are slow; SEARCHES=200 makes so many by all.
const REPLICATES: u64 = 96;

/// Three axes, ten places, up to three stages, and where layers go.
fn space() -> Space {
    let axis = |name: &str, levels: usize| Axis {
        name: name.into(),
        levels: (0..levels).map(|n| Sizes { d_ff: Some(n + 1), ..Sizes::default() }).collect(),
    };
    let places = (1..=10).map(|n| f64::from(n) * 0.08).collect();
    Space {
        lattice: Lattice {
            axes: vec![axis("width", 3), axis("depth", 2), axis("mlp", 3)],
            at: Share::Compute { compute: Places(places) },
            max_stages: 3,
            target: Goal::Reached,
        },
        choices: vec![Choice { name: "layers".into(), values: 3, of_axes: vec![] }],
        born: false,
    }
}

/// What plans are worth.
struct Landscape {
    space: Space,
    weights: Vec<f64>,
    best_at: Vec<f64>,
    seed: u64,
    scale: f64,
    lowest: f64,
}

fn normal(random: &mut Stream) -> f64 {
    StandardNormal.sample(random)
}

impl Landscape {
    /// Each level of each axis has a place that is best for it, and some pairs should be close; the
    /// choice is worth a little, and each plan something of its own.
    fn new(seed: u64) -> Self {
        let (space, random) = (space(), &mut stream(seed, "landscape"));
        let d = space.features(&space.sample(random).expect("a plan")).len();
        let mut made = Self {
            weights: (0..d).map(|_| random.random_range(0.2..1.0)).collect(),
            best_at: (0..d).map(|_| random.random_range(0.1..0.7)).collect(),
            space,
            seed,
            scale: 1.0,
            lowest: 0.0,
        };
        // The space is small enough to look at much of it.
        let ways = made.space.lattice.ways().expect("few");
        let all: Vec<f64> = ways
            .into_iter()
            .flat_map(|way| {
                (0..3).map(move |value| Plan { way: way.clone(), choices: vec![value] })
            })
            .map(|plan| made.raw(&plan))
            .collect();
        let lowest = all.iter().copied().fold(f64::INFINITY, f64::min);
        let drawn: Vec<f64> =
            (0..2000).map(|_| made.raw(&made.space.sample(random).expect("a plan"))).collect();
        let mean = drawn.iter().sum::<f64>() / drawn.len() as f64;
        made.scale = ADVANTAGE / (mean - lowest);
        made.lowest = lowest;
        made
    }

    fn raw(&self, plan: &Plan) -> f64 {
        let features = self.space.features(plan);
        let n = 5;
        let own: f64 =
            (0..n).map(|i| self.weights[i] * (features[i] - self.best_at[i]).abs().powf(1.5)).sum();
        let together: f64 = (0..n - 1)
            .map(|i| 0.3 * self.weights[n + i] * (features[i] - features[i + 1]).powi(2))
            .sum();
        let choice = 0.05 * self.weights[10 + usize::from(plan.choices[0])];
        let name = format!("{plan:?}");
        let own_luck = 0.02 * normal(&mut stream(self.seed, &name));
        own + together + choice + own_luck
    }

    /// Above the best plan, nats.
    fn regret(&self, plan: &Plan) -> f64 {
        self.scale * (self.raw(plan) - self.lowest)
    }

    fn seen(&self, Asked { plan, seed, .. }: &Asked, replicate: u64) -> f64 {
        let common = normal(&mut stream(replicate, &format!("seed/{seed}")));
        let own = normal(&mut stream(replicate, &format!("{seed}/{plan:?}")));
        2.0 + self.regret(plan) + NOISE * 0.5_f64.sqrt() * (common + own)
    }
}

/// The regret of the plan that is believed to be the best after so many trainings.
fn searched(landscape: &Landscape, searcher: &dyn Searcher, replicate: u64) -> f64 {
    let mut history = History::default();
    let racing = Racing { searcher, every: 4, seeds: 5 };
    while history.asked.len() < EVALUATIONS {
        let asked = racing.ask(&landscape.space, &history, replicate, 4);
        assert!(!asked.is_empty());
        record(&mut history, asked, |one| landscape.seen(one, replicate));
    }
    landscape.regret(history.best().expect("a plan").0)
}

/// What a searcher asks for where nothing is raced.
fn ask(searcher: &dyn Searcher, space: &Space, history: &History, n: usize) -> Vec<Asked> {
    Racing { searcher, every: 0, seeds: 1 }.ask(space, history, 7, n)
}

fn record(history: &mut History, asked: Vec<Asked>, seen: impl Fn(&Asked) -> f64) {
    for one in asked {
        let outcome = Outcome { asked: history.asked.len(), loss: Some(seen(&one)), flops: 1.0 };
        history.asked.push(one);
        history.outcomes.push(outcome);
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Mean, and its standard error.
fn mean(values: &[f64]) -> (f64, f64) {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (n - 1.0);
    (mean, (variance / n).sqrt())
}

#[test]
fn searchers_find_what_is_planted_and_beat_chance() {
    let landscapes: Vec<Landscape> = (0..8).into_par_iter().map(Landscape::new).collect();
    let regrets = |searcher: &dyn Searcher, replicates: u64| -> Vec<f64> {
        let one = |n: u64| searched(&landscapes[n as usize % 8], searcher, n);
        (0..replicates).into_par_iter().map(one).collect()
    };
    let asked = std::env::var("SEARCHES").ok().map(|n| n.parse::<u64>().expect("a number"));
    let (replicates, of_trees) = (asked.unwrap_or(REPLICATES), if asked.is_some() { 1 } else { 3 });
    let by_chance = regrets(&Random, replicates);
    println!("random: {:.5}", median(by_chance.clone()));
    let (evolution, local) = (Evolution::default(), Local::default());
    let (surrogate, tpe) = (Surrogate::with(Predictor::Ridge), Tpe::default());
    let trees = Surrogate::with(Predictor::BoostedTrees);
    let all = [
        (&evolution as &dyn Searcher, 1),
        (&local, 1),
        (&tpe, 1),
        (&trees, of_trees),
        (&surrogate, 1),
    ];
    for (searcher, fewer) in all {
        let found = regrets(searcher, replicates / fewer);
        let less: Vec<f64> = by_chance.iter().zip(&found).map(|(one, own)| one - own).collect();
        let (gain, error) = mean(&less);
        let name = searcher.name();
        println!("{name}: {:.5}, better by {gain:.5} ± {:.5}", median(found.clone()), 2.0 * error);
        assert!(median(found) <= 0.1 * ADVANTAGE, "{name}");
        assert!(gain > 2.0 * error, "{name}: {gain} ± {error}");
    }
}

#[test]
fn what_was_asked_is_asked_again_and_pending_ones_are_not() {
    let landscape = Landscape::new(1);
    let (evolution, local) = (Evolution::default(), Local::default());
    let (surrogate, tpe) = (Surrogate::with(Predictor::Ridge), Tpe::default());
    let trees = Surrogate::with(Predictor::BoostedTrees);
    for searcher in [&Random as &dyn Searcher, &evolution, &local, &tpe, &trees, &surrogate] {
        let mut history = History::default();
        for _ in 0..15 {
            let batch = ask(searcher, &landscape.space, &history, 4);
            assert_eq!(batch, ask(searcher, &landscape.space, &history, 4), "a pure function");
            // One after the other, none of them recorded, is the same as all at once.
            let mut pending = history.clone();
            for one in &batch {
                let next = ask(searcher, &landscape.space, &pending, 1);
                assert_eq!(next, std::slice::from_ref(one));
                pending.asked.push(one.clone());
            }
            record(&mut history, batch, |one| landscape.seen(one, 7));
        }
        let plans: BTreeSet<&Plan> = history.asked.iter().map(|asked| &asked.plan).collect();
        assert_eq!(plans.len(), history.asked.len(), "{}: each plan once", searcher.name());
        assert!(plans.iter().all(|plan| landscape.space.contains(plan)));
    }
}

#[test]
fn plans_that_diverged_are_no_parents_and_end_no_search() {
    let landscape = Landscape::new(2);
    let (evolution, local) = (Evolution::default(), Local::default());
    let (surrogate, tpe) = (Surrogate::with(Predictor::Ridge), Tpe::default());
    let trees = Surrogate::with(Predictor::BoostedTrees);
    for searcher in [&Random as &dyn Searcher, &evolution, &local, &tpe, &trees, &surrogate] {
        let racing = Racing { searcher, every: 3, seeds: 2 };
        let mut history = History::default();
        for _ in 0..60 {
            for one in racing.ask(&landscape.space, &history, 3, 1) {
                let asked = history.asked.len();
                let loss = (asked % 3 > 0).then(|| landscape.seen(&one, 3));
                history.asked.push(one);
                history.outcomes.push(Outcome { asked, loss, flops: 1.0 });
            }
        }
        assert_eq!(history.asked.len(), 60);
        assert_eq!(history.charged(), 60.0, "what diverged is charged, too");
    }
}

#[test]
fn a_space_that_is_used_up_ends_the_search() {
    let mut space = space();
    space.lattice.axes.truncate(1);
    space.lattice.max_stages = 1;
    space.choices.clear();
    let all = space.lattice.ways().expect("few").len();
    let surrogate = Surrogate::with(Predictor::Ridge);
    let asked = ask(&surrogate, &space, &History::default(), all + 10);
    assert_eq!(asked.len(), all);
}
