//! Strategies that differ in their policies only.

use std::collections::BTreeSet;

use serde::Serialize;

use crate::{
    compare::difference,
    contrast::saving_difference,
    interval::Interval,
    strategy::{Role, Strategy},
    tested::Tested,
};

/// A group of strategies that grow by the same plans under different policies.
#[derive(Clone, Debug, Serialize)]
pub struct Ablation {
    /// The strategy that the others are compared with: the first of them in the sweep file.
    pub base: String,
    /// All of them, the first included.
    pub rows: Vec<AblationRow>,
}

/// One policy of an ablation.
#[derive(Clone, Debug, Serialize)]
#[allow(missing_docs)]
pub struct AblationRow {
    pub strategy: String,
    /// Initializer, optimizer and learning rate at growth.
    pub policy: [String; 3],
    pub final_loss: Option<Interval>,
    /// Its final loss minus the first one's, seed by seed; none for the first.
    pub difference: Option<Tested>,
    /// Its saving minus the first one's, seed by seed; none where a trial of either did not reach
    /// the control's loss.
    pub saving_difference: Option<Tested>,
}

/// Finds the ablations of a sweep.
pub fn ablations(strategies: &[Strategy]) -> Vec<Ablation> {
    let grown: Vec<&Strategy> = strategies.iter().filter(|s| s.role == Role::Grown).collect();
    let mut groups: Vec<Vec<&Strategy>> = vec![];
    for strategy in grown {
        match groups.iter_mut().find(|group| group[0].plan_ids == strategy.plan_ids) {
            Some(group) => group.push(strategy),
            None => groups.push(vec![strategy]),
        }
    }
    groups.retain(|group| group.iter().map(|s| &s.policy).collect::<BTreeSet<_>>().len() > 1);
    groups.iter().map(|group| ablation(group)).collect()
}

fn ablation(group: &[&Strategy]) -> Ablation {
    let base = group[0];
    let row = |strategy: &&Strategy| {
        let other = (strategy.name != base.name).then_some(strategy);
        AblationRow {
            strategy: strategy.name.clone(),
            policy: strategy.policy.clone(),
            final_loss: strategy.final_loss,
            difference: other.and_then(|s| difference(s, base)),
            saving_difference: other.and_then(|s| saving_difference(s, base)),
        }
    };
    Ablation { base: base.name.clone(), rows: group.iter().map(row).collect() }
}
