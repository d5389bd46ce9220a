//! A worker: claims a trial, trains it, records it, and claims the next.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use outgrow_core::{
    Event,
    cost::more_parts,
    event::{Control, Outcome},
};
use outgrow_store::{Claim, Environment, Store, StoreError};
use tokio::runtime::Runtime;

use crate::{RunnerError, is_dead, recorder::Recorder, this_process};

/// A holder on another machine that was silent for so long has lost its trial.
const LEASE_SECONDS: f64 = 60.0;
/// While other workers hold the last trials: they might die.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// Trains one claimed trial; tells events as they happen and obeys what their receiver says.
pub type Train<'a> = dyn FnMut(&Claim, &mut dyn FnMut(Event) -> Control) -> Result<Outcome, Failure> + 'a;

/// Why a trial was not trained.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// It can't be, here or elsewhere: the trial has failed.
    Trial(String),
    /// There was not enough memory: the trial waits for an attempt that trains the batch in more parts; if it can't be cut further,
    /// it has failed.
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
    while !work.stop.load(Ordering::Relaxed) {
        let claim = store.claim(work.sweep, &holder, &work.environment, LEASE_SECONDS, is_dead);
        match runtime.block_on(claim)? {
            Some(claim) => attempt(&runtime, &store, claim, work.stop, train)?,
            None if runtime.block_on(store.has_open_trials(work.sweep))? => std::thread::sleep(LOOK_AGAIN),
            None => break,
        }
    }
    runtime.block_on(store.close());
    Ok(())
}

fn attempt(
    runtime: &Runtime,
    store: &Store,
    claim: Claim,
    stop: &AtomicBool,
    train: &mut Train,
) -> Result<(), RunnerError> {
    let recorder = runtime.block_on(async { Recorder::start(store.clone(), claim.clone()) });
    let outcome = train(&claim, &mut |event| match recorder.push(event) {
        false => Control::Abandon,
        true if stop.load(Ordering::Relaxed) => Control::Stop,
        true => Control::Continue,
    });
    let ended = match &outcome {
        Ok(outcome) => Ok(*outcome),
        Err(Failure::Place(_)) => Ok(Outcome::Stopped),
        Err(Failure::Trial(error)) | Err(Failure::Memory(error)) => Err(error.as_str()),
    };
    let smaller = match &outcome {
        Err(Failure::Memory(error)) => {
            Some(error).zip(more_parts(claim.trial.settings.training.batch_size, claim.parts))
        }
        _ => None,
    };
    let written = runtime.block_on(async {
        recorder.finish().await?;
        match smaller {
            Some((error, parts)) => store.requeue(&claim, parts, error).await?,
            None => store.finish(&claim, ended).await?,
        }
        store.forget_snapshots().await
    });
    // What can't be removed costs disk, no more.
    let written = written.map(|folders| folders.iter().for_each(|folder| drop(std::fs::remove_dir_all(folder))));
    match (written, outcome) {
        // Another worker has it now; there is nothing to clear up.
        (Err(StoreError::Fenced), _) => Ok(()),
        (Err(error), _) => Err(error.into()),
        (Ok(()), Err(Failure::Place(error))) => Err(RunnerError::Place(error)),
        (Ok(()), _) => Ok(()),
    }
}
