//! Which trials share a prefix, and how long it is: it needs to be trained once.
//!
//! Two trials are one training up to a step if they see the same text in the same order, start from
//! the same weights, take the same learning rates and have grown alike until then. What a growth
//! does depends on the policy at growth, so that may differ before the first growth and not after
//! it.

use std::collections::HashMap;

use super::{members::Member, settings::Trial};
use crate::plan::LearningRateAtGrowth;

/// Where a trial leaves another, whose state at that step it can begin from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SharedPrefix {
    /// The other trial's place in the list; always an earlier one.
    pub of: usize,
    /// Optimizer steps in common; a growth at that very point is not among them.
    pub step: u64,
}

impl SharedPrefix {
    /// Training FLOPs that `trial`, which begins so, needs not spend.
    pub fn train_flops(&self, trial: &Trial) -> u128 {
        trial.plan.own_flops(self.step * trial.step_tokens())
    }
}

/// A shorter common beginning is trained again: writing and reading it would cost as much.
const LEAST_STEPS: u64 = 20;

/// The order in which trials are trained, replicate by replicate: a sweep that is stopped half-way
/// has whole replicates to compare.
pub fn in_order(members: &[Member]) -> Vec<&Member> {
    let mut order: Vec<&Member> = members.iter().collect();
    order.sort_by_key(|member| member.position);
    order
}

/// For each trial the earlier one that it has most in common with, if there is any, and that trains
/// through where they part.
pub fn shared_prefixes(trials: &[&Trial]) -> Vec<Option<SharedPrefix>> {
    // For a way of growing so far: who went on longest from there without growing differently, and
    // until which token.
    let mut longest: HashMap<String, (u64, usize)> = HashMap::new();
    let mut found: Vec<Option<SharedPrefix>> = vec![];
    for (number, trial) in trials.iter().enumerate() {
        let ways = ways(trial);
        let common = ways.iter().rev().find_map(|(way, until)| Some((longest.get(way)?, *until)));
        let beginning = common.map(|(&(other, mut of), own)| {
            let step = own.min(other) / trial.step_tokens();
            // One that begins as a third does itself, and further, is never at that step: the third
            // is.
            while let Some(SharedPrefix { of: third, .. }) =
                found[of].filter(|others| others.step >= step)
            {
                of = third;
            }
            SharedPrefix { of, step }
        });
        found.push(beginning.filter(|beginning| beginning.step >= LEAST_STEPS));
        for (way, until) in ways {
            let entry = longest.entry(way).or_insert((until, number));
            if until > entry.0 {
                *entry = (until, number);
            }
        }
    }
    found
}

/// Everything that a trial's first stretch depends on, then that of its first and second, and so
/// on; each with the tokens at which the stretch ends.
fn ways(trial: &Trial) -> Vec<(String, u64)> {
    let mut settings = serde_json::to_value(&trial.settings).expect("plain data");
    let policy = settings["training"]["growth"].take();
    settings["evaluation"].as_object_mut().map(|evaluation| evaluation.remove("after_growth"));
    // The last step is special: it is evaluated whether or not an evaluation is due.
    let end = trial.settings.tokens - trial.step_tokens();
    // Until there, a trial of another length takes the same learning rates, whatever its end is.
    let schedule = &trial.settings.training.schedule;
    let settled = schedule.settled_until(trial.settings.tokens).min(end);
    let length = format!(", {} tokens {}", trial.settings.tokens, json(schedule));
    settings["training"]["schedule"] =
        serde_json::to_value(schedule.settled()).expect("plain data");
    settings["tokens"].take();
    let mut way = format!("{}{}{}", trial.seed, json(&settings), json(trial.plan.initial()));
    let (mut ways, mut is_settled) = (vec![], false);
    let mut settle = |way: &mut String, ways: &mut Vec<(String, u64)>| {
        if !std::mem::replace(&mut is_settled, true) {
            ways.push((way.clone(), settled));
            *way += &length;
        }
    };
    for stage in trial.plan.stages() {
        if stage.tokens > settled {
            settle(&mut way, &mut ways);
        }
        ways.push((way.clone(), stage.tokens.min(end)));
        let after = &trial.settings.evaluation.after_growth;
        way += &format!("{}{}{}", json(stage), json(&policy), json(after));
        if let LearningRateAtGrowth::Rewind { .. } = trial.policy().learning_rate {
            // Where the schedule goes back, it is stretched over the tokens that are left.
            way += &length;
        }
    }
    settle(&mut way, &mut ways);
    ways.push((way, end));
    ways
}

fn json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).expect("plain data")
}
