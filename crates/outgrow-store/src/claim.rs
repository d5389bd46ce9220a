use outgrow_core::{Trial, event::Outcome};
use outgrow_failpoint::Point;
use serde::{Deserialize, Serialize};

use crate::{
    Store, StoreError,
    driver::{Row, Tx, args},
    open::now,
    schema::{ENVIRONMENT, EVAL_METRIC, GROWTH_EVENT, STEP_METRIC},
};

/// A trial whose workers died so often without a checkpoint between is given up.
const MAX_CRASHES: i64 = 5;
/// Seconds that a trial waits after its first crash; twice as many after each further one.
const FIRST_PAUSE: f64 = 1.0;
/// No pause is longer, so one that seems to be is of a clock that was set back.
const LONGEST_PAUSE: f64 = 60.0;

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
    /// The scheduler's job that the process runs in, if it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<String>,
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

/// A checkpoint as it was recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// Its folder, where it was written.
    pub path: String,
    /// Digest of its head, which holds the digests of the rest.
    pub digest: String,
}

/// A state that another trial left, as it was recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// Its folder, where it was written.
    pub path: String,
    /// Digest of its head; older databases have none.
    pub digest: Option<String>,
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
    pub checkpoints: Vec<Recorded>,
    /// Without any: the state that another trial left where this one leaves it. What that recorded
    /// until there is this one's, too.
    pub begin: Option<Snapshot>,
    /// Steps whose state other trials wait for.
    pub snapshots: Vec<u64>,
    /// The batch is to be trained in so many parts, for an earlier attempt ran out of memory.
    pub parts: usize,
    /// Batches of events that the attempt before has in the database: what it left elsewhere may be
    /// more.
    pub batches_before: i64,
}

/// An attempt that holds a trial, and its last sign of life.
#[derive(Clone, Debug, PartialEq)]
pub struct Held {
    /// The trial's number.
    pub trial: i64,
    /// The attempt.
    pub attempt: i64,
    /// Who is at it.
    pub holder: Holder,
    /// Its last heartbeat: it lives as long as this changes. Not to be compared with any clock but
    /// its own.
    pub beat: f64,
}

impl Store {
    /// Takes the next trial of a sweep that waits, and with it other replicates of its plan, as
    /// many in all as `most` says of it. A trial that begins as another does is not taken before
    /// that has come to where they part, or has ended. None if there is nothing to take now.
    ///
    /// # Errors
    /// If the database can't be written, or holds an invalid trial.
    pub async fn claim(
        &self,
        sweep: &str,
        holder: &Holder,
        environment: &Environment,
        most: impl Fn(&Trial) -> usize,
    ) -> Result<Vec<Claim>, StoreError> {
        let mut tx = self.write().await?;
        let mut chosen = claimable(&mut tx, sweep, None, 1).await?;
        let most = chosen.first().map_or(0, |first| most(&first.trial));
        if most > 1 {
            let (first, others) =
                (chosen[0].clone(), claimable(&mut tx, sweep, Some(&chosen[0]), i64::MAX).await?);
            let fit = |other: &Claimable| {
                other.number != first.number && other.trial.is_replicate_of(&first.trial)
            };
            chosen.extend(others.into_iter().filter(fit).take(most - 1));
        }
        let mut claims = vec![];
        for next in chosen {
            claims.push(take(&mut tx, sweep, next, holder, environment).await?);
        }
        let together = "UPDATE attempt SET together = $1 WHERE id = $2";
        for claim in &claims {
            tx.execute(together, args![claims.len(), claim.attempt]).await?;
        }
        tx.commit(Point::CommitClaim).await?;
        Ok(claims)
    }

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
                    JOIN trial t ON t.number = m.trial JOIN attempt a ON a.trial = t.number AND a.epoch = t.epoch
                    WHERE m.sweep_id = $1 AND t.state = 'running' ORDER BY 1";
        let read = |row: Row| {
            let holder = serde_json::from_str(&row.get::<String>(2)?);
            let holder = holder.map_err(|error| StoreError::Corrupt {
                what: "holder",
                error: error.to_string(),
            })?;
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
        let crashes = "UPDATE trial SET crashes = crashes + 1 WHERE number = $1 AND state = 'running' RETURNING crashes";
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
    /// in `parts` parts.
    ///
    /// # Errors
    /// [`StoreError::Fenced`] if the trial is another attempt's by now.
    pub async fn requeue(&self, claim: &Claim, parts: usize, note: &str) -> Result<(), StoreError> {
        let mut tx = self.write().await?;
        check_epoch(&mut tx, claim).await?;
        tx.execute("UPDATE trial SET parts = $1 WHERE number = $2", args![parts, claim.number])
            .await?;
        tx.execute("UPDATE attempt SET note = $1 WHERE id = $2", args![note, claim.attempt])
            .await?;
        end(&mut tx, claim, Ok(Outcome::Stopped)).await?;
        tx.commit(Point::CommitRequeue).await
    }

    /// The recorded checkpoints of a claimed trial, newest first.
    ///
    /// # Errors
    /// If the database can't be read.
    pub async fn checkpoints(&self, claim: &Claim) -> Result<Vec<Recorded>, StoreError> {
        checkpoints(&mut self.read().await?, claim.number).await
    }

    /// Forgets the snapshots that no trial will begin from any more; gives their folders.
    ///
    /// # Errors
    /// If the database can't be written.
    pub async fn forget_snapshots(&self) -> Result<Vec<String>, StoreError> {
        let mut tx = self.write().await?;
        let forgotten = "DELETE FROM snapshot WHERE NOT EXISTS (
                           SELECT 1 FROM beginning b JOIN trial t ON t.number = b.trial
                           WHERE b.parent = snapshot.trial AND b.step = snapshot.step AND t.state IN ('waiting', 'running'))
                         RETURNING path";
        let folders = tx.column(forgotten, &[]).await?;
        tx.commit(Point::CommitForget).await?;
        Ok(folders)
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
}

async fn end(tx: &mut Tx, claim: &Claim, outcome: Result<Outcome, &str>) -> Result<(), StoreError> {
    let (state, ended, error) = match outcome {
        Ok(Outcome::Complete) => ("complete", "complete", None),
        Ok(Outcome::Diverged) => ("diverged", "diverged", None),
        Ok(Outcome::Stopped) => ("waiting", "stopped", None),
        Err(error) => ("failed", "failed", Some(error)),
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
    let current: Option<i64> = tx.column(current, args![claim.number]).await?.pop();
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

/// The first so many in the order of the sweep; only those of the same strategy and plan `as_` this
/// one, if it is given. Those that another is about to take are passed over.
async fn claimable(
    tx: &mut Tx,
    sweep: &str,
    as_: Option<&Claimable>,
    limit: i64,
) -> Result<Vec<Claimable>, StoreError> {
    let waiting =
        "SELECT t.number, t.definition, t.parts, m.strategy, m.plan FROM member m JOIN trial t ON t.number = m.trial
         LEFT JOIN beginning b ON b.sweep_id = m.sweep_id AND b.trial = t.number
         LEFT JOIN trial p ON p.number = b.parent
         WHERE m.sweep_id = $1 AND t.state = 'waiting'
           AND (t.not_before IS NULL OR t.not_before <= $5 OR t.not_before > $5 + $6)
           AND (b.parent IS NULL OR p.state NOT IN ('waiting', 'running')
                OR EXISTS (SELECT 1 FROM snapshot WHERE trial = b.parent AND step = b.step)
                OR EXISTS (SELECT 1 FROM checkpoint WHERE trial = t.number))
           AND ($2 = '' OR (m.strategy = $2 AND m.plan = $3))
         ORDER BY m.position LIMIT $4 /*pg: FOR UPDATE OF t SKIP LOCKED*/";
    let (strategy, plan) = as_.map_or(("", 0), |one| (one.strategy.as_str(), one.plan));
    let read = |row: Row| {
        let trial = serde_json::from_str(&row.get::<String>(1)?)
            .map_err(|error| StoreError::Corrupt { what: "trial", error: error.to_string() })?;
        let (number, parts) = (row.get(0)?, row.get(2)?);
        Ok(Claimable { number, trial, parts, strategy: row.get(3)?, plan: row.get(4)? })
    };
    tx.map(waiting, args![sweep, strategy, plan, limit, now(), LONGEST_PAUSE], read).await
}

async fn take(
    tx: &mut Tx,
    sweep: &str,
    next: Claimable,
    holder: &Holder,
    environment: &Environment,
) -> Result<Claim, StoreError> {
    let Claimable { number, trial, parts, .. } = next;
    let taken =
        "UPDATE trial SET state = 'running', epoch = epoch + 1 WHERE number = $1 RETURNING epoch";
    let epoch: i64 = tx.value(taken, args![number]).await?;
    let before = "SELECT coalesce(max(batch), 0) FROM attempt WHERE trial = $1 AND epoch = $2";
    let batches_before = tx.value(before, args![number, epoch - 1]).await?;
    let attempt = begin_attempt(tx, number, epoch, holder, environment).await?;
    let checkpoints = checkpoints(tx, number).await?;
    let begin = match checkpoints.is_empty() {
        true => begin(tx, sweep, number, attempt).await?,
        false => None,
    };
    let snapshots = awaited(tx, number).await?;
    Ok(Claim {
        number,
        epoch,
        attempt,
        trial,
        checkpoints,
        begin,
        snapshots,
        parts,
        batches_before,
    })
}

async fn checkpoints(tx: &mut Tx, trial: i64) -> Result<Vec<Recorded>, StoreError> {
    let newest = "SELECT path, digest FROM checkpoint WHERE trial = $1 ORDER BY step DESC LIMIT 2";
    tx.map(newest, args![trial], |row| Ok(Recorded { path: row.get(0)?, digest: row.get(1)? }))
        .await
}

/// The state that a trial begins from, if there is one, and the rows that come with it.
async fn begin(
    tx: &mut Tx,
    sweep: &str,
    trial: i64,
    attempt: i64,
) -> Result<Option<Snapshot>, StoreError> {
    let found = "SELECT s.path, s.trial, s.step, s.train_flops, s.digest FROM beginning b
                 JOIN snapshot s ON s.trial = b.parent AND s.step = b.step WHERE b.sweep_id = $1 AND b.trial = $2";
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
async fn awaited(tx: &mut Tx, trial: i64) -> Result<Vec<u64>, StoreError> {
    let steps = "SELECT DISTINCT b.step FROM beginning b JOIN trial t ON t.number = b.trial
         WHERE b.parent = $1 AND t.state IN ('waiting', 'running')
           AND NOT EXISTS (SELECT 1 FROM checkpoint WHERE trial = t.number)
           AND NOT EXISTS (SELECT 1 FROM snapshot WHERE trial = $1 AND step = b.step)";
    tx.column(steps, args![trial]).await
}

async fn begin_attempt(
    tx: &mut Tx,
    trial: i64,
    epoch: i64,
    holder: &Holder,
    environment: &Environment,
) -> Result<i64, StoreError> {
    let Environment { host, device, threads, versions } = environment;
    let here = args![host, device, *threads, versions];
    ENVIRONMENT.insert(tx, &[here.to_vec()]).await?;
    let place = "SELECT id FROM environment WHERE host = $1 AND device = $2 AND threads = $3 AND versions = $4";
    let place: i64 = tx.value(place, here).await?;
    let process = serde_json::to_string(holder).expect("a holder is plain data");
    let attempt =
        "INSERT INTO attempt (trial, epoch, environment, process, started_at, heartbeat_at)
                   VALUES ($1, $2, $3, $4, $5, $5) RETURNING id";
    tx.value(attempt, args![trial, epoch, place, process, now()]).await
}
