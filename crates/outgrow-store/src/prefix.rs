//! Shared prefixes: the first steps that trials of a sweep have in common are trained once.
//! The first of them leaves a snapshot there, and the others begin from it.

use std::collections::BTreeMap;

use outgrow_core::{
    Trial,
    sweep::{SharedPrefix, shared_prefixes},
};
use outgrow_failpoint::Point;

use crate::{
    Store, StoreError,
    driver::{Tx, args},
    schema::{EVAL_METRIC, GROWTH_EVENT, SHARED_PREFIX, STEP_METRIC},
};

/// A state that another trial left, as it was recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// Its folder, where it was written.
    pub path: String,
    /// Digest of its head.
    pub digest: Option<String>,
}

impl Store {
    /// Forgets the snapshots that no trial will begin from any more; gives their folders.
    ///
    /// # Errors
    /// If the database can't be written.
    pub async fn forget_snapshots(&self) -> Result<Vec<String>, StoreError> {
        let mut tx = self.write().await?;
        let forgotten = "DELETE FROM snapshot WHERE NOT EXISTS (
                           SELECT 1 FROM shared_prefix b JOIN trial t ON t.number = b.trial
                           WHERE b.parent = snapshot.trial AND b.step = snapshot.step AND t.state \
                           IN ('waiting', 'running'))
                         RETURNING path";
        let folders = tx.column(forgotten, &[]).await?;
        tx.commit(Point::CommitForget).await?;
        Ok(folders)
    }
}

/// Records which trial shares a prefix with which other.
pub(crate) async fn insert_shared_prefixes(
    tx: &mut Tx,
    sweep: &str,
    trials: &[&Trial],
    numbers: &BTreeMap<String, i64>,
) -> Result<(), StoreError> {
    let row = |(trial, shared): (&&Trial, Option<SharedPrefix>)| {
        let SharedPrefix { of, step } = shared?;
        let (own, other) = (numbers[&trial.id()], numbers[&trials[of].id()]);
        (own != other).then(|| args![sweep, own, other, step].to_vec())
    };
    let rows: Vec<_> = trials.iter().zip(shared_prefixes(trials)).filter_map(row).collect();
    SHARED_PREFIX.insert(tx, &rows).await?;
    Ok(())
}

/// The state that a trial begins from, if there is one, and the rows that come with it.
pub(crate) async fn begin(
    tx: &mut Tx,
    sweep: &str,
    trial: i64,
    attempt: i64,
) -> Result<Option<Snapshot>, StoreError> {
    let found = "SELECT s.path, s.trial, s.step, s.train_flops, s.digest FROM shared_prefix b
                 JOIN snapshot s ON s.trial = b.parent AND s.step = b.step WHERE b.sweep_id = $1 \
                 AND b.trial = $2";
    let Some(row) = tx.row(found, args![sweep, trial]).await? else { return Ok(None) };
    let (parent, step, flops): (i64, i64, i128) = (row.get(1)?, row.get(2)?, row.get(3)?);
    // A growth at the very step where they part belongs to the other alone.
    for (table, condition) in
        [(&STEP_METRIC, "step <= $4"), (&EVAL_METRIC, "step <= $4"), (&GROWTH_EVENT, "step < $4")]
    {
        tx.execute(&table.copy_of_trial(condition), args![trial, attempt, parent, step]).await?;
    }
    // Between the last row and where they part the other has spent something, too.
    let recorded = "SELECT max(train_flops) FROM step_metric WHERE trial = $1 AND step <= $2";
    let recorded: Option<i128> = tx.value(recorded, args![trial, step]).await?;
    let spent = "UPDATE attempt SET train_flops = CAST($1 AS NUMERIC) WHERE id = $2";
    tx.execute(spent, args![recorded.unwrap_or(0) - flops, attempt]).await?;
    Ok(Some(Snapshot { path: row.get(0)?, digest: row.get(4)? }))
}

/// Steps of a trial at which others that are still to be trained leave it, and whose state is not
/// there yet.
pub(crate) async fn missing_snapshots(tx: &mut Tx, trial: i64) -> Result<Vec<u64>, StoreError> {
    let steps = "SELECT DISTINCT b.step FROM shared_prefix b JOIN trial t ON t.number = b.trial
         WHERE b.parent = $1 AND t.state IN ('waiting', 'running')
           AND NOT EXISTS (SELECT 1 FROM checkpoint WHERE trial = t.number)
           AND NOT EXISTS (SELECT 1 FROM snapshot WHERE trial = $1 AND step = b.step)";
    tx.column(steps, args![trial]).await
}
