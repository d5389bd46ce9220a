//! How a worker takes a trial: claims are exclusive.

use outgrow_core::{Epoch, Trial};
use outgrow_failpoint::Point;
use serde::{Deserialize, Serialize};

use crate::{
    Store, StoreError,
    driver::{Row, Tx, args},
    open::now,
    prefix::{Snapshot, begin, missing_snapshots},
    schema::ENVIRONMENT,
};

/// No pause is longer, so one that seems to be is of a clock that was set back.
pub(crate) const LONGEST_PAUSE: f64 = 60.0;

/// Who works on a trial: enough to ask, on the same machine, whether that process still lives.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Holder {
    /// Name of the machine.
    pub host: String,
    /// Identity of its last boot.
    pub boot: String,
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

/// A checkpoint as it was recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// Its folder, where it was written.
    pub path: String,
    /// Digest of its head, which holds the digests of the rest.
    pub digest: String,
}

/// A trial that this worker holds.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct Claim {
    /// Its number in the database.
    pub number: i64,
    /// The claim's number; a later one takes the trial away.
    pub epoch: Epoch,
    pub attempt: i64,
    pub trial: Trial,
    /// The recorded checkpoints to go on from, newest first.
    pub checkpoints: Vec<Recorded>,
    /// Without any: the state that another trial left where this one leaves it. What that recorded
    /// until there is this one's, too.
    pub begin: Option<Snapshot>,
    /// Steps whose state other trials wait for.
    pub snapshots: Vec<u64>,
    /// The batch is to be trained in so many micro_batches, for an earlier attempt ran out of
    /// memory.
    pub micro_batches: usize,
    /// Batches of events that the attempt before has in the database: what it left elsewhere may be
    /// more.
    pub batches_before: i64,
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
                other.number != first.number && other.trial.trains_with(&first.trial)
            };
            chosen.extend(others.into_iter().filter(fit).take(most - 1));
        }
        let mut claims = vec![];
        for next in chosen {
            claims.push(take(&mut tx, sweep, next, holder, environment).await?);
        }
        let stacked = "UPDATE attempt SET stacked_replicates = $1 WHERE id = $2";
        for claim in &claims {
            tx.execute(stacked, args![claims.len(), claim.attempt]).await?;
        }
        tx.commit(Point::CommitClaim).await?;
        Ok(claims)
    }

    /// The recorded checkpoints of a claimed trial, newest first.
    ///
    /// # Errors
    /// If the database can't be read.
    pub async fn checkpoints(&self, claim: &Claim) -> Result<Vec<Recorded>, StoreError> {
        checkpoints(&mut self.read().await?, claim.number).await
    }
}

/// A trial that waits for a worker, and for nothing else.
#[derive(Clone)]
struct Claimable {
    number: i64,
    trial: Trial,
    micro_batches: usize,
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
        "SELECT t.number, t.definition, t.micro_batches, m.strategy, m.plan FROM member m JOIN \
         trial t ON t.number = m.trial
         LEFT JOIN shared_prefix b ON b.sweep_id = m.sweep_id AND b.trial = t.number
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
        let trial =
            serde_json::from_str(&row.get::<String>(1)?).map_err(StoreError::corrupt("trial"))?;
        let (number, micro_batches) = (row.get(0)?, row.get(2)?);
        Ok(Claimable { number, trial, micro_batches, strategy: row.get(3)?, plan: row.get(4)? })
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
    let Claimable { number, trial, micro_batches, .. } = next;
    let taken =
        "UPDATE trial SET state = 'running', epoch = epoch + 1 WHERE number = $1 RETURNING epoch";
    let epoch: Epoch = tx.value(taken, args![number]).await?;
    let before = "SELECT coalesce(max(batch), 0) FROM attempt WHERE trial = $1 AND epoch = $2";
    let batches_before = tx.value(before, args![number, epoch.previous()]).await?;
    let attempt = begin_attempt(tx, number, epoch, holder, environment).await?;
    let checkpoints = checkpoints(tx, number).await?;
    let begin = match checkpoints.is_empty() {
        true => begin(tx, sweep, number, attempt).await?,
        false => None,
    };
    let snapshots = missing_snapshots(tx, number).await?;
    Ok(Claim {
        number,
        epoch,
        attempt,
        trial,
        checkpoints,
        begin,
        snapshots,
        micro_batches,
        batches_before,
    })
}

pub(crate) async fn checkpoints(tx: &mut Tx, trial: i64) -> Result<Vec<Recorded>, StoreError> {
    let newest = "SELECT path, digest FROM checkpoint WHERE trial = $1 ORDER BY step DESC LIMIT 2";
    tx.map(newest, args![trial], |row| Ok(Recorded { path: row.get(0)?, digest: row.get(1)? }))
        .await
}

async fn begin_attempt(
    tx: &mut Tx,
    trial: i64,
    epoch: Epoch,
    holder: &Holder,
    environment: &Environment,
) -> Result<i64, StoreError> {
    let place = number_of(tx, environment).await?;
    let process = serde_json::to_string(holder).expect("a holder is plain data");
    let attempt =
        "INSERT INTO attempt (trial, epoch, environment, process, started_at, heartbeat_at)
                   VALUES ($1, $2, $3, $4, $5, $5) RETURNING id";
    tx.value(attempt, args![trial, epoch, place, process, now()]).await
}

/// The number of an environment, which is entered where it is not there.
pub(crate) async fn number_of(tx: &mut Tx, environment: &Environment) -> Result<i64, StoreError> {
    let Environment { host, device, threads, versions } = environment;
    let place = args![host, device, *threads, versions];
    ENVIRONMENT.insert(tx, &[place.to_vec()]).await?;
    let id = "SELECT id FROM environment
              WHERE host = $1 AND device = $2 AND threads = $3 AND versions = $4";
    tx.value(id, place).await
}
