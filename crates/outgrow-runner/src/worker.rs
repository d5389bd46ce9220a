//! A worker: claims a trial, trains it, records it, and claims the next.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use outgrow_core::{
    Event, Trial,
    cost::more_parts,
    event::{Control, Outcome},
};
use outgrow_store::{Claim, Environment, Memory, Store, StoreError};
use tokio::runtime::Runtime;

use crate::{RunnerError, is_dead, recorder::Recorder, this_process};

/// A holder on another machine that was silent for so long has lost its trial.
const LEASE_SECONDS: f64 = 60.0;
/// While other workers hold the last trials: they might die.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// Trains claimed trials, replicates of one plan, together; tells each one's events as they happen, by its place among the claims, and
/// obeys what their receiver says.
pub type Train<'a> = dyn FnMut(&[Claim], &mut dyn FnMut(usize, Event) -> Control) -> Trained + 'a;

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
    /// There was not enough memory: the trial waits for an attempt with fewer neighbours or, where it had none, one that trains the
    /// batch in more parts; if it can't be cut further, it has failed.
    Memory(String),
    /// This place is at fault (a full disk, a missing text): the trial waits for a better one, and the worker ends.
    Place(String),
}

/// What a worker works on.
pub struct Work<'a> {
    /// Path of the database.
    pub database: &'a str,
    /// The sweep's identity.
    pub sweep: &'a str,
    /// On what it computes.
    pub environment: Environment,
    /// How many replicates of a trial are to be trained together, the trial among them.
    pub together: &'a dyn Fn(&Trial) -> usize,
    /// Set from outside: save and stop.
    pub stop: &'a AtomicBool,
}

/// Works until every trial of the sweep has come to its end, or until told to stop.
///
/// # Errors
/// If the database refuses; what was recorded until then stays, and the trial goes on from there in another worker.
pub fn work(work: &Work, train: &mut Train) -> Result<(), RunnerError> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let store = runtime.block_on(Store::open(work.database))?;
    let holder = this_process();
    // Halved when memory did not suffice.
    let mut most = usize::MAX;
    while !work.stop.load(Ordering::Relaxed) {
        let together = |trial: &Trial| (work.together)(trial).min(most);
        let claims = store.claim(work.sweep, &holder, &work.environment, LEASE_SECONDS, is_dead, together);
        let claims = runtime.block_on(claims)?;
        if !claims.is_empty() {
            let out_of_memory = attempt(&runtime, &store, &claims, work.stop, train)?;
            if out_of_memory {
                most = (claims.len() / 2).max(1);
            }
        } else if runtime.block_on(store.has_open_trials(work.sweep))? {
            std::thread::sleep(LOOK_AGAIN);
        } else {
            break;
        }
    }
    runtime.block_on(store.close());
    Ok(())
}

/// Trains what was claimed and writes down how it ended; says whether memory ran out.
fn attempt(
    runtime: &Runtime,
    store: &Store,
    claims: &[Claim],
    stop: &AtomicBool,
    train: &mut Train,
) -> Result<bool, RunnerError> {
    let start = |claim: &Claim| Recorder::start(store.clone(), claim.clone());
    let recorders: Vec<Recorder> = runtime.block_on(async { claims.iter().map(start).collect() });
    let trained = train(claims, &mut |number, event| match recorders[number].push(event) {
        false => Control::Abandon,
        true if stop.load(Ordering::Relaxed) => Control::Stop,
        true => Control::Continue,
    });
    let neighbours = claims.len() > 1;
    let out_of_memory = trained.ended.iter().any(|ended| matches!(ended, Err(Failure::Memory(_))));
    let (mut place, mut broken) = (None, None);
    for ((claim, recorder), ended) in claims.iter().zip(recorders).zip(trained.ended) {
        let written = runtime.block_on(async {
            if let Some(memory) = trained.memory {
                store.record_memory(claim, memory).await?;
            }
            recorder.finish().await?;
            finish(store, claim, &ended, neighbours).await
        });
        match (written, ended) {
            // Another worker has it now; there is nothing to clear up.
            (Err(StoreError::Fenced), _) => {}
            (Err(error), _) => broken = Some(error),
            (Ok(()), Err(Failure::Place(error))) => place = Some(error),
            (Ok(()), _) => {}
        }
    }
    if let Some(error) = broken {
        return Err(error.into());
    }
    for folder in runtime.block_on(store.forget_snapshots())? {
        // What can't be removed costs disk, no more.
        let _ = std::fs::remove_dir_all(folder);
    }
    place.map_or(Ok(out_of_memory), |error| Err(RunnerError::Place(error)))
}

async fn finish(
    store: &Store,
    claim: &Claim,
    ended: &Result<Outcome, Failure>,
    neighbours: bool,
) -> Result<(), StoreError> {
    match ended {
        Ok(outcome) => store.finish(claim, Ok(*outcome)).await,
        Err(Failure::Place(_)) => store.finish(claim, Ok(Outcome::Stopped)).await,
        Err(Failure::Trial(error)) => store.finish(claim, Err(error)).await,
        Err(Failure::Memory(error)) if neighbours => store.requeue(claim, claim.parts, error).await,
        Err(Failure::Memory(error)) => match more_parts(claim.trial.settings.training.batch_size, claim.parts) {
            Some(parts) => store.requeue(claim, parts, error).await,
            None => store.finish(claim, Err(error)).await,
        },
    }
}
