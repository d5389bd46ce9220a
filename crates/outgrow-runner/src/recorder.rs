//! The one writer of a worker process: events go in at once, and into the database in batches.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use outgrow_core::Event;
use outgrow_store::{Claim, Store, StoreError};
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinHandle,
};

/// How long an event may wait for others to share its transaction.
const BATCH_EVERY: Duration = Duration::from_millis(250);
/// A worker without events says this often that it lives.
const HEARTBEAT_EVERY: Duration = Duration::from_secs(2);

struct Message {
    event: Event,
    /// Told once the event and all before it are safely in the database.
    written: Option<oneshot::Sender<()>>,
}

/// Records the events of one attempt.
pub(crate) struct Recorder {
    events: mpsc::UnboundedSender<Message>,
    broken: Arc<AtomicBool>,
    task: JoinHandle<Result<(), StoreError>>,
}

impl Recorder {
    /// Must be called within a runtime.
    pub fn start(store: Store, claim: Claim) -> Self {
        let (events, received) = mpsc::unbounded_channel();
        let broken = Arc::new(AtomicBool::new(false));
        let task = tokio::spawn(run(store, claim, received, broken.clone()));
        Self { events, broken, task }
    }

    /// Takes an event; false if writing has failed, and the attempt must end. A checkpoint is in the database when this
    /// returns, for the one before it may be removed then.
    pub fn push(&self, event: Event) -> bool {
        let (written, wait) = oneshot::channel();
        let is_checkpoint = matches!(event, Event::Checkpoint(_) | Event::Snapshot(_));
        let message = Message { event, written: is_checkpoint.then_some(written) };
        if self.events.send(message).is_err() || (is_checkpoint && wait.blocking_recv().is_err()) {
            return false;
        }
        !self.broken.load(Ordering::Relaxed)
    }

    /// Writes what is left.
    pub async fn finish(self) -> Result<(), StoreError> {
        drop(self.events);
        self.task.await.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))
    }
}

async fn run(
    store: Store,
    claim: Claim,
    mut received: mpsc::UnboundedReceiver<Message>,
    broken: Arc<AtomicBool>,
) -> Result<(), StoreError> {
    let mut writer = Writer { store, claim, batch: vec![], waiting: vec![], last: Instant::now() };
    let result = writer.serve(&mut received).await;
    // Whoever waits for a reply learns of the failure by its sender being dropped.
    broken.store(result.is_err(), Ordering::Relaxed);
    result
}

struct Writer {
    store: Store,
    claim: Claim,
    batch: Vec<Event>,
    waiting: Vec<oneshot::Sender<()>>,
    last: Instant,
}

impl Writer {
    async fn serve(&mut self, received: &mut mpsc::UnboundedReceiver<Message>) -> Result<(), StoreError> {
        let mut tick = tokio::time::interval(BATCH_EVERY);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                message = received.recv() => match message {
                    None => return self.write().await,
                    Some(Message { event, written }) => {
                        self.batch.push(event);
                        if let Some(written) = written {
                            self.waiting.push(written);
                            self.write().await?;
                        }
                    }
                },
                _ = tick.tick() => self.beat().await?,
            }
        }
    }

    async fn beat(&mut self) -> Result<(), StoreError> {
        if !self.batch.is_empty() {
            return self.write().await;
        }
        if self.last.elapsed() >= HEARTBEAT_EVERY {
            self.store.heartbeat(&self.claim).await?;
            self.last = Instant::now();
        }
        Ok(())
    }

    async fn write(&mut self) -> Result<(), StoreError> {
        if !self.batch.is_empty() {
            self.store.record(&self.claim, &self.batch).await?;
            self.batch.clear();
            self.last = Instant::now();
        }
        for written in self.waiting.drain(..) {
            // Whoever waited may have gone.
            let _ = written.send(());
        }
        Ok(())
    }
}
