//! A worker: claims a trial, trains it, records it, and claims the next.

use std::{
    path::PathBuf,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use outgrow_core::{
    Event, KeepFinal, Trial,
    event::{Control, Outcome, Receiver},
    sweep::memory::more_micro_batches,
};
use outgrow_failpoint::Point;
use outgrow_store::{Claim, Environment, Holder, Memory, Recorded, Store, StoreError};
use tokio::runtime::Runtime;

use crate::{
    RunnerError,
    backoff::retry_until_available,
    reaper::{LOOK_EVERY, Reaper},
    recorder::{Enqueued, Recorder},
    spool::{Contents, Spool},
    this_process,
};

/// While other workers hold the last trials: they might die.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// Trains claimed trials, replicates of one plan, together; tells each one's events as they happen,
/// by its place among the claims, and obeys what their receiver says.
pub type Train<'a> = dyn FnMut(&[Claim], &mut dyn Receiver) -> Trained + 'a;

/// What came of it.
pub struct Trained {
    /// How each trial ended, in the order of the claims.
    pub ended: Vec<Result<Outcome, Failure>>,
    /// What they took of memory, where that is known.
    pub memory: Option<Memory>,
}

/// Why a trial was not trained.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// It can't be, here or elsewhere: the trial has failed.
    Trial(String),
    /// There was not enough memory: the trial waits for an attempt with fewer neighbours or, where
    /// it had none, one that trains the batch in more micro_batches; if it can't be cut further, it
    /// has failed.
    Memory(String),
    /// This place is at fault (a full disk, a missing text): the trial waits for a better one, and
    /// the worker ends.
    Environment(String),
}

/// What a worker works on.
#[allow(missing_docs)]
pub struct Work<'a> {
    /// Path or URL of the database.
    pub database: &'a str,
    pub sweep: &'a str,
    /// On what it computes.
    pub environment: Environment,
    /// How many replicates are trained as one model, the trial among them.
    pub stacked: &'a dyn Fn(&Trial) -> usize,
    /// A trial's folder, for what the database can't take yet.
    pub folder: &'a dyn Fn(&Trial) -> PathBuf,
    pub tidy: Tidy<'a>,
    /// A training that tells of nothing for so long hangs, and loses its trial.
    pub hung_after: Duration,
    /// Set from outside: save and stop.
    pub stop: &'a AtomicBool,
}

/// What becomes of the checkpoints of a trial that is complete.
pub struct Tidy<'a> {
    /// Which stay.
    pub keep: KeepFinal,
    /// Removes from disk all but those recorded, once the others are forgotten.
    pub remove_others: &'a dyn Fn(&Claim, &[Recorded]),
    /// Removes the folder, as it was recorded, of a state that nobody begins from any more.
    pub remove_snapshot: &'a dyn Fn(&str),
}

/// Works until every trial of the sweep has come to its end, or until told to stop; says whether it
/// was told so. While it works it also takes their trials from other workers that have died.
///
/// # Errors
/// If the database refuses; what was recorded until then stays, and the trial goes on from there in
/// another worker.
pub fn work(work: &Work, train: &mut Train) -> Result<bool, RunnerError> {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let store = runtime.block_on(retry_until_available(work.stop, async || {
        Store::open_existing(work.database).await
    }))?;
    let keeper = runtime.spawn(keep(store.clone(), work.sweep.to_owned()));
    let worker = Worker { work, runtime, store, holder: this_process() };
    let done = worker.work(train);
    keeper.abort();
    let Worker { runtime, store, .. } = worker;
    done?;
    runtime.block_on(store.close());
    Ok(work.stop.load(Ordering::Relaxed))
}

/// Looks after other workers, for as long as this one lives.
async fn keep(store: Store, sweep: String) {
    let mut reaper = Reaper::default();
    loop {
        // A database that does not answer is the concern of those who write; this one looks again.
        let _ = reaper.reap(&store, &sweep, |_| None, |_| {}).await;
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

struct Worker<'a> {
    work: &'a Work<'a>,
    runtime: Runtime,
    store: Store,
    holder: Holder,
}

impl Worker<'_> {
    fn work(&self, train: &mut Train) -> Result<(), RunnerError> {
        // Halved when memory did not suffice.
        let mut most = usize::MAX;
        while !self.work.stop.load(Ordering::Relaxed) {
            let claims = match self.claim(most) {
                Err(error) if error.is_passing() => break,
                claims => claims?,
            };
            if !claims.is_empty() {
                let neighbours = claims.len();
                if self.attempt(claims, train)? {
                    most = (neighbours / 2).max(1);
                }
            } else if self.ask(async || self.store.has_open_trials(self.work.sweep).await)? {
                std::thread::sleep(LOOK_AGAIN);
            } else {
                break;
            }
        }
        Ok(())
    }

    /// Waits for a database that is away, as long as it is not told to stop.
    fn ask<T>(&self, ask: impl AsyncFnMut() -> Result<T, StoreError>) -> Result<T, StoreError> {
        self.runtime.block_on(retry_until_available(self.work.stop, ask))
    }

    fn claim(&self, most: usize) -> Result<Vec<Claim>, StoreError> {
        let stacked = |trial: &Trial| (self.work.stacked)(trial).min(most);
        let Work { sweep, environment, .. } = self.work;
        self.ask(async || self.store.claim(sweep, &self.holder, environment, stacked).await)
    }

    /// Trains what was claimed and writes down how it ended; says whether memory ran out.
    fn attempt(&self, mut claims: Vec<Claim>, train: &mut Train) -> Result<bool, RunnerError> {
        let mut recorders = vec![];
        for claim in &mut claims {
            let folder = (self.work.folder)(&claim.trial);
            let first = self.ask(async || recover(&self.store, claim, &folder).await)?;
            let _within = self.runtime.enter();
            recorders.push(Recorder::start(
                self.store.clone(),
                claim.clone(),
                first,
                &folder,
                self.work.hung_after,
            ));
        }
        let trained = train(&claims, &mut Telling { recorders: &recorders, stop: self.work.stop });
        let neighbours = claims.len() > 1;
        let out_of_memory =
            trained.ended.iter().any(|ended| matches!(ended, Err(Failure::Memory(_))));
        let (mut place, mut broken) = (None, None);
        for ((claim, recorder), ended) in claims.iter().zip(recorders).zip(trained.ended) {
            match (self.conclude(claim, recorder, &ended, neighbours, trained.memory), ended) {
                // Another worker has it now; there is nothing to clear up.
                (Err(StoreError::Fenced), _) => {}
                // Told to stop while the database was away: the rest waits on disk for the next
                // attempt.
                (Err(error), _) if error.is_passing() => {
                    tracing::info!(
                        "trial {}: the next attempt writes what waits on disk",
                        claim.trial.id()
                    );
                }
                (Err(error), _) => broken = Some(error),
                (Ok(()), Err(Failure::Environment(error))) => place = Some(error),
                (Ok(()), _) => {}
            }
        }
        if let Some(error) = broken {
            return Err(error.into());
        }
        if let Some(error) = place {
            return Err(RunnerError::Environment(error));
        }
        for folder in self.runtime.block_on(self.store.forget_snapshots()).unwrap_or_default() {
            (self.work.tidy.remove_snapshot)(&folder);
        }
        Ok(out_of_memory)
    }

    fn conclude(
        &self,
        claim: &Claim,
        recorder: Recorder,
        ended: &Result<Outcome, Failure>,
        neighbours: bool,
        memory: Option<Memory>,
    ) -> Result<(), StoreError> {
        self.runtime.block_on(recorder.finish(self.work.stop.load(Ordering::Relaxed)))?;
        self.ask(async || {
            if let Some(memory) = memory {
                self.store.record_memory(claim, memory).await?;
            }
            match (ended, self.work.tidy.keep) {
                (Ok(Outcome::Complete), keep) if keep != KeepFinal::All => {
                    let left = self.store.complete(claim, keep).await?;
                    (self.work.tidy.remove_others)(claim, &left);
                    Ok(())
                }
                _ => finish(&self.store, claim, ended, neighbours).await,
            }
        })
    }
}

/// What a training is heard by: the recorders of its trials, and whoever says stop.
struct Telling<'a> {
    recorders: &'a [Recorder],
    stop: &'a AtomicBool,
}

impl Receiver for Telling<'_> {
    fn tell(&mut self, number: usize, event: Event) -> Control {
        match self.recorders[number].push(event) {
            Enqueued::Refused => Control::Abandon,
            _ if self.stop.load(Ordering::Relaxed) => Control::Stop,
            Enqueued::Spooled => Control::Spooled,
            Enqueued::Taken => Control::Continue,
        }
    }

    fn request(&self, number: usize) -> Control {
        match (self.recorders[number].is_broken(), self.stop.load(Ordering::Relaxed)) {
            (true, _) => Control::Abandon,
            (false, true) => Control::Stop,
            (false, false) => Control::Continue,
        }
    }
}

/// Writes what the attempt before left on disk, for the database was away; gives the number of this
/// attempt's first batch.
async fn recover(
    store: &Store,
    claim: &mut Claim,
    folder: &std::path::Path,
) -> Result<i64, StoreError> {
    let left = Spool::left(folder, claim.epoch);
    let mut batch = 0;
    if let Some((epoch, path)) = left.first() {
        let previous = *epoch == claim.epoch.previous();
        let Contents { batches, damage } = Spool::read(path);
        if let Some(damage) = damage {
            let (trial, path) = (claim.trial.id(), path.display());
            tracing::warn!("trial {trial}: {path}: {damage}; what is missing is trained again");
        }
        // An attempt between that has written something went on from an earlier state; what it
        // wrote is newer.
        let wanted = batches.into_iter().filter(|(number, _)| match previous {
            true => *number > claim.batches_before,
            false => claim.batches_before == 0,
        });
        for (_, events) in wanted {
            batch += 1;
            store.record(claim, batch, &events).await?;
        }
        if batch > 0 {
            claim.checkpoints = store.checkpoints(claim).await?;
        }
    }
    for (_, path) in left {
        let _ = Point::SpoolRecovered.around(|| std::fs::remove_file(path));
    }
    Ok(batch + 1)
}

async fn finish(
    store: &Store,
    claim: &Claim,
    ended: &Result<Outcome, Failure>,
    neighbours: bool,
) -> Result<(), StoreError> {
    match ended {
        Ok(outcome) => store.finish(claim, Ok(*outcome)).await,
        Err(Failure::Environment(_)) => store.finish(claim, Ok(Outcome::Stopped)).await,
        Err(Failure::Trial(error)) => store.finish(claim, Err(error)).await,
        Err(Failure::Memory(error)) if neighbours => {
            store.requeue(claim, claim.micro_batches, error).await
        }
        Err(Failure::Memory(error)) => {
            match more_micro_batches(claim.trial.settings.training.batch_size, claim.micro_batches)
            {
                Some(micro_batches) => store.requeue(claim, micro_batches, error).await,
                None => store.finish(claim, Err(error)).await,
            }
        }
    }
}
