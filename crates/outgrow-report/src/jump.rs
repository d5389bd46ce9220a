//! Strategies whose loss goes up after they grew.

use serde::Serialize;

use crate::{
    interval::{Interval, by_seed, interval},
    runs::Run,
    strategy::{Role, Strategy},
};

/// Share of a trial's tokens after a growth in which the loss is looked at.
const WITHIN: f64 = 0.1;

/// A rise of the loss after growth that the seeds' spread does not explain.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Jump {
    /// The strategy.
    pub strategy: String,
    /// The highest loss soon after a growth minus the last one before it, nats per token, the
    /// events of a trial averaged.
    pub rise: Interval,
    /// How many tokens after the growth the highest loss was measured, in the mean.
    pub tokens: f64,
    /// Whether the learning rate goes on as if nothing had happened.
    pub is_rate_unchanged: bool,
}

/// The strategies that jump, the highest first.
pub fn jumps(strategies: &[Strategy]) -> Vec<Jump> {
    let grown = strategies.iter().filter(|strategy| strategy.role == Role::Grown);
    let mut all: Vec<Jump> = grown.filter_map(jump).collect();
    all.sort_by(|a, b| b.rise.mean.total_cmp(&a.rise.mean));
    all
}

struct Event {
    seed: usize,
    before: f64,
    rise: f64,
    tokens: f64,
}

fn jump(strategy: &Strategy) -> Option<Jump> {
    let events: Vec<Event> = strategy.runs.iter().flat_map(events).collect();
    let of = |value: fn(&Event) -> f64| by_seed(events.iter().map(|one| (one.seed, value(one))));
    let (rise, before) = (interval(&of(|one| one.rise))?, of(|one| one.before));
    let level = interval(&before)?.mean;
    let squares: f64 = before.values().map(|loss| (loss - level).powi(2)).sum();
    let spread = (squares / (before.len().max(2) - 1) as f64).sqrt();
    let [low, _] = rise.bounds?;
    (rise.mean > spread && low > 0.0).then(|| Jump {
        strategy: strategy.name.clone(),
        rise,
        tokens: events.iter().map(|one| one.tokens).sum::<f64>() / events.len() as f64,
        is_rate_unchanged: strategy.policy[2] == "unchanged",
    })
}

/// The growths of a trial that have evaluations before and soon after them.
fn events(run: &Run) -> Vec<Event> {
    let reach = WITHIN * run.last().tokens;
    let ends = run.growths.iter().skip(1).map(|growth| growth.tokens).chain([f64::INFINITY]);
    let event = |(at, end): (f64, f64)| {
        let before = run.curve.iter().rev().find(|point| point.tokens <= at)?;
        let after = run.curve.iter().filter(|point| point.tokens > at && point.tokens <= end);
        let mut after = after.peekable();
        // Where evaluations are rare, the first one after it.
        let first = after.peek()?.tokens;
        let soon = after.filter(|point| point.tokens <= (at + reach).max(first));
        let highest = soon.max_by(|a, b| a.loss.total_cmp(&b.loss))?;
        Some(Event {
            seed: run.replicate,
            before: before.loss,
            rise: highest.loss - before.loss,
            tokens: highest.tokens - at,
        })
    };
    run.growths.iter().map(|growth| growth.tokens).zip(ends).filter_map(event).collect()
}
