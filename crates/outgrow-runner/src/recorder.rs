//! The one writer of an attempt: events go in at once, and into the database in batches. While that
//! is away they wait, on disk as well.

use std::{
    collections::VecDeque,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use outgrow_core::Event;
use outgrow_failpoint::Fault;
use outgrow_store::{Claim, Store, StoreError};
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinHandle,
};

use crate::{backoff::Backoff, reaper::HEARTBEAT_EVERY, spool::Spool};

/// How long an event may wait for others to share its transaction.
const BATCH_EVERY: Duration = Duration::from_millis(250);

struct Message {
    event: Event,
    /// Told once the event and all before it are safe.
    safe: Option<oneshot::Sender<Enqueued>>,
}

/// What became of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Enqueued {
    /// It is in the database, or will be in a moment.
    Taken,
    /// The database is away; the event is safe on disk and gets there later.
    Spooled,
    /// Writing has failed, or the trial is another's: the attempt must end.
    Refused,
}

/// Records the events of one attempt.
pub(crate) struct Recorder {
    events: mpsc::UnboundedSender<Message>,
    shared: Arc<Shared>,
    task: JoinHandle<Result<(), StoreError>>,
}

/// What the training and the writer know of each other.
struct Shared {
    broken: AtomicBool,
    /// The training has ended, and was told to: the writer need not wait for a database that is
    /// away.
    hurry: AtomicBool,
    began: Instant,
    /// Milliseconds since it began at the last event.
    last_event: AtomicU64,
    /// A training without an event for so long hangs, and its worker no longer says that it lives.
    hung_after: Duration,
}

impl Recorder {
    /// Must be called within a runtime. Batches are numbered from `first`; `folder` is the trial's,
    /// for what must wait.
    pub fn start(
        store: Store,
        claim: Claim,
        first: i64,
        folder: &Path,
        hung_after: Duration,
    ) -> Self {
        let (events, received) = mpsc::unbounded_channel();
        let shared = Arc::new(Shared {
            broken: AtomicBool::new(false),
            hurry: AtomicBool::new(false),
            began: Instant::now(),
            last_event: AtomicU64::new(0),
            hung_after,
        });
        let writer = Writer {
            spool: Spool::new(folder, claim.epoch),
            store,
            claim,
            batch: vec![],
            next: first,
            pending: VecDeque::new(),
            away: None,
            waiting: vec![],
            last: Instant::now(),
            shared: shared.clone(),
        };
        Self { events, task: tokio::spawn(run(writer, received)), shared }
    }

    /// Takes an event. A checkpoint is in the database when this returns, for the one before it may
    /// be removed then; or on disk, and must not be.
    pub fn push(&self, event: Event) -> Enqueued {
        let now = self.shared.began.elapsed().as_millis() as u64;
        self.shared.last_event.store(now, Ordering::Relaxed);
        let (safe, wait) = oneshot::channel();
        let is_checkpoint = matches!(event, Event::Checkpoint(_) | Event::Snapshot(_));
        let message = Message { event, safe: is_checkpoint.then_some(safe) };
        if self.events.send(message).is_err() || self.is_broken() {
            return Enqueued::Refused;
        }
        if is_checkpoint {
            wait.blocking_recv().unwrap_or(Enqueued::Refused)
        } else {
            Enqueued::Taken
        }
    }

    /// Whether writing has failed, or the trial is another's.
    pub fn is_broken(&self) -> bool {
        self.shared.broken.load(Ordering::Relaxed)
    }

    /// Writes what is left. If the database is away, it waits for it, unless it is in a `hurry`:
    /// then the rest stays on disk, and the next attempt writes it.
    pub async fn finish(self, hurry: bool) -> Result<(), StoreError> {
        self.shared.hurry.store(hurry, Ordering::Relaxed);
        drop(self.events);
        self.task.await.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))
    }
}

async fn run(
    mut writer: Writer,
    mut received: mpsc::UnboundedReceiver<Message>,
) -> Result<(), StoreError> {
    let result = writer.serve(&mut received).await;
    // Whoever waits for a reply learns of the failure by its sender being dropped.
    writer.shared.broken.store(result.is_err(), Ordering::Relaxed);
    result
}

struct Writer {
    store: Store,
    claim: Claim,
    batch: Vec<Event>,
    /// The number of that batch.
    next: i64,
    /// Batches that are not in the database yet, in order.
    pending: VecDeque<(i64, Vec<Event>)>,
    spool: Spool,
    away: Option<Away>,
    waiting: Vec<oneshot::Sender<Enqueued>>,
    last: Instant,
    shared: Arc<Shared>,
}

/// The database is away.
struct Away {
    since: Instant,
    backoff: Backoff,
    try_again: Instant,
    /// The number of the last batch that is on disk.
    spooled: i64,
}

impl Writer {
    async fn serve(
        &mut self,
        received: &mut mpsc::UnboundedReceiver<Message>,
    ) -> Result<(), StoreError> {
        let mut tick = tokio::time::interval(BATCH_EVERY);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                message = received.recv() => match message {
                    None => return self.end().await,
                    Some(Message { event, safe }) => {
                        self.batch.push(event);
                        if let Some(safe) = safe {
                            self.waiting.push(safe);
                            self.write().await?;
                        }
                    }
                },
                _ = tick.tick() => self.beat().await?,
            }
        }
    }

    async fn end(&mut self) -> Result<(), StoreError> {
        loop {
            self.write().await?;
            match &self.away {
                None => return Ok(()),
                Some(_) if self.shared.hurry.load(Ordering::Relaxed) => {
                    return Err(StoreError::Away);
                }
                Some(away) => tokio::time::sleep_until(away.try_again.into()).await,
            }
        }
    }

    async fn beat(&mut self) -> Result<(), StoreError> {
        if !self.batch.is_empty() || !self.pending.is_empty() {
            return self.write().await;
        }
        let silent = self.shared.began.elapsed().as_millis() as u64
            - self.shared.last_event.load(Ordering::Relaxed);
        let hangs = u128::from(silent) > self.shared.hung_after.as_millis();
        if self.last.elapsed() >= HEARTBEAT_EVERY && !hangs {
            match self.store.heartbeat(&self.claim).await {
                Err(error) if !error.is_passing() => return Err(error),
                _ => self.last = Instant::now(),
            }
        }
        Ok(())
    }

    /// Writes all that waits, as far as the database takes it.
    async fn write(&mut self) -> Result<(), StoreError> {
        if !self.batch.is_empty() {
            self.pending.push_back((self.next, std::mem::take(&mut self.batch)));
            self.next += 1;
        }
        let is_time = self.away.as_ref().is_none_or(|away| Instant::now() >= away.try_again);
        while is_time && let Some((number, events)) = self.pending.front() {
            let recorded = match Fault::DatabaseAway.happens() {
                true => Err(StoreError::Away),
                false => self.store.record(&self.claim, *number, events).await,
            };
            match recorded {
                Ok(()) => drop(self.pending.pop_front()),
                Err(error) if error.is_passing() => {
                    self.went_away(&error);
                    break;
                }
                Err(StoreError::Fenced) => {
                    // Another has the trial: what waits here is not wanted any more.
                    self.spool.clear();
                    return Err(StoreError::Fenced);
                }
                Err(error) => return Err(error),
            }
        }
        match self.pending.is_empty() {
            true => self.is_back(),
            false => self.keep(),
        }
        let enqueued = if self.away.is_some() { Enqueued::Spooled } else { Enqueued::Taken };
        for waiting in self.waiting.drain(..) {
            // Whoever waited may have gone.
            let _ = waiting.send(enqueued);
        }
        Ok(())
    }

    fn went_away(&mut self, error: &StoreError) {
        let now = Instant::now();
        let away = self.away.get_or_insert_with(|| {
            tracing::info!(
                "trial {}: the database does not answer ({error}); training goes on, and what it \
                 records waits in {}",
                self.claim.trial.id(),
                self.spool.path().display()
            );
            Away { since: now, backoff: Backoff::new(), try_again: now, spooled: 0 }
        });
        away.try_again = now + away.backoff.next();
    }

    fn is_back(&mut self) {
        self.last = Instant::now();
        if let Some(away) = self.away.take() {
            self.spool.clear();
            let seconds = away.since.elapsed().as_secs_f64();
            tracing::info!(
                "trial {}: the database is back after {seconds:.0} s, all is written",
                self.claim.trial.id()
            );
        }
    }

    /// Puts on disk what waits and is not there yet.
    fn keep(&mut self) {
        let Some(away) = &mut self.away else { return };
        let spooled = away.spooled;
        for (number, events) in self.pending.iter().filter(|(number, _)| *number > spooled) {
            match self.spool.add(*number, events) {
                Ok(()) => away.spooled = *number,
                Err(error) => {
                    // It stays in memory; what is lost with the process is trained again.
                    tracing::warn!("cannot write {}: {error}", self.spool.path().display());
                    break;
                }
            }
        }
    }
}
