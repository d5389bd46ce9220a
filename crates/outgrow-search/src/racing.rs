//! Racing: the best plans are trained under more of the paired seeds, so that the one that is
//! believed to be the best is it. An option of every searcher; the one way to ask them all.

use outgrow_core::stream::stream;

use crate::{
    history::{Asked, Estimate, History, Known},
    searcher::Searcher,
    space::{Plan, Space},
};

/// A searcher that gives a share of what it asks for to further seeds of plans that may be the best.
pub struct Racing<'a> {
    /// Who asks for new plans.
    pub searcher: &'a dyn Searcher,
    /// Every so many-th training is one of a known plan; none if 0.
    pub every: usize,
    /// A plan is trained under at most so many seeds.
    pub seeds: usize,
}

impl Racing<'_> {
    /// The next `n` to train. Those before them in a batch count as asked, without an outcome.
    pub fn ask(&self, space: &Space, history: &History, seed: u64, n: usize) -> Vec<Asked> {
        let believed = history.believed();
        let mut times_asked = history.times_asked();
        let mut pending = history.clone();
        let before = pending.asked.len();
        for number in before..before + n {
            let known = Known { history: &pending, believed: &believed, times_asked: &times_asked };
            let races = self.every > 0;
            let is_turn = races && (number + 1).is_multiple_of(self.every);
            let again = if is_turn { self.again(&known) } else { None };
            let name = self.searcher.name();
            let random = &mut stream(seed, &format!("search/{name}/{number}"));
            let new = || {
                let plan = self.searcher.next(space, &known, random)?;
                Some(Asked { plan, seed: 0, after: history.outcomes.len() })
            };
            let rest = || if races { self.again(&known) } else { None };
            let Some(asked) = again.or_else(new).or_else(rest) else { break };
            *times_asked.entry(asked.plan.clone()).or_default() += 1;
            pending.asked.push(asked);
        }
        pending.asked.split_off(before)
    }

    /// Of the plans whose next seed is not being trained, the one that is the lowest if it is lucky.
    fn again(&self, known: &Known) -> Option<Asked> {
        let is_open = |(plan, one): &(&&Plan, &Estimate)| {
            one.seeds < self.seeds && known.times_asked.get(**plan) == Some(&one.seeds)
        };
        let lucky = known.believed.plans.iter().filter(is_open).min_by(|a, b| {
            let low = |one: &Estimate| one.loss - one.error;
            low(a.1).total_cmp(&low(b.1))
        });
        lucky.map(|(plan, one)| Asked {
            plan: (*plan).clone(),
            seed: one.seeds,
            after: known.history.outcomes.len(),
        })
    }
}
