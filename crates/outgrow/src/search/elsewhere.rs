//! What searches of the same database believed of the plans that a sweep trains.

use std::collections::BTreeSet;

use outgrow_core::{
    Sweep,
    sweep::{BudgetUnit, budget_text},
};
use outgrow_report::{Input, Promise, estimates};

use super::Search;
use crate::{error::Error, rows::rows, workspace::Workspace};

/// The same rows, with what other sweeps' searches believed of their plans against frontiers of their own.
/// A search that can't be read promises nothing.
pub(crate) async fn promised(workspace: &Workspace, mut own: Input) -> Result<Input, Error> {
    let Some(unit) = unit(&own) else { return Ok(own) };
    let trained: BTreeSet<[String; 2]> = own.trials.iter().map(|trial| trial.grown_by()).collect();
    for sweep in workspace.reading().await?.sweeps().await? {
        if sweep.id == own.id {
            continue;
        }
        let Some(search) = Search::of_spec(&sweep.spec) else { continue };
        let Ok(other) = rows(workspace, &sweep.id).await else { continue };
        let trains_the_same = other.trials.iter().any(|trial| trained.contains(&trial.grown_by()));
        if trains_the_same && self::unit(&other) == Some(unit) && other.tokenizer == own.tokenizer {
            let kept = promises(&search, &other).into_iter();
            own.promises.extend(kept.filter(|promise| trained.contains(&promise.plan)));
        }
    }
    Ok(own)
}

/// The unit of the budgets of a sweep with a frontier.
fn unit(input: &Input) -> Option<BudgetUnit> {
    input.trials.iter().find_map(|trial| trial.budget)?;
    Some(Sweep::parse(&input.spec).ok()?.spec().frontier.as_ref()?.unit)
}

/// Of a search with a frontier of one budget, whose plans were trained under every seed that its born
/// models have.
fn promises(search: &Search, other: &Input) -> Vec<Promise> {
    let frontier = estimates(other).frontier;
    let [row] = &frontier[..] else { return vec![] };
    let Some(least) = row.val_loss.value else { return vec![] };
    let promise = |(plan, estimate): (_, outgrow_search::Estimate)| Promise {
        search: other.sweep.clone(),
        id: other.id.clone(),
        plan,
        budget: budget_text(row.budget),
        gap: estimate.loss - least,
        error: estimate.error,
        seeds: estimate.seeds,
    };
    search.believes(other).into_iter().map(promise).collect()
}
