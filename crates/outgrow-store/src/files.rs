//! Which files beside a database its trials still need, and what it forgets of the others.

use std::collections::BTreeMap;

use outgrow_core::{KeepFinal, TrialState};
use outgrow_failpoint::Point;

use crate::{
    Store, StoreError,
    driver::{Row, Tx, args},
};

/// A checkpoint that is recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct KeptCheckpoint {
    pub step: u64,
    /// Its folder, where it was written.
    pub path: String,
    /// Digest of its head.
    pub digest: String,
}

/// A trial, and what is recorded of its files.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct TrialFiles {
    pub number: i64,
    /// Identity by content.
    pub id: String,
    pub state: TrialState,
    /// Whether any sweep has it.
    pub of_sweep: bool,
    /// Newest first.
    pub checkpoints: Vec<KeptCheckpoint>,
    /// Folders of its states that other trials are still to begin from.
    pub needed: Vec<String>,
    /// Folders of those that none is.
    pub unneeded: Vec<String>,
}

/// What a database is to say of a complete trial's checkpoints from now on.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Change {
    /// The last one of the trial of this number is another folder, with the same weights.
    Replace { trial: i64, old: KeptCheckpoint, path: String, digest: String, bytes: u64 },
    /// Those of the trial before this step are no more.
    ForgetBefore { trial: i64, step: u64 },
    /// The trial has none.
    ForgetAll { trial: i64 },
}

/// Whether a state is still to be begun from, by a row of `snapshot s`.
const IS_NEEDED: &str = "EXISTS (SELECT 1 FROM shared_prefix b JOIN trial w ON w.number = b.trial
    WHERE b.parent = s.trial AND b.step = s.step AND w.state IN ('waiting', 'running'))";

impl Store {
    /// All trials and their recorded files, in one state of the database.
    ///
    /// # Errors
    /// If the database can't be read.
    pub async fn trial_files(&self) -> Result<Vec<TrialFiles>, StoreError> {
        let mut tx = self.read().await?;
        let trials = "SELECT t.number, t.id, t.state,
                      EXISTS (SELECT 1 FROM member m WHERE m.trial = t.number) FROM trial t";
        let trial = |row: Row| {
            let number: i64 = row.get(0)?;
            let state = row.get(2).unwrap_or(TrialState::Waiting);
            let (id, of_sweep) = (row.get(1)?, row.get(3)?);
            let (checkpoints, needed, unneeded) = Default::default();
            let files = TrialFiles { number, id, state, of_sweep, checkpoints, needed, unneeded };
            Ok((number, files))
        };
        let mut all: BTreeMap<i64, TrialFiles> =
            tx.map(trials, &[], trial).await?.into_iter().collect();
        let checkpoints = "SELECT trial, step, path, digest FROM checkpoint ORDER BY trial, step \
                           DESC";
        for row in tx.rows(checkpoints, &[]).await? {
            let (step, path, digest) = (row.get(1)?, row.get(2)?, row.get(3)?);
            if let Some(files) = all.get_mut(&row.get(0)?) {
                files.checkpoints.push(KeptCheckpoint { step, path, digest });
            }
        }
        let snapshots = format!("SELECT s.trial, s.path, {IS_NEEDED} FROM snapshot s");
        for row in tx.rows(&snapshots, &[]).await? {
            if let Some(files) = all.get_mut(&row.get(0)?) {
                let list = if row.get(2)? { &mut files.needed } else { &mut files.unneeded };
                list.push(row.get(1)?);
            }
        }
        Ok(all.into_values().collect())
    }

    /// Carries out changes, all or none, but for those whose trial is no longer complete (or, as a
    /// sweep has none of it, is trained again) or has another checkpoint by now; says of each
    /// whether it was done.
    ///
    /// # Errors
    /// If the database can't be written.
    pub async fn change_checkpoints(&self, changes: &[Change]) -> Result<Vec<bool>, StoreError> {
        let mut tx = self.write().await?;
        let mut done = vec![];
        for change in changes {
            done.push(carry_out(&mut tx, change).await? > 0);
        }
        tx.commit(Point::CommitClean).await?;
        Ok(done)
    }

    /// The identities of a sweep's trials.
    ///
    /// # Errors
    /// If the database can't be read.
    pub async fn trials_of(&self, sweep: &str) -> Result<Vec<String>, StoreError> {
        let all = "SELECT id FROM trial WHERE number IN (SELECT trial FROM member WHERE sweep_id \
                   = $1) ORDER BY 1";
        self.read().await?.column(all, args![sweep]).await
    }
}

async fn carry_out(tx: &mut Tx, change: &Change) -> Result<u64, StoreError> {
    // Held until the transaction ends: nobody takes the trial meanwhile.
    let ended = "SELECT number FROM trial WHERE number = $1 AND (state = 'complete' OR NOT EXISTS
                 (SELECT 1 FROM member m WHERE m.trial = number)) /*pg: FOR UPDATE*/";
    let (Change::Replace { trial, .. }
    | Change::ForgetBefore { trial, .. }
    | Change::ForgetAll { trial }) = change;
    if tx.column::<i64>(ended, args![*trial]).await?.is_empty() {
        return Ok(0);
    }
    match change {
        Change::Replace { trial, old, path, digest, bytes } => {
            let replaced = "UPDATE checkpoint SET path = $1, digest = $2, bytes = $3
                            WHERE trial = $4 AND step = $5 AND digest = $6";
            tx.execute(replaced, args![path, digest, *bytes, *trial, old.step, &old.digest]).await
        }
        Change::ForgetBefore { trial, step } => {
            let older = "DELETE FROM checkpoint WHERE trial = $1 AND step < $2";
            tx.execute(older, args![*trial, *step]).await
        }
        Change::ForgetAll { trial } => {
            tx.execute("DELETE FROM checkpoint WHERE trial = $1", args![*trial]).await
        }
    }
}

/// Which rows of a complete trial are forgotten.
pub(crate) fn forgotten(keep: KeepFinal) -> Option<&'static str> {
    match keep {
        KeepFinal::All => None,
        KeepFinal::None => Some("DELETE FROM checkpoint WHERE trial = $1"),
        KeepFinal::Weights => Some(
            "DELETE FROM checkpoint WHERE trial = $1
             AND step < (SELECT max(step) FROM checkpoint WHERE trial = $1)",
        ),
    }
}
