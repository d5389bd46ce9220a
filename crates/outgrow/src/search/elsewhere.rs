//! What searches of the same database believed of the plans that a sweep trains.

use std::collections::{BTreeMap, BTreeSet};

use outgrow_core::{Sweep, sweep::budget_text};
use outgrow_report::{Input, Promise, estimates};

use super::Search;
use crate::{error::Error, rows::input, workspace::Workspace};

/// The same rows, with what other sweeps' searches believed of their plans against frontiers of their own.
pub(crate) async fn promised(workspace: &Workspace, mut own: Input) -> Result<Input, Error> {
    let store = workspace.reading().await?;
    let trained: BTreeSet<[String; 2]> = own.trials.iter().map(|trial| trial.grown_by()).collect();
    for sweep in store.sweeps().await? {
        // Few sweeps have a search, and a sweep takes a while to be understood.
        if sweep.id == own.id || !sweep.spec.contains("[search]") {
            continue;
        }
        let Some(search) = Sweep::parse(&sweep.spec).ok().as_ref().and_then(Search::of) else {
            continue;
        };
        let other = input(&store, sweep).await?;
        let least: BTreeMap<String, f64> = estimates(&other)
            .frontier
            .into_iter()
            .filter_map(|row| Some((budget_text(row.budget), row.val_loss.value?)))
            .collect();
        // A search has one budget.
        let [(budget, least)] = &Vec::from_iter(least)[..] else { continue };
        let known = search.believes(&other).into_iter().filter(|(plan, _)| trained.contains(plan));
        own.promises.extend(known.map(|(plan, estimate)| Promise {
            search: other.sweep.clone(),
            plan,
            budget: budget.clone(),
            gap: estimate.loss - least,
            error: estimate.error,
            seeds: estimate.seeds,
        }));
    }
    Ok(own)
}
