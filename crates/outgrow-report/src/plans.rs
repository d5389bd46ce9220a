//! Plans as the timeline shows them.

use std::collections::{BTreeMap, BTreeSet};

use outgrow_core::{
    growth::TransformKind,
    rows::{GrowthRow, TrialRow},
};

use crate::{input::Input, strategy::Role};

/// A plan as the timeline shows it.
#[derive(Clone, Debug)]
pub struct Plan {
    /// `random/3`.
    pub name: String,
    /// Tokens of the trial.
    pub tokens: f64,
    /// Parameters at the beginning.
    pub parameters: f64,
    /// Tokens, kinds of the transforms, and parameters after.
    pub stages: Vec<(f64, BTreeSet<TransformKind>, f64)>,
}

/// The plans of the growing strategies, in the order of the sweep file.
pub fn plans(input: &Input) -> Vec<Plan> {
    let mut grown: BTreeMap<&str, Vec<&GrowthRow>> = BTreeMap::new();
    input.growths.iter().for_each(|row| grown.entry(&row.trial).or_default().push(row));
    let mut plans: BTreeMap<(usize, usize), Plan> = BTreeMap::new();
    let mut order: Vec<&str> = vec![];
    for trial in input.trials.iter().filter(|trial| Role::of(&trial.kind) == Role::Grown) {
        let place = order.iter().position(|name| *name == trial.strategy).unwrap_or_else(|| {
            order.push(&trial.strategy);
            order.len() - 1
        });
        let rows = grown.get(trial.trial.as_str()).map_or(&[][..], Vec::as_slice);
        // All replicates of a plan grow alike; the one that has come furthest shows all of it.
        let known = plans.get(&(place, trial.plan)).map(|plan| plan.stages.len());
        if known.is_none_or(|known| known < rows.len()) {
            plans.insert((place, trial.plan), plan(trial, rows));
        }
    }
    numbered(plans)
}

fn plan(trial: &TrialRow, rows: &[&GrowthRow]) -> Plan {
    let stage = |row: &&GrowthRow| {
        (row.at.tokens as f64, row.axes.iter().copied().collect(), row.parameters_after as f64)
    };
    Plan {
        name: trial.strategy.clone(),
        tokens: trial.tokens as f64,
        parameters: rows.first().map_or(0.0, |row| row.parameters_before as f64),
        stages: rows.iter().map(stage).collect(),
    }
}

/// The plans of a strategy that has several get their numbers.
fn numbered(plans: BTreeMap<(usize, usize), Plan>) -> Vec<Plan> {
    let places: Vec<usize> = plans.keys().map(|(place, _)| *place).collect();
    let several = |place: usize| places.iter().filter(|other| **other == place).count() > 1;
    let named = plans.into_iter().map(|((place, number), plan)| match several(place) {
        true => Plan { name: format!("{} {}", plan.name, number + 1), ..plan },
        false => plan,
    });
    named.collect()
}
