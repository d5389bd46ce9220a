//! Makes a results database of 1,000 complete trials with 1,000 evaluations each, to measure how
//! long a report of it takes:
//!
//! ```sh
//! cargo run --release -p outgrow-store --example large_database -- large.db
//! time outgrow --db large.db report large -o /tmp/large
//! ```

use outgrow_core::{
    Event, Sweep,
    event::{EvalEvent, Outcome, Position},
};
use outgrow_store::{Environment, Holder, Store, StoreError};

const EVALUATIONS: u64 = 1000;

#[tokio::main]
async fn main() -> Result<(), StoreError> {
    let path = std::env::args().nth(1).unwrap_or_else(|| "large.db".into());
    let text = include_str!("../tests/sweep.toml");
    let text = text
        .replace("small", "large")
        .replace("replicates = 2", "replicates = 100")
        .replace("plans = 2", "plans = 9");
    let sweep = Sweep::parse(&text).expect("the tests' sweep, larger");
    let store = Store::open(&path).await?;
    let id = store
        .insert_sweep(&sweep, "made up", &sweep.members("made up").expect("members"), false)
        .await?
        .sweep;
    let holder = Holder { host: "here".into(), boot: "b".into(), pid: 1, started: 1, job: None };
    let environment = Environment {
        host: "here".into(),
        device: "none".into(),
        threads: 1,
        versions: "made up".into(),
    };
    while let Some(claim) = store.claim(&id, &holder, &environment, |_| 1).await?.pop() {
        let faster = if claim.trial.plan.stages().is_empty() { 1.0 } else { 1.3 };
        let offset = claim.number as f64 * 1e-4;
        let evaluation = |n: u64| {
            let at = Position {
                step: n,
                tokens: n * 100,
                train_flops: u128::from(n) * 1_000_000,
                wall_seconds: n as f64,
            };
            let val_loss = 6.0 - 0.5 * (n as f64 * faster).ln() + offset;
            Event::Eval(EvalEvent { at, val_loss, last: n == EVALUATIONS })
        };
        let events: Vec<Event> = (1..=EVALUATIONS).map(evaluation).collect();
        store.record(&claim, 1, &events).await?;
        store.finish(&claim, Ok(Outcome::Complete)).await?;
    }
    store.close().await;
    Ok(())
}
