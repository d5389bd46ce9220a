//! How long a searcher takes to ask for one more plan, one in four a race, when ten thousand were trained.
//!
//!     cargo run --release -p outgrow-search --example asking

use std::time::Instant;

use outgrow_core::{
    growth::Sizes,
    plan::strategy::{
        Places, Share,
        lattice::{Axis, Goal, Lattice},
    },
    stream::stream,
};
use outgrow_search::{
    Asked, Evolution, History, Local, Outcome, Predictor, Racing, Random, Searcher, Space,
    Surrogate, Tpe,
};
use rand::RngExt;

const ROWS: usize = 10_000;

/// Three axes, twelve places, up to three stages: about 60,000 plans.
fn space() -> Space {
    let axis = |name: &str, levels: usize| Axis {
        name: name.into(),
        levels: (0..levels).map(|n| Sizes { d_ff: Some(n + 1), ..Sizes::default() }).collect(),
    };
    let places = (1..=12).map(|n| f64::from(n) * 0.07).collect();
    Space {
        lattice: Lattice {
            axes: vec![axis("width", 4), axis("depth", 3), axis("mlp", 3)],
            at: Share::Compute { compute: Places(places) },
            max_stages: 3,
            target: Goal::Reached,
        },
        choices: vec![],
        born: false,
    }
}

fn main() {
    let (space, mut random) = (space(), stream(1, "asking"));
    let mut history = History::default();
    while history.asked.len() < ROWS {
        let Some(plan) = space.sample(&mut random) else { return };
        let loss = Some(2.0 + 0.01 * random.random::<f64>());
        history.outcomes.push(Outcome { asked: history.asked.len(), loss, flops: 1.0 });
        history.asked.push(Asked { plan, seed: 0, after: 0 });
    }
    let (local, evolution) = (Local::default(), Evolution::default());
    let (surrogate, tpe) = (Surrogate::with(Predictor::Ridge), Tpe::default());
    let trees = Surrogate::with(Predictor::BoostedTrees);
    for searcher in [&Random as &dyn Searcher, &local, &evolution, &tpe, &trees, &surrogate] {
        let racing = Racing { searcher, every: 4, seeds: 3 };
        let mut times: Vec<f64> = (0..15)
            .map(|seed| {
                let began = Instant::now();
                assert_eq!(racing.ask(&space, &history, seed, 4).len(), 4);
                began.elapsed().as_secs_f64() / 4.0
            })
            .collect();
        times.sort_by(f64::total_cmp);
        println!("{:10} {:6.1} ms (median of 15)", searcher.name(), 1e3 * times[7]);
    }
}
