//! How far trials are trained, whichever sweep they stand in.

use std::collections::{BTreeMap, BTreeSet};

use outgrow_core::TrialState;

use crate::{
    Store, StoreError,
    driver::{Row, args},
};

/// How far a trial is trained.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TrialProgress {
    /// Its state; one that can't be read has not ended.
    pub state: TrialState,
    /// Training FLOPs recorded.
    pub train_flops: f64,
}

impl Store {
    /// How far the trials of these identities are trained; those that the database has not are left
    /// out.
    ///
    /// # Errors
    /// If the database can't be read.
    pub async fn progress(
        &self,
        trials: &BTreeSet<String>,
    ) -> Result<BTreeMap<String, TrialProgress>, StoreError> {
        let all = "SELECT t.id, t.state, coalesce(CAST(last.train_flops AS DOUBLE PRECISION), 0.0)
             FROM trial t
             LEFT JOIN step_metric last ON last.trial = t.number
              AND last.step = (SELECT max(step) FROM step_metric WHERE trial = t.number)";
        let read = |row: Row| {
            let state = row.get(1).unwrap_or(TrialState::Waiting);
            Ok((row.get::<String>(0)?, TrialProgress { state, train_flops: row.get(2)? }))
        };
        let mut found: BTreeMap<_, _> =
            self.read().await?.map(all, args![], read).await?.into_iter().collect();
        found.retain(|trial, _| trials.contains(trial));
        Ok(found)
    }
}
