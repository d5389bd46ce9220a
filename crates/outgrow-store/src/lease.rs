//! What an attempt may do with the trial that it holds, and how a trial is taken from an attempt
//! that is dead.

use outgrow_core::{Epoch, KeepFinal, TrialState, event::Outcome};
use outgrow_failpoint::Point;

use crate::{
    Store, StoreError,
    claim::{Claim, Holder, LONGEST_PAUSE, Recorded, checkpoints},
    driver::{Row, Tx, args},
    files::forgotten,
    open::now,
};

/// A trial whose workers died so often without a checkpoint between is given up.
const MAX_CRASHES: i64 = 5;

/// Seconds that a trial waits after its first crash; twice as many after each further one.
const FIRST_PAUSE: f64 = 1.0;

/// Bytes of memory that an attempt took, all that were trained together in one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// As it was predicted.
    pub predicted: u64,
    /// The most that was measured.
    pub peak: u64,
}

/// An attempt that holds a trial, and its last sign of life.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub struct Held {
    pub trial: i64,
    pub attempt: i64,
    /// Who is at it.
    pub holder: Holder,
    /// Its last heartbeat: it lives as long as this changes. Not to be compared with any clock but
    /// its own.
    pub beat: f64,
}

impl Store {
    /// Whether any trial of a sweep waits or runs.
    ///
    /// # Errors
    /// If the database can't be read.
    pub async fn has_open_trials(&self, sweep: &str) -> Result<bool, StoreError> {
        let open = "SELECT count(*) FROM member m JOIN trial t ON t.number = m.trial
                    WHERE m.sweep_id = $1 AND t.state IN ('waiting', 'running')";
        Ok(self.read().await?.value::<i64>(open, args![sweep]).await? > 0)
    }

    /// The attempts at trials of a sweep that are going on.
    ///
    /// # Errors
    /// If the database can't be read.
    pub async fn held(&self, sweep: &str) -> Result<Vec<Held>, StoreError> {
        let held = "SELECT DISTINCT t.number, a.id, a.process, a.heartbeat_at FROM member m
                    JOIN trial t ON t.number = m.trial JOIN attempt a ON a.trial = t.number AND \
                    a.epoch = t.epoch
                    WHERE m.sweep_id = $1 AND t.state = 'running' ORDER BY 1";
        let read = |row: Row| {
            let holder = serde_json::from_str(&row.get::<String>(2)?)
                .map_err(StoreError::corrupt("holder"))?;
            Ok(Held { trial: row.get(0)?, attempt: row.get(1)?, holder, beat: row.get(3)? })
        };
        self.read().await?.map(held, args![sweep], read).await
    }

    /// Takes a trial from an attempt that is dead, unless it has given a sign of life since: the
    /// trial waits for another, a little longer each time, and has failed after too many deaths
    /// without a checkpoint between. `log` is what the worker said last. Says whether it was taken.
    ///
    /// # Errors
    /// If the database can't be written.
    pub async fn release(&self, held: &Held, log: Option<&str>) -> Result<bool, StoreError> {
        let mut tx = self.write().await?;
        let died = "UPDATE attempt SET outcome = 'died', ended_at = $1, log = $2
                    WHERE id = $3 AND heartbeat_at = $4 AND outcome IS NULL";
        if tx.execute(died, args![now(), log, held.attempt, held.beat]).await? == 0 {
            return Ok(false);
        }
        let crashes = "UPDATE trial SET crashes = crashes + 1 WHERE number = $1 AND state = \
                       'running' RETURNING crashes";
        let Some(row) = tx.row(crashes, args![held.trial]).await? else { return Ok(false) };
        let crashes: i64 = row.get(0)?;
        if crashes >= MAX_CRASHES {
            let said = log
                .and_then(|log| log.lines().last())
                .map(|line| format!("; the last said: {line}"));
            let error = format!(
                "its worker died {crashes} times without a checkpoint between{}",
                said.unwrap_or_default()
            );
            let failed = "UPDATE trial SET state = 'failed', error = $1 WHERE number = $2";
            tx.execute(failed, args![error, held.trial]).await?;
        } else {
            let pause = (FIRST_PAUSE * f64::powi(2.0, crashes as i32 - 1)).min(LONGEST_PAUSE);
            let waits = "UPDATE trial SET state = 'waiting', not_before = $1 WHERE number = $2";
            tx.execute(waits, args![now() + pause, held.trial]).await?;
        }
        tx.commit(Point::CommitRelease).await?;
        Ok(true)
    }

    /// Says that this attempt is alive.
    ///
    /// # Errors
    /// [`StoreError::Fenced`] if the trial is another attempt's by now.
    pub async fn heartbeat(&self, claim: &Claim) -> Result<(), StoreError> {
        let mut tx = self.write().await?;
        check_epoch(&mut tx, claim).await?;
        tx.execute(
            "UPDATE attempt SET heartbeat_at = $1 WHERE id = $2",
            args![now(), claim.attempt],
        )
        .await?;
        tx.commit(Point::CommitHeartbeat).await
    }

    /// Ends an attempt that ran out of memory: the trial waits for another, which trains the batch
    /// in `micro_batches` micro_batches.
    ///
    /// # Errors
    /// [`StoreError::Fenced`] if the trial is another attempt's by now.
    pub async fn requeue(
        &self,
        claim: &Claim,
        micro_batches: usize,
        note: &str,
    ) -> Result<(), StoreError> {
        let mut tx = self.write().await?;
        check_epoch(&mut tx, claim).await?;
        tx.execute(
            "UPDATE trial SET micro_batches = $1 WHERE number = $2",
            args![micro_batches, claim.number],
        )
        .await?;
        tx.execute("UPDATE attempt SET note = $1 WHERE id = $2", args![note, claim.attempt])
            .await?;
        end(&mut tx, claim, Ok(Outcome::Stopped)).await?;
        tx.commit(Point::CommitRequeue).await
    }

    /// Keeps what an attempt took of memory, and what was predicted; the trial may be another
    /// attempt's by now.
    ///
    /// # Errors
    /// If the database can't be written.
    pub async fn record_memory(&self, claim: &Claim, memory: Memory) -> Result<(), StoreError> {
        let mut tx = self.write().await?;
        let kept = "UPDATE attempt SET predicted_bytes = $1, peak_bytes = $2 WHERE id = $3";
        tx.execute(kept, args![memory.predicted, memory.peak, claim.attempt]).await?;
        tx.commit(Point::CommitMemory).await
    }

    /// Ends an attempt: the trial is complete, diverged, failed with an error, or waits for another
    /// attempt.
    ///
    /// # Errors
    /// [`StoreError::Fenced`] if the trial is another attempt's by now.
    pub async fn finish(
        &self,
        claim: &Claim,
        outcome: Result<Outcome, &str>,
    ) -> Result<(), StoreError> {
        let mut tx = self.write().await?;
        check_epoch(&mut tx, claim).await?;
        end(&mut tx, claim, outcome).await?;
        tx.commit(Point::CommitFinish).await
    }

    /// Ends an attempt that has trained its trial to the end, and forgets, in the same transaction,
    /// the checkpoints that are not to be kept; gives those that are left, newest first. What lies
    /// on disk beside them may be removed then.
    ///
    /// # Errors
    /// [`StoreError::Fenced`] if the trial is another attempt's by now.
    pub async fn complete(
        &self,
        claim: &Claim,
        keep: KeepFinal,
    ) -> Result<Vec<Recorded>, StoreError> {
        let mut tx = self.write().await?;
        check_epoch(&mut tx, claim).await?;
        end(&mut tx, claim, Ok(Outcome::Complete)).await?;
        if let Some(sql) = forgotten(keep) {
            tx.execute(sql, args![claim.number]).await?;
        }
        let left = checkpoints(&mut tx, claim.number).await?;
        tx.commit(Point::CommitFinish).await?;
        Ok(left)
    }

    /// Attempts that are going on as the database says, of all sweeps. One whose holder can't be
    /// read has none.
    ///
    /// # Errors
    /// If the database can't be read.
    pub async fn all_held(&self) -> Result<Vec<Held>, StoreError> {
        all_held(&mut self.read().await?).await
    }

    /// Puts the failed trials of a sweep back to waiting; gives their number.
    ///
    /// # Errors
    /// If the database can't be written.
    pub async fn retry_failed(&self, sweep: &str) -> Result<u64, StoreError> {
        let mut tx = self.write().await?;
        let again = "UPDATE trial SET state = 'waiting', crashes = 0, error = NULL, not_before = \
                     NULL
                     WHERE state = 'failed' AND number IN (SELECT trial FROM member WHERE \
                     sweep_id = $1)";
        let done = tx.execute(again, args![sweep]).await?;
        tx.commit(Point::CommitRetry).await?;
        Ok(done)
    }
}

/// The attempts that are going on; one whose holder can't be read has none.
pub(crate) async fn all_held(tx: &mut Tx) -> Result<Vec<Held>, StoreError> {
    let held = "SELECT t.number, a.id, a.process, a.heartbeat_at FROM trial t
                JOIN attempt a ON a.trial = t.number AND a.epoch = t.epoch
                WHERE t.state = 'running' AND a.outcome IS NULL ORDER BY 1";
    let read = |row: Row| {
        let holder: Option<Holder> =
            serde_json::from_str(&row.get::<String>(2).unwrap_or_default()).ok();
        let (trial, attempt, beat) = (row.get(0)?, row.get(1)?, row.get(3)?);
        Ok(holder.map(|holder| Held { trial, attempt, holder, beat }))
    };
    Ok(tx.map(held, &[], read).await?.into_iter().flatten().collect())
}

async fn end(tx: &mut Tx, claim: &Claim, outcome: Result<Outcome, &str>) -> Result<(), StoreError> {
    let (state, ended, error) = match outcome {
        Ok(Outcome::Complete) => (TrialState::Complete, "complete", None),
        Ok(Outcome::Diverged) => (TrialState::Diverged, "diverged", None),
        Ok(Outcome::Stopped) => (TrialState::Waiting, "stopped", None),
        Err(error) => (TrialState::Failed, "failed", Some(error)),
    };
    let trial = "UPDATE trial SET state = $1, error = $2 WHERE number = $3";
    tx.execute(trial, args![state, error, claim.number]).await?;
    let attempt = "UPDATE attempt SET outcome = $1, ended_at = $2, heartbeat_at = $2 WHERE id = $3";
    tx.execute(attempt, args![ended, now(), claim.attempt]).await?;
    Ok(())
}

/// Refuses the writes of an attempt that lost its trial; one that has it keeps it until the
/// transaction ends.
pub(crate) async fn check_epoch(tx: &mut Tx, claim: &Claim) -> Result<(), StoreError> {
    let current =
        "SELECT epoch FROM trial WHERE number = $1 AND state = 'running' /*pg: FOR UPDATE*/";
    let current: Option<Epoch> = tx.column(current, args![claim.number]).await?.pop();
    if current == Some(claim.epoch) { Ok(()) } else { Err(StoreError::Fenced) }
}
