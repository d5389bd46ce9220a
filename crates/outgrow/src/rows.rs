//! The rows of a sweep, as its report, its search and its estimates are made of them.

use outgrow_report::{Input, LossUnit};
use outgrow_store::{Store, StoreError, SweepSummary};

use crate::{error::Error, workspace::Workspace};

/// Of the sweep of a name or an identity.
pub(crate) async fn rows(workspace: &Workspace, wanted: &str) -> Result<Input, Error> {
    let store = workspace.reading().await?;
    let sweep = store.find_sweep(wanted).await?;
    store.refuse_incomplete(Some(&sweep.id)).await?;
    Ok(input(&store, sweep).await?)
}

/// Of a sweep.
pub(crate) async fn input(store: &Store, sweep: SweepSummary) -> Result<Input, StoreError> {
    let (trials, curves, growths) = store.report_rows(&sweep.id).await?;
    let environments = store.environments(&sweep.id).await?;
    let (id, data) = (sweep.id, sweep.data_digest);
    let (evaluated, tokenizer) = (sweep.evaluated, sweep.tokenizer);
    Ok(Input {
        sweep: sweep.name,
        id,
        spec: sweep.spec,
        words: sweep.words,
        text_tokens: sweep.text_tokens,
        data,
        evaluated,
        tokenizer,
        unit: LossUnit::default(),
        environments,
        trials,
        curves,
        growths,
        searched: None,
        promises: vec![],
    })
}
