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

/// Trials whose loss goes up after growth by more than the seeds differ before it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Spike {
    /// The strategy.
    pub strategy: String,
    /// How many of its trials.
    pub trials: usize,
    /// All of its trials with evaluations on both sides of a growth.
    pub of: usize,
    /// The largest rise in one of them, nats per token.
    pub largest: f64,
}

/// The strategies of which single trials jump, the highest first; without those that jump as a
/// whole, and those of one seed, whose spread is not known.
pub fn spikes(strategies: &[Strategy]) -> Vec<Spike> {
    let grown = strategies.iter().filter(|strategy| strategy.role == Role::Grown);
    let single = grown.filter(|strategy| jump(strategy).is_none());
    let mut all: Vec<Spike> = single.filter_map(spike).collect();
    all.sort_by(|a, b| b.largest.total_cmp(&a.largest));
    all
}

fn spike(strategy: &Strategy) -> Option<Spike> {
    let trials: Vec<Vec<Event>> = strategy.runs.iter().map(events).collect();
    let largest = |events: &Vec<Event>| {
        let over = events.iter().enumerate().filter(|(number, event)| {
            spread(trials.iter().filter_map(|trial| trial.get(*number)))
                .is_some_and(|spread| event.rise > spread)
        });
        over.map(|(_, event)| event.rise).reduce(f64::max)
    };
    let rises: Vec<f64> = trials.iter().filter_map(largest).collect();
    Some(Spike {
        strategy: strategy.name.clone(),
        trials: rises.len(),
        of: trials.iter().filter(|events| !events.is_empty()).count(),
        largest: rises.into_iter().reduce(f64::max)?,
    })
}

/// The standard deviation over seeds of the loss before some events; none of one seed.
fn spread<'a>(events: impl Iterator<Item = &'a Event>) -> Option<f64> {
    let before = by_seed(events.map(|event| (event.seed, event.before)));
    let mean = interval(&before).filter(|loss| loss.n > 1)?.mean;
    let squares: f64 = before.values().map(|loss| (loss - mean).powi(2)).sum();
    Some((squares / (before.len() - 1) as f64).sqrt())
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
    let (rise, spread) = (interval(&of(|one| one.rise))?, spread(events.iter())?);
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
