use outgrow_core::{Trial, event::Outcome};
use serde::{Deserialize, Serialize};
use sqlx::Row;

use crate::{Store, StoreError, open::now};

/// A trial whose worker died this often is given up.
const MAX_CRASHES: i64 = 5;

/// Who works on a trial: enough to ask, on the same machine, whether that process still lives.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// Name of the machine.
    pub host: String,
    /// Identity of its last boot.
    pub boot: String,
    /// Process number.
    pub pid: u32,
    /// When the process began, as the system counts it: numbers are used again.
    pub started: u64,
}

/// On what an attempt runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Environment {
    /// Name of the machine.
    pub host: String,
    /// Processor or GPU.
    pub device: String,
    /// Threads of the worker.
    pub threads: usize,
    /// outgrow, its commit, libtorch.
    pub versions: String,
}

/// Bytes of memory that an attempt took, all that were trained together in one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// As it was predicted.
    pub predicted: u64,
    /// The most that was measured.
    pub peak: u64,
}

/// A trial that this worker holds.
#[derive(Clone, Debug)]
pub struct Claim {
    /// Its number in the database.
    pub number: i64,
    /// The claim's number; a later one takes the trial away.
    pub epoch: i64,
    /// This attempt.
    pub attempt: i64,
    /// What to train.
    pub trial: Trial,
    /// The recorded checkpoints to go on from, newest first.
    pub checkpoints: Vec<String>,
    /// Without any: the state that another trial left where this one leaves it. What that recorded until there is this one's, too.
    pub begin: Option<String>,
    /// Steps whose state other trials wait for.
    pub snapshots: Vec<u64>,
    /// The batch is to be trained in so many parts, for an earlier attempt ran out of memory.
    pub parts: usize,
}

impl Store {
    /// Takes the next trial of a sweep that waits, or whose holder is dead: says `is_dead`, or silent for longer than
    /// `lease_seconds`; and with it other replicates of its plan, as many in all as `most` says of it. A trial that begins as
    /// another does is not taken before that has come to where they part, or has ended. None if there is nothing to take now.
    ///
    /// # Errors
    /// If the database can't be written, or holds an invalid trial.
    pub async fn claim(
        &self,
        sweep: &str,
        holder: &Holder,
        environment: &Environment,
        lease_seconds: f64,
        is_dead: impl Fn(&Holder) -> bool,
        most: impl Fn(&Trial) -> usize,
    ) -> Result<Vec<Claim>, StoreError> {
        let mut tx = self.write().await?;
        release_dead(&mut tx, sweep, lease_seconds, is_dead).await?;
        let mut chosen = claimable(&mut tx, sweep, None, 1).await?;
        let most = chosen.first().map_or(0, |first| most(&first.trial));
        if most > 1 {
            let (first, others) = (chosen[0].clone(), claimable(&mut tx, sweep, Some(&chosen[0]), -1).await?);
            let fit = |other: &Claimable| other.number != first.number && other.trial.is_replicate_of(&first.trial);
            chosen.extend(others.into_iter().filter(fit).take(most - 1));
        }
        let mut claims = vec![];
        for next in chosen {
            claims.push(take(&mut tx, sweep, next, holder, environment).await?);
        }
        let together = "UPDATE attempt SET together = ? WHERE id = ?";
        for claim in &claims {
            sqlx::query(together).bind(claims.len() as i64).bind(claim.attempt).execute(&mut *tx).await?;
        }
        tx.commit().await?;
        Ok(claims)
    }

    /// Whether any trial of a sweep waits or runs.
    ///
    /// # Errors
    /// If the database can't be read.
    pub async fn has_open_trials(&self, sweep: &str) -> Result<bool, StoreError> {
        let open: i64 = sqlx::query_scalar(
            "SELECT EXISTS (SELECT 1 FROM member m JOIN trial t ON t.number = m.trial
             WHERE m.sweep_id = ? AND t.state IN ('waiting', 'running'))",
        )
        .bind(sweep)
        .fetch_one(&self.pool)
        .await?;
        Ok(open != 0)
    }

    /// Says that this attempt is alive.
    ///
    /// # Errors
    /// [`StoreError::Fenced`] if the trial is another attempt's by now.
    pub async fn heartbeat(&self, claim: &Claim) -> Result<(), StoreError> {
        let mut tx = self.write().await?;
        check_epoch(&mut tx, claim).await?;
        sqlx::query("UPDATE attempt SET heartbeat_at = ? WHERE id = ?")
            .bind(now())
            .bind(claim.attempt)
            .execute(&mut *tx)
            .await?;
        Ok(tx.commit().await?)
    }

    /// Ends an attempt that ran out of memory: the trial waits for another, which trains the batch in `parts` parts.
    ///
    /// # Errors
    /// [`StoreError::Fenced`] if the trial is another attempt's by now.
    pub async fn requeue(&self, claim: &Claim, parts: usize, note: &str) -> Result<(), StoreError> {
        let mut tx = self.write().await?;
        check_epoch(&mut tx, claim).await?;
        sqlx::query("UPDATE trial SET parts = ? WHERE number = ?")
            .bind(parts as i64)
            .bind(claim.number)
            .execute(&mut *tx)
            .await?;
        sqlx::query("UPDATE attempt SET note = ? WHERE id = ?")
            .bind(note)
            .bind(claim.attempt)
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        self.finish(claim, Ok(Outcome::Stopped)).await
    }

    /// Forgets the snapshots that no trial will begin from any more; gives their folders.
    ///
    /// # Errors
    /// If the database can't be written.
    pub async fn forget_snapshots(&self) -> Result<Vec<String>, StoreError> {
        let mut tx = self.write().await?;
        let folders = sqlx::query_scalar(
            "DELETE FROM snapshot WHERE NOT EXISTS (
               SELECT 1 FROM beginning b JOIN trial t ON t.number = b.trial
               WHERE b.parent = snapshot.trial AND b.step = snapshot.step AND t.state IN ('waiting', 'running'))
             RETURNING path",
        )
        .fetch_all(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(folders)
    }

    /// Keeps what an attempt took of memory, and what was predicted; the trial may be another attempt's by now.
    ///
    /// # Errors
    /// If the database can't be written.
    pub async fn record_memory(&self, claim: &Claim, memory: Memory) -> Result<(), StoreError> {
        let mut tx = self.write().await?;
        sqlx::query("UPDATE attempt SET predicted_bytes = ?, peak_bytes = ? WHERE id = ?")
            .bind(memory.predicted as i64)
            .bind(memory.peak as i64)
            .bind(claim.attempt)
            .execute(&mut *tx)
            .await?;
        Ok(tx.commit().await?)
    }

    /// Ends an attempt: the trial is complete, diverged, failed with an error, or waits for another attempt.
    ///
    /// # Errors
    /// [`StoreError::Fenced`] if the trial is another attempt's by now.
    pub async fn finish(&self, claim: &Claim, outcome: Result<Outcome, &str>) -> Result<(), StoreError> {
        let (state, ended, error) = match outcome {
            Ok(Outcome::Complete) => ("complete", "complete", None),
            Ok(Outcome::Diverged) => ("diverged", "diverged", None),
            Ok(Outcome::Stopped) => ("waiting", "stopped", None),
            Err(error) => ("failed", "failed", Some(error)),
        };
        let mut tx = self.write().await?;
        check_epoch(&mut tx, claim).await?;
        sqlx::query("UPDATE trial SET state = ?, error = ? WHERE number = ?")
            .bind(state)
            .bind(error)
            .bind(claim.number)
            .execute(&mut *tx)
            .await?;
        sqlx::query("UPDATE attempt SET outcome = ?, ended_at = ?, heartbeat_at = ? WHERE id = ?")
            .bind(ended)
            .bind(now())
            .bind(now())
            .bind(claim.attempt)
            .execute(&mut *tx)
            .await?;
        Ok(tx.commit().await?)
    }
}

type Tx = sqlx::Transaction<'static, sqlx::Sqlite>;

/// Refuses the writes of an attempt that lost its trial.
pub(crate) async fn check_epoch(tx: &mut Tx, claim: &Claim) -> Result<(), StoreError> {
    let current: Option<i64> = sqlx::query_scalar("SELECT epoch FROM trial WHERE number = ? AND state = 'running'")
        .bind(claim.number)
        .fetch_optional(&mut **tx)
        .await?;
    if current == Some(claim.epoch) { Ok(()) } else { Err(StoreError::Fenced) }
}

/// A trial that waits for a worker, and for nothing else.
#[derive(Clone)]
struct Claimable {
    number: i64,
    trial: Trial,
    parts: usize,
    strategy: String,
    plan: i64,
}

/// The first so many (all: −1) in the order of the sweep; only those of the same strategy and plan `as_` this one, if it is given.
async fn claimable(
    tx: &mut Tx,
    sweep: &str,
    as_: Option<&Claimable>,
    limit: i64,
) -> Result<Vec<Claimable>, StoreError> {
    let rows = sqlx::query(
        "SELECT t.number, t.definition, t.parts, m.strategy, m.plan FROM member m JOIN trial t ON t.number = m.trial
         LEFT JOIN beginning b ON b.sweep_id = m.sweep_id AND b.trial = t.number
         LEFT JOIN trial p ON p.number = b.parent
         WHERE m.sweep_id = ?1 AND t.state = 'waiting'
           AND (b.parent IS NULL OR p.state NOT IN ('waiting', 'running')
                OR EXISTS (SELECT 1 FROM snapshot WHERE trial = b.parent AND step = b.step)
                OR EXISTS (SELECT 1 FROM checkpoint WHERE trial = t.number))
           AND (?2 IS NULL OR (m.strategy = ?2 AND m.plan = ?3))
         ORDER BY m.position LIMIT ?4",
    )
    .bind(sweep)
    .bind(as_.map(|one| one.strategy.clone()))
    .bind(as_.map(|one| one.plan))
    .bind(limit)
    .fetch_all(&mut **tx)
    .await?;
    let read = |row: &sqlx::sqlite::SqliteRow| {
        let trial = serde_json::from_str(row.get(1))
            .map_err(|error| StoreError::Corrupt { what: "trial", error: error.to_string() })?;
        let (number, parts) = (row.get(0), row.get::<i64, _>(2) as usize);
        Ok(Claimable { number, trial, parts, strategy: row.get(3), plan: row.get(4) })
    };
    rows.iter().map(read).collect()
}

async fn take(
    tx: &mut Tx,
    sweep: &str,
    next: Claimable,
    holder: &Holder,
    environment: &Environment,
) -> Result<Claim, StoreError> {
    let Claimable { number, trial, parts, .. } = next;
    let epoch: i64 =
        sqlx::query_scalar("UPDATE trial SET state = 'running', epoch = epoch + 1 WHERE number = ? RETURNING epoch")
            .bind(number)
            .fetch_one(&mut **tx)
            .await?;
    let attempt = begin_attempt(tx, number, epoch, holder, environment).await?;
    let checkpoints: Vec<String> =
        sqlx::query_scalar("SELECT path FROM checkpoint WHERE trial = ? ORDER BY step DESC LIMIT 2")
            .bind(number)
            .fetch_all(&mut **tx)
            .await?;
    let begin = match checkpoints.is_empty() {
        true => begin(tx, sweep, number, attempt).await?,
        false => None,
    };
    let snapshots = awaited(tx, number).await?;
    Ok(Claim { number, epoch, attempt, trial, checkpoints, begin, snapshots, parts })
}

async fn release_dead(
    tx: &mut Tx,
    sweep: &str,
    lease_seconds: f64,
    is_dead: impl Fn(&Holder) -> bool,
) -> Result<(), StoreError> {
    let held = sqlx::query(
        "SELECT t.number, a.id, a.process, a.heartbeat_at FROM member m
         JOIN trial t ON t.number = m.trial JOIN attempt a ON a.trial = t.number AND a.epoch = t.epoch
         WHERE m.sweep_id = ? AND t.state = 'running'",
    )
    .bind(sweep)
    .fetch_all(&mut **tx)
    .await?;
    for row in held {
        let silent = now() - row.get::<f64, _>(3) > lease_seconds;
        let dead = serde_json::from_str(row.get(2)).is_ok_and(|holder| is_dead(&holder));
        if silent || dead {
            release(tx, row.get(0), row.get(1)).await?;
        }
    }
    Ok(())
}

async fn release(tx: &mut Tx, number: i64, attempt: i64) -> Result<(), StoreError> {
    sqlx::query("UPDATE attempt SET outcome = 'died', ended_at = ? WHERE id = ?")
        .bind(now())
        .bind(attempt)
        .execute(&mut **tx)
        .await?;
    sqlx::query(
        "UPDATE trial SET crashes = crashes + 1,
           state = CASE WHEN crashes + 1 >= ?1 THEN 'failed' ELSE 'waiting' END,
           error = CASE WHEN crashes + 1 >= ?1 THEN 'its worker died ' || ?1 || ' times' END
         WHERE number = ?2",
    )
    .bind(MAX_CRASHES)
    .bind(number)
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// The state that a trial begins from, if there is one, and the rows that come with it.
async fn begin(tx: &mut Tx, sweep: &str, trial: i64, attempt: i64) -> Result<Option<String>, StoreError> {
    let found = sqlx::query(
        "SELECT s.path, s.trial, s.step, s.train_flops FROM beginning b JOIN snapshot s ON s.trial = b.parent AND s.step = b.step
         WHERE b.sweep_id = ? AND b.trial = ?",
    )
    .bind(sweep)
    .bind(trial)
    .fetch_optional(&mut **tx)
    .await?;
    let Some(row) = found else { return Ok(None) };
    // A growth at the very step where they part belongs to the other alone.
    let copies = [
        "INSERT OR REPLACE INTO step_metric (trial, step, tokens, train_flops, wall_seconds, loss, learning_rate, gradient_norm, attempt)
         SELECT ?, step, tokens, train_flops, wall_seconds, loss, learning_rate, gradient_norm, ?
         FROM step_metric WHERE trial = ? AND step <= ?",
        "INSERT OR REPLACE INTO eval_metric (trial, step, tokens, train_flops, wall_seconds, val_loss, is_last, attempt)
         SELECT ?, step, tokens, train_flops, wall_seconds, val_loss, is_last, ?
         FROM eval_metric WHERE trial = ? AND step <= ?",
        "INSERT OR REPLACE INTO growth_event (trial, stage, step, tokens, train_flops, wall_seconds, transforms, parameters_before,
           parameters_after, max_logit_change, max_logit, loss_before, loss_after, tolerance, seconds, axes, preserving,
           operator_flops, diagnosis, attempt)
         SELECT ?, stage, step, tokens, train_flops, wall_seconds, transforms, parameters_before,
           parameters_after, max_logit_change, max_logit, loss_before, loss_after, tolerance, seconds, axes, preserving,
           operator_flops, diagnosis, ?
         FROM growth_event WHERE trial = ? AND step < ?",
    ];
    for copy in copies {
        sqlx::query(copy)
            .bind(trial)
            .bind(attempt)
            .bind(row.get::<i64, _>(1))
            .bind(row.get::<i64, _>(2))
            .execute(&mut **tx)
            .await?;
    }
    // Between the last row and where they part the other has spent something, too.
    let spent = "UPDATE attempt SET train_flops = coalesce(
                   (SELECT max(train_flops) FROM step_metric WHERE trial = ? AND step <= ?), 0) - ? WHERE id = ?";
    sqlx::query(spent)
        .bind(trial)
        .bind(row.get::<i64, _>(2))
        .bind(row.get::<i64, _>(3))
        .bind(attempt)
        .execute(&mut **tx)
        .await?;
    Ok(Some(row.get(0)))
}

/// Steps of a trial at which others that are still to be trained leave it, and whose state is not there yet.
async fn awaited(tx: &mut Tx, trial: i64) -> Result<Vec<u64>, StoreError> {
    let steps: Vec<i64> = sqlx::query_scalar(
        "SELECT DISTINCT b.step FROM beginning b JOIN trial t ON t.number = b.trial
         WHERE b.parent = ?1 AND t.state IN ('waiting', 'running')
           AND NOT EXISTS (SELECT 1 FROM checkpoint WHERE trial = t.number)
           AND NOT EXISTS (SELECT 1 FROM snapshot WHERE trial = ?1 AND step = b.step)",
    )
    .bind(trial)
    .fetch_all(&mut **tx)
    .await?;
    Ok(steps.into_iter().map(|step| step as u64).collect())
}

async fn begin_attempt(
    tx: &mut Tx,
    trial: i64,
    epoch: i64,
    holder: &Holder,
    environment: &Environment,
) -> Result<i64, StoreError> {
    let Environment { host, device, threads, versions } = environment;
    sqlx::query("INSERT INTO environment (host, device, threads, versions) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING")
        .bind(host)
        .bind(device)
        .bind(*threads as i64)
        .bind(versions)
        .execute(&mut **tx)
        .await?;
    let process = serde_json::to_string(holder).expect("a holder is plain data");
    let attempt = sqlx::query_scalar(
        "INSERT INTO attempt (trial, epoch, environment, process, started_at, heartbeat_at) VALUES
         (?, ?, (SELECT id FROM environment WHERE host = ? AND device = ? AND threads = ? AND versions = ?), ?, ?, ?)
         RETURNING id",
    )
    .bind(trial)
    .bind(epoch)
    .bind(host)
    .bind(device)
    .bind(*threads as i64)
    .bind(versions)
    .bind(process)
    .bind(now())
    .bind(now())
    .fetch_one(&mut **tx)
    .await?;
    Ok(attempt)
}
