//! Where sweeps stand.

use outgrow_store::{StoreError, SweepStatus, SweepSummary};
use serde_json::{Value, json};

use crate::{
    error::Error,
    workspace::{Workspace, runtime},
};

/// A sweep, where it stands, and what failed.
pub type Found = (SweepSummary, SweepStatus, Vec<(String, String)>);

/// Number of trials in each state, as JSON.
pub fn states(status: &SweepStatus) -> Value {
    status
        .states
        .iter()
        .map(|(state, n)| (state.to_string(), json!(n)))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

/// Where a sweep stands, as JSON.
pub fn as_json((sweep, status, failures): &Found) -> Value {
    let running = status.running.iter().map(|trial| {
        json!({ "trial": trial.trial, "label": trial.label, "tokens": trial.tokens, "of_tokens": trial.of_tokens,
                "loss": trial.loss, "process": trial.holder, "silent_seconds": trial.silent_seconds })
    });
    json!({ "sweep": sweep.name, "id": sweep.id, "data": sweep.data_digest, "created_at": sweep.created_at,
            "trials": states(status), "tokens": status.tokens.0, "of_tokens": status.tokens.1,
            "train_flops": status.train_flops.0, "of_train_flops": status.train_flops.1,
            "running": running.collect::<Vec<_>>(), "failures": failures })
}

impl Workspace {
    /// Where every sweep stands, or the one of a name or identity.
    ///
    /// # Errors
    /// If there is no such sweep, or no database.
    pub fn status(&self, sweep: Option<&str>) -> Result<Vec<Found>, Error> {
        runtime()?.block_on(async {
            let store = self.reading().await?;
            let sweeps = match sweep {
                Some(wanted) => vec![store.find_sweep(wanted).await?],
                None => store.sweeps().await?,
            };
            let mut found = vec![];
            for sweep in sweeps {
                let status = store.status(&sweep.id).await?;
                let failures = store.failures(&sweep.id).await?;
                found.push((sweep, status, failures));
            }
            Ok::<_, StoreError>(found).map_err(Error::from)
        })
    }
}
