//! Plans as the timeline shows them.

use std::collections::{BTreeMap, BTreeSet};

use outgrow_core::{
    TrialState,
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
    pub stages: Vec<Stage>,
}

/// A growth of a plan.
#[derive(Clone, Debug)]
pub struct Stage {
    pub tokens: f64,
    /// The axes that it enlarged.
    pub kinds: BTreeSet<TransformKind>,
    /// Parameters after it.
    pub parameters: f64,
    /// Share of the trial's compute that was spent by then; none before the trial's end.
    pub compute: Option<f64>,
    /// Places of the new layers, from 0, each counted in the layers that were there by then.
    pub layers: Vec<usize>,
}

/// The plans of the growing strategies, in the order of the sweep file.
pub fn plans(input: &Input, names: &BTreeMap<String, String>) -> Vec<Plan> {
    let mut grown: BTreeMap<&str, Vec<&GrowthRow>> = BTreeMap::new();
    input.growths.iter().for_each(|row| grown.entry(&row.trial).or_default().push(row));
    let mut spent: BTreeMap<&str, f64> = BTreeMap::new();
    input.curves.iter().for_each(|row| {
        spent.insert(&row.trial, row.at.train_flops as f64);
    });
    let mut plans: BTreeMap<(usize, usize), Plan> = BTreeMap::new();
    let mut order: Vec<&str> = vec![];
    let is_shown = |trial: &&TrialRow| !trial.tuning && Role::of(&trial.kind) == Role::Grown;
    for trial in input.trials.iter().filter(is_shown) {
        let place = order.iter().position(|name| *name == trial.strategy).unwrap_or_else(|| {
            order.push(&trial.strategy);
            order.len() - 1
        });
        let rows = grown.get(trial.trial.as_str()).map_or(&[][..], Vec::as_slice);
        // All replicates of a plan grow alike; the one that has come furthest shows all of it.
        let known = plans.get(&(place, trial.plan)).map(|plan| plan.stages.len());
        if known.is_none_or(|known| known < rows.len()) {
            let is_complete = trial.state == TrialState::Complete;
            let all = spent.get(trial.trial.as_str()).copied().filter(|_| is_complete);
            let name = &names[&trial.strategy];
            plans.insert((place, trial.plan), plan(trial, rows, name, all));
        }
    }
    numbered(plans)
}

fn plan(trial: &TrialRow, rows: &[&GrowthRow], name: &str, all: Option<f64>) -> Plan {
    let stage = |row: &&GrowthRow| Stage {
        tokens: row.at.tokens as f64,
        kinds: row.axes.iter().copied().collect(),
        parameters: row.parameters_after as f64,
        compute: all.map(|all| row.at.train_flops as f64 / all),
        layers: row.new_layers.clone(),
    };
    Plan {
        name: name.to_owned(),
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
