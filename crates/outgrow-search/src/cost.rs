//! What searches cost beside those of a control.

use outgrow_core::stream::stream;
use rand::RngExt;

use crate::table::Progress;

/// Draws of a bootstrap.
const DRAWS: usize = 1000;

/// What searches are charged until their mean regret comes to that of the finished searches of `control`,
/// and stays there, as a share of what these are charged in all: once for all searches, and with a
/// bootstrapped 95 % interval over searches; infinite if it never does.
///
/// All of one searcher are equally long, as [`crate::Table::search`] makes them, and those of one number
/// saw the same seeds; none without any, or if there are not as many of both.
pub fn cost_of_control(
    searches: &[Vec<Progress>],
    control: &[Vec<Progress>],
    seed: u64,
) -> Option<(f64, [f64; 2])> {
    let n = searches.len();
    if control.len() != n {
        return None;
    }
    let mut random = stream(seed, "search/cost");
    let share = |numbers: &[usize]| {
        let end = Mean::over(control, numbers).last().copied()?;
        let means = Mean::over(searches, numbers);
        let first =
            means.iter().rposition(|mean| mean.regret > end.regret).map_or(0, |last| last + 1);
        Some(means.get(first).map_or(f64::INFINITY, |mean| mean.flops) / end.flops)
    };
    let every: Vec<usize> = (0..n).collect();
    let all = share(&every)?;
    let draws = (0..DRAWS).map(|_| every.iter().map(|_| random.random_range(0..n)).collect());
    let mut shares: Vec<f64> = draws.filter_map(|drawn: Vec<usize>| share(&drawn)).collect();
    shares.sort_by(f64::total_cmp);
    let bound = |share: f64| shares[(share * (shares.len() - 1) as f64).round() as usize];
    Some((all, [bound(0.025), bound(0.975)]))
}

/// Of some searches after a batch.
#[derive(Clone, Copy)]
struct Mean {
    flops: f64,
    regret: f64,
}

impl Mean {
    /// After each batch that all searches came to; those of these numbers count.
    fn over(searches: &[Vec<Progress>], numbers: &[usize]) -> Vec<Self> {
        let batches = searches.iter().map(Vec::len).min().unwrap_or(0);
        let mean = |batch: usize| {
            let own = numbers.iter().map(|number| searches[*number][batch]);
            let n = numbers.len() as f64;
            let (flops, regret) = own.fold((0.0, 0.0), |(flops, regret), one| {
                (flops + one.flops / n, regret + one.regret / n)
            });
            Self { flops, regret }
        };
        (0..batches).map(mean).collect()
    }
}
