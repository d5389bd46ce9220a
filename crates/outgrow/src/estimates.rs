//! What a report estimates of a frontier, written beside the trials: the views `frontier` and `gaps`.

use std::collections::BTreeSet;

use outgrow_core::{Sweep, TrialState};
use outgrow_store::{Store, StoreError, SweepSummary};
use tokio::task::spawn_blocking;

use crate::rows::input;

/// Makes them of a sweep all of whose trials have ended, unless they are there already. What keeps
/// them from being written costs no result: it is told.
pub(crate) async fn keep_up(store: &Store, sweep: &str) {
    if let Err(error) = make(store, sweep).await {
        tracing::warn!(
            "the views frontier and gaps are not up to date ({error}); `outgrow run` of the sweep \
             writes them again"
        );
    }
}

async fn make(store: &Store, sweep: &str) -> Result<(), StoreError> {
    let summary = store.find_sweep(sweep).await?;
    if !has_frontier(&summary) {
        return Ok(());
    }
    if store.estimates_due(&summary.id).await?.is_none() {
        return Ok(());
    }
    let id = summary.id.clone();
    let input = input(store, summary).await?;
    let complete = input.trials.iter().filter(|trial| trial.state == TrialState::Complete);
    let trials = complete.map(|trial| &trial.trial).collect::<BTreeSet<_>>().len() as u64;
    // A failure there is a fault of ours, and no reason to lose the run.
    let Ok(estimates) = spawn_blocking(move || outgrow_report::estimates(&input)).await else {
        return Ok(());
    };
    store.record_estimates(&id, trials, &estimates).await
}

/// Whether there is anything to estimate.
pub(crate) fn has_frontier(sweep: &SweepSummary) -> bool {
    Sweep::parse(&sweep.spec).is_ok_and(|sweep| sweep.spec().frontier.is_some())
}
