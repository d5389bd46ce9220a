//! Waiting for a database that is away.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use outgrow_store::StoreError;

/// The pause before the first new try; each further one is twice as long.
const FIRST: Duration = Duration::from_millis(250);
/// No pause is longer.
const LONGEST: Duration = Duration::from_secs(5);

/// Within a pause it is looked so often whether it is time to stop.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Backoff that grow from try to try.
pub(crate) struct Backoff(Duration);

impl Backoff {
    pub fn new() -> Self {
        Self(FIRST)
    }

    pub fn next(&mut self) -> Duration {
        let pause = self.0;
        self.0 = (self.0 * 2).min(LONGEST);
        pause
    }
}

/// Sleeps, unless told to stop meanwhile.
async fn pause(stop: &AtomicBool, time: Duration) {
    let until = Instant::now() + time;
    while !stop.load(Ordering::Relaxed) && Instant::now() < until {
        tokio::time::sleep(LOOK_EVERY.min(until - Instant::now())).await;
    }
}

/// Asks the database until it answers, however long it is away, or until told to stop. Says so when
/// it begins to wait, and when it is back.
pub(crate) async fn retry_until_available<T>(
    stop: &AtomicBool,
    mut ask: impl AsyncFnMut() -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    let (mut backoff, mut since) = (Backoff::new(), None);
    loop {
        let answer = ask().await;
        match &answer {
            Err(error) if error.is_passing() && !stop.load(Ordering::Relaxed) => {
                if since.is_none() {
                    tracing::info!("the database does not answer ({error}); waiting for it");
                    since = Some(Instant::now());
                }
                pause(stop, backoff.next()).await;
            }
            _ => {
                if let (Ok(_), Some(since)) = (&answer, since) {
                    tracing::info!(
                        "the database is back after {:.0} s",
                        since.elapsed().as_secs_f64()
                    );
                }
                return answer;
            }
        }
    }
}
