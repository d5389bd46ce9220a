//! Searches on a table whose truth is planted.

use std::collections::BTreeMap;

use outgrow_core::{
    growth::Sizes,
    plan::strategy::{
        Places, Share,
        lattice::{Axis, Goal, Lattice},
    },
    stream::stream,
};
use outgrow_search::{
    Plan, Predictor, Progress, Random, Row, Rules, Space, Surrogate, Table, cost_of_control,
};
use rand_distr::{Distribution, StandardNormal};

fn space() -> Space {
    let axis = |name: &str| Axis {
        name: name.into(),
        levels: (1..=2).map(|n| Sizes { d_ff: Some(n), ..Sizes::default() }).collect(),
    };
    let at = Share::Compute { compute: Places(vec![0.1, 0.2, 0.3, 0.5, 0.7]) };
    let axes = vec![axis("width"), axis("depth"), axis("mlp")];
    Space {
        lattice: Lattice { axes, at, max_stages: 3, target: Goal::Reached },
        choices: vec![],
        born: false,
    }
}

/// Every plan is worth its features, under so many seeds with noise.
fn rows(space: &Space, seeds: usize, noise: f64) -> BTreeMap<Plan, Row> {
    let random = &mut stream(1, "table");
    let ways = space.lattice.ways().expect("few");
    ways.into_iter()
        .map(|way| {
            let plan = Plan { way, choices: vec![] };
            let features = space.features(&plan);
            let worth: f64 = (0..3).map(|i| (features[i] - 0.1 - 0.2 * i as f64).abs()).sum();
            let losses = (0..seeds).map(|_| {
                let normal: f64 = StandardNormal.sample(random);
                Some(2.0 + 0.05 * worth + noise * normal)
            });
            let row = Row { losses: losses.collect(), flops: 1e9 };
            (plan, row)
        })
        .collect()
}

#[test]
fn searches_on_a_table_come_to_its_best() {
    let space = space();
    let table = Table::new(space.clone(), rows(&space, 3, 1e-3)).expect("a table");
    let rules = Rules { trials: 60, batch: 4, race_every: 4 };
    let last = |searcher: &dyn outgrow_search::Searcher| -> f64 {
        let ends = (0..40).map(|seed| {
            let progress = table.search(searcher, rules, seed);
            let last = progress.last().expect("a batch");
            assert_eq!((last.trials, last.flops), (60, 60e9));
            last.regret
        });
        ends.sum::<f64>() / 40.0
    };
    let (by_chance, found) = (last(&Random), last(&Surrogate::with(Predictor::Ridge)));
    assert!(found < 0.5 * by_chance && found < 0.004, "{found} and {by_chance}");
    let again = table.search(&Random, rules, 7);
    assert_eq!(again, table.search(&Random, rules, 7));
    assert!(again.windows(2).all(|two| two[0].trials < two[1].trials));
    // Nearly nothing is luck where there is hardly any noise.
    let luck = table.luck_of_the_reference();
    assert!((-5e-4..3e-3).contains(&luck), "{luck}");
}

#[test]
fn the_luck_of_the_reference_is_seen() {
    let space = space();
    let table = Table::new(space.clone(), rows(&space, 3, 0.02)).expect("a table");
    assert!(table.luck_of_the_reference() > 0.01, "{}", table.luck_of_the_reference());
}

#[test]
fn what_is_no_table_is_refused() {
    let space = space();
    let mut all = rows(&space, 3, 1e-3);
    let refused =
        |rows: &BTreeMap<Plan, Row>| Table::new(space.clone(), rows.clone()).expect_err("refused");
    let (first, row) = all.pop_first().expect("a plan");
    assert!(refused(&all).contains("1 of the "), "{}", refused(&all));
    all.insert(first, Row { losses: row.losses[..2].to_vec(), ..row });
    assert!(refused(&all).contains("1 have fewer"), "{}", refused(&all));
    assert!(refused(&rows(&space, 1, 1e-3)).contains("at least two seeds"));
}

#[test]
fn what_a_searcher_saves_is_told_beside_the_control() {
    // Searches that fall by a step after each batch, with noise of their own.
    let searches = |step: f64| -> Vec<Vec<Progress>> {
        let random = &mut stream(2, "searches");
        let mut one = || {
            let at = |batch: usize| {
                let normal: f64 = StandardNormal.sample(random);
                let flops = batch as f64 * 1e12;
                Progress { trials: batch, flops, regret: 1.0 - step * batch as f64 + 0.02 * normal }
            };
            (1..=20).map(at).collect()
        };
        (0..100).map(|_| one()).collect()
    };
    let (control, fast, slow) = (searches(0.02), searches(0.08), searches(0.01));
    let (share, [low, high]) = cost_of_control(&fast, &control, 0).expect("searches");
    assert!((0.2..0.31).contains(&share) && low <= share && share <= high, "{share} {low} {high}");
    assert!(high < 0.4, "{high}");
    let (share, bounds) = cost_of_control(&control, &control, 0).expect("searches");
    assert_eq!((share, bounds), (1.0, [1.0; 2]), "it falls until its end");
    let (share, bounds) = cost_of_control(&slow, &control, 0).expect("searches");
    assert!(share.is_infinite() && bounds[0].is_infinite(), "{share} {bounds:?}");
    assert_eq!(cost_of_control(&fast, &control[..50], 0), None);
    assert_eq!(cost_of_control(&[], &[], 0), None);
}
