//! Sixteen workers that write step metrics at once, as fast as they can: rows per second, and how
//! long one batch took at most.
//!
//! ```sh
//! cargo run --release -p outgrow-store --example many_writers -- many.db
//! cargo run --release -p outgrow-store --example many_writers -- "$(scripts/postgres start /tmp/pg 5433)"
//! ```

use std::time::{Duration, Instant};

use outgrow_core::{
    Event, Sweep,
    event::{Position, StepEvent},
};
use outgrow_store::{Environment, Holder, Store, StoreError};

const WRITERS: u32 = 16;
const BATCHES: u64 = 40;
/// What a worker of a fast little model records in a quarter of a second, or more.
const ROWS: u64 = 512;

#[tokio::main]
async fn main() -> Result<(), StoreError> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "many.db".into());
    let text = include_str!("../tests/sweep.toml");
    let sweep =
        Sweep::parse(&text.replace("small", "many").replace("replicates = 2", "replicates = 16"));
    let sweep = sweep.expect("the tests' sweep, larger");
    let store = Store::open(&address).await?;
    let id = store
        .insert_sweep(&sweep, "made up", &sweep.members("made up").expect("members"), true)
        .await?
        .sweep;
    let began = Instant::now();
    let writers =
        (0..WRITERS).map(|number| tokio::spawn(write(address.clone(), id.clone(), number)));
    let mut longest = Duration::ZERO;
    for writer in writers.collect::<Vec<_>>() {
        longest = longest.max(writer.await.expect("a writer")?);
    }
    let seconds = began.elapsed().as_secs_f64();
    let rows = u64::from(WRITERS) * BATCHES * ROWS;
    println!(
        "{rows} rows in {seconds:.2} s: {:.0} rows/s; the longest batch took {longest:?}",
        rows as f64 / seconds
    );
    store.close().await;
    Ok(())
}

/// One worker with connections of its own; gives the time of its slowest batch.
async fn write(address: String, sweep: String, number: u32) -> Result<Duration, StoreError> {
    let store = Store::open(&address).await?;
    let holder =
        Holder { host: "here".into(), boot: "b".into(), pid: number, started: 1, job: None };
    let environment = Environment {
        host: "here".into(),
        device: "none".into(),
        threads: 1,
        versions: "made up".into(),
    };
    let claim =
        store.claim(&sweep, &holder, &environment, |_| 1).await?.pop().expect("a trial for each");
    let mut longest = Duration::ZERO;
    for batch in 0..BATCHES {
        let step = |n: u64| {
            let step = batch * ROWS + n + 1;
            let at = Position {
                step,
                tokens: step * 100,
                train_flops: u128::from(step) * 1_000_000,
                wall_seconds: step as f64,
            };
            Event::Step(StepEvent {
                at,
                loss: 1.0 / step as f64,
                learning_rate: 1e-3,
                gradient_norm: 1.0,
            })
        };
        let events: Vec<Event> = (0..ROWS).map(step).collect();
        let began = Instant::now();
        store.record(&claim, batch as i64 + 1, &events).await?;
        longest = longest.max(began.elapsed());
    }
    store.close().await;
    Ok(longest)
}
