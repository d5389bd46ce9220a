//! The store's promises: claims are exclusive, writes are fenced, a batch is all or nothing, sweeps
//! are inserted once, files of others and of newer versions are refused, and the public views say
//! what the documentation says.

use std::{
    collections::BTreeSet,
    sync::atomic::{AtomicI64, Ordering},
};

use outgrow_core::{
    Event, Sweep, TrialState,
    event::{
        CheckpointEvent, Diagnosis, EvalEvent, GrowthEvent, Outcome, Position, Preservation,
        StepEvent,
    },
    growth::TransformKind,
    rows::{Bounded, Estimates, FrontierRow, GapRow},
    sweep::Member,
};
use outgrow_store::{
    Cell, Claim, Copied, Environment, Holder, Memory, Round, SWEEP_VIEWS, Store, StoreError, VIEWS,
};
use rand::RngExt;
use sqlx::Connection;
use tempfile::TempDir;

const SWEEP: &str = include_str!("sweep.toml");

/// The sweep with the same plans in all replicates, which can be trained together, and which grow so
/// early that they share no prefix.
fn of_plans() -> Sweep {
    let text = SWEEP
        .replace("plans = 2", "plans = 2, about = \"plan\"")
        .replace("grow_between = [0.1, 0.6]", "grow_between = [0.1, 0.3]");
    Sweep::parse(&text).expect("a sweep")
}

fn holder(pid: u32) -> Holder {
    Holder { host: "here".into(), boot: "b".into(), pid, started: 1, job: None }
}

fn environment() -> Environment {
    Environment { host: "here".into(), device: "cpu".into(), threads: 1, versions: "test".into() }
}

/// A database with a sweep in it.
struct Fixture {
    _folder: Option<TempDir>,
    address: String,
    store: Store,
    sweep: String,
    batches: AtomicI64,
}

impl Fixture {
    async fn file() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let address = folder.path().join("a.db").display().to_string();
        Self { _folder: Some(folder), ..Self::at(address).await }
    }

    /// None, and a word about it, where there is no server to test with.
    async fn server() -> Option<Self> {
        Some(Self::at(database().await?).await)
    }

    async fn at(address: String) -> Self {
        let store = Store::open(&address).await.expect("a new database");
        let sweep = of_plans();
        let members = sweep.members("d").expect("members");
        let sweep = store.insert_sweep(&sweep, "d", &members, false).await.expect("inserted").sweep;
        Self { _folder: None, address, store, sweep, batches: AtomicI64::new(1) }
    }

    /// Where no database is yet, of the same kind.
    async fn another(&self, folder: &TempDir) -> String {
        match self.is_server() {
            true => database().await.expect("there is a server"),
            false => folder.path().join("another.db").display().to_string(),
        }
    }

    fn is_server(&self) -> bool {
        self.address.contains("://")
    }

    async fn claim(&self, pid: u32) -> Option<Claim> {
        self.claims(pid, 1).await.pop()
    }

    async fn claims(&self, pid: u32, most: usize) -> Vec<Claim> {
        self.store
            .claim(&self.sweep, &holder(pid), &environment(), |_| most)
            .await
            .expect("a claim")
    }

    /// Takes their trials from the dead, without the pause after it.
    async fn release(&self, is_dead: impl Fn(&Holder) -> bool) {
        for held in self.store.held(&self.sweep).await.expect("attempts") {
            if is_dead(&held.holder) {
                assert!(
                    self.store.release(&held, Some("it said\nno more")).await.expect("released")
                );
            }
        }
        self.execute("UPDATE trial SET not_before = NULL").await;
    }

    async fn record(&self, claim: &Claim, events: &[Event]) -> Result<(), StoreError> {
        self.store.record(claim, self.batches.fetch_add(1, Ordering::Relaxed), events).await
    }

    async fn execute(&self, sql: &str) {
        execute(&self.address, sql).await;
    }

    async fn query(&self, sql: &str) -> Vec<Vec<Cell>> {
        let reading = Store::open_read_only(&self.address).await.expect("opens");
        reading.query(sql).await.expect("an answer").rows
    }
}

async fn query(store: &Store, sql: &str) -> Vec<Vec<Cell>> {
    store.query(sql).await.expect("an answer").rows
}

/// Carries out statements past the store; makes a file that is not there.
async fn execute(address: &str, sql: &str) {
    try_execute(address, sql).await.expect("executed");
}

async fn try_execute(address: &str, sql: &str) -> Result<(), sqlx::Error> {
    let sql = sqlx::raw_sql(sqlx::AssertSqlSafe(sql.to_owned()));
    if address.contains("://") {
        sql.execute(&mut sqlx::PgConnection::connect(address).await?).await?;
    } else {
        let file = format!("sqlite:{address}?mode=rwc");
        sql.execute(&mut sqlx::SqliteConnection::connect(&file).await?).await?;
    }
    Ok(())
}

/// A new database of the server that `OUTGROW_TEST_POSTGRES` names.
async fn database() -> Option<String> {
    static NUMBER: AtomicI64 = AtomicI64::new(0);
    let Ok(server) = std::env::var("OUTGROW_TEST_POSTGRES") else {
        outgrow_testkit::skip(
            "OUTGROW_TEST_POSTGRES names no server (scripts/test starts one where PostgreSQL is \
             installed)",
        );
        return None;
    };
    let name = format!("store_{}_{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
    let mut connection = sqlx::PgConnection::connect(&server).await.expect("the server answers");
    let sql = sqlx::AssertSqlSafe(format!("CREATE DATABASE {name}"));
    sqlx::raw_sql(sql).execute(&mut connection).await.expect("a new database");
    Some(format!("{}/{name}", server.rsplit_once('/').expect("a URL with a database").0))
}

/// Tests that hold for a file and for a server.
macro_rules! both {
    ($(async fn $name:ident($f:ident: Fixture) $body:block)*) => {
        mod file {
            use super::*;
            $(#[tokio::test] async fn $name() { let $f = Fixture::file().await; $body })*
        }
        mod server {
            use super::*;
            $(#[tokio::test(flavor = "multi_thread")] async fn $name() {
                let Some($f) = Fixture::server().await else { return };
                $body
            })*
        }
    };
}

fn sorted(mut rows: Vec<Vec<Cell>>) -> Vec<Vec<Cell>> {
    rows.sort_by_key(|row| format!("{row:?}"));
    rows
}

fn at(step: u64) -> Position {
    Position {
        step,
        tokens: step * 100,
        train_flops: u128::from(step) * 1000,
        wall_seconds: step as f64,
    }
}

fn step(n: u64, loss: f64) -> Event {
    Event::Step(StepEvent { at: at(n), loss, learning_rate: 0.1, gradient_norm: 1.0 })
}

fn eval(n: u64, val_loss: f64, last: bool) -> Event {
    Event::Eval(EvalEvent { at: at(n), val_loss, last })
}

both! {
    async fn a_sweep_is_inserted_once(f: Fixture) {
        let sweep = of_plans();
        let members = sweep.members("d").expect("members");
        let again = f.store.insert_sweep(&sweep, "d", &members, false).await.expect("inserted");
        assert_eq!((again.new, again.trials), (0, members.len()));
        assert_eq!(f.store.status(&f.sweep).await.expect("status").total(), members.len() as u64);
        let other = f.store.insert_sweep(&sweep, "other text", &sweep.members("other text").expect("members"), false).await;
        assert_eq!(other.expect("inserted").new, members.len(), "trials on another text are other \
            trials");
    }

    async fn rounds_follow_once_and_only_what_was_looked_up(f: Fixture) {
        let text = SWEEP
            .replace("replicates = 2", "replicates = 2\ntuning_replicates = 2")
            .replace("[training]", "[grid]\ntraining.learning_rate = [1e-3, 2e-3]\n\n[training]");
        let sweep = Sweep::parse(&text).expect("a sweep");
        let members = sweep.members("d").expect("members");
        let first = sweep.first_round(&members);
        let own = |places: &BTreeSet<usize>| -> Vec<Member> {
            members.iter().filter(|one| places.contains(&one.position)).cloned().collect()
        };
        let id = f.store.insert_sweep(&sweep, "d", &own(&first), false).await.expect("inserted").sweep;
        assert_eq!(f.store.entered(&id).await.expect("places"), first);
        assert!(f.store.is_in_a_round(&id, Round::default()).await.expect("open"));
        let next: BTreeSet<usize> =
            members.iter().filter(|one| !one.tuning).map(|one| one.position).take(3).collect();
        let all: BTreeSet<usize> = first.union(&next).copied().collect();
        assert!(!f.store.insert_round(&id, Round::default(), &first, &own(&all)).await.expect("asked"), "they still tune");
        f.execute("UPDATE trial SET state = 'complete'").await;
        assert!(f.store.insert_round(&id, Round::default(), &first, &own(&all)).await.expect("asked"));
        assert!(!f.store.insert_round(&id, Round::default(), &first, &own(&all)).await.expect("asked"), "another was first");
        assert_eq!(f.store.entered(&id).await.expect("places"), all);
        // Whoever looked before comes later: what has followed keeps its prefixes.
        let prefixes = "SELECT count(*) FROM shared_prefix";
        f.execute(&format!("INSERT INTO shared_prefix (sweep_id, trial, parent, step) SELECT '{id}', max(number), min(number), 1 FROM trial")).await;
        let before = f.query(prefixes).await;
        f.store.insert_sweep(&sweep, "d", &own(&first), false).await.expect("inserted");
        assert_eq!(f.query(prefixes).await, before);
        assert_eq!(f.store.entered(&id).await.expect("places"), all);
    }

    async fn claims_are_exclusive(f: Fixture) {
        let total = f.store.status(&f.sweep).await.expect("status").total();
        let stores: Vec<Store> = (0..4).map(|_| f.store.clone()).collect();
        let tasks = stores.into_iter().enumerate().map(|(pid, store)| {
            let sweep = f.sweep.clone();
            tokio::spawn(async move {
                let mut mine = vec![];
                loop {
                    let holder = holder(pid as u32);
                    // Two of the workers train replicates together.
                    let claims = store.claim(&sweep, &holder, &environment(), |_| 1 + pid % 2).await;
                    let claims = claims.expect("a claim");
                    if claims.is_empty() {
                        break;
                    }
                    mine.extend(claims.iter().map(|claim| claim.number));
                }
                mine
            })
        });
        let mut all = vec![];
        for task in tasks.collect::<Vec<_>>() {
            all.extend(task.await.expect("a task"));
        }
        all.sort_unstable();
        let before = all.len();
        all.dedup();
        assert_eq!((all.len(), before as u64), (before, total));
    }

    async fn a_worker_that_lost_its_trial_can_write_nothing(f: Fixture) {
        let old = f.claim(1).await.expect("a trial");
        f.record(&old, &[step(1, 5.0)]).await.expect("recorded");
        f.release(|holder| holder.pid == 99).await;
        assert!(f.claim(2).await.is_some_and(|claim| claim.number != old.number), "the holder \
            lives");
        f.release(|holder| holder.pid == 1).await;
        let new = f.claim(3).await.expect("the dead one's trial");
        assert_eq!((new.number, new.epoch), (old.number, old.epoch.next()));
        assert!(matches!(f.record(&old, &[step(2, 4.0)]).await, Err(StoreError::Fenced)));
        assert!(matches!(f.store.heartbeat(&old).await, Err(StoreError::Fenced)));
        assert!(matches!(f.store.finish(&old, Ok(Outcome::Complete)).await, Err(StoreError::Fenced)));
        assert_eq!(f.query("SELECT count(*) FROM step_metric").await, [[Cell::Integer(1)]]);
        // Who has given a sign of life since it was looked at keeps its trial.
        let seen = f.store.held(&f.sweep).await.expect("attempts");
        let seen = seen.into_iter().find(|held| held.attempt == new.attempt).expect("it is held");
        f.store.heartbeat(&new).await.expect("it lives");
        assert!(!f.store.release(&seen, None).await.expect("looked at"));
        f.record(&new, &[step(2, 4.0)]).await.expect("recorded");
    }

    async fn a_trial_that_kills_its_workers_is_given_up(f: Fixture) {
        let first = f.claim(1).await.expect("a trial").number;
        f.release(|_| true).await;
        while f.claim(1).await.is_some_and(|claim| claim.number == first) {
            f.release(|_| true).await;
        }
        let failures = f.store.failures(&f.sweep).await.expect("failures");
        assert_eq!(failures[0].1, "its worker died 5 times without a checkpoint between; the last \
                                   said: no more");
        assert_eq!(f.query("SELECT DISTINCT log FROM attempt WHERE log IS NOT \
                            NULL").await.len(), 1);
        assert_eq!(f.store.retry_failed(&f.sweep).await.expect("retried"), failures.len() as u64);
    }

    async fn checkpoints_come_back_newest_first_and_events_replace_their_like(f: Fixture) {
        let claim = f.claim(1).await.expect("a trial");
        let checkpoint = |n: u64| {
            let path = format!("c{n}");
            Event::Checkpoint(CheckpointEvent { at: at(n), path, digest: "x".into(), bytes: 1 })
        };
        let events = [step(1, 5.0), checkpoint(1), step(2, f64::NAN), eval(2, f64::INFINITY, false), checkpoint(2)];
        f.record(&claim, &events).await.expect("recorded");
        f.store.finish(&claim, Ok(Outcome::Stopped)).await.expect("finished");
        let again = f.claim(2).await.expect("the same trial");
        assert_eq!(
            (again.number, again.checkpoints.iter().map(|saved| saved.path.as_str()).collect::<Vec<_>>()),
            (claim.number, vec!["c2", "c1"])
        );
        f.record(&again, &[step(2, 4.0)]).await.expect("recorded again");
        assert_eq!(f.query("SELECT loss FROM step_metric ORDER BY \
                            step").await, [[Cell::Real(5.0)], [Cell::Real(4.0)]]);
        assert_eq!(f.query("SELECT val_loss FROM \
                            eval_metric").await, [[Cell::Real(f64::INFINITY)]]);
    }

    async fn the_views_say_what_was_saved(f: Fixture) {
        // The control falls to 2 at 400 steps; every other trial passes it half-way between 200 and
        // 300.
        while let Some(claim) = f.claim(1).await {
            let is_control = claim.trial.plan.stages().is_empty();
            let losses = if is_control { [4.0, 3.0, 2.5, 2.0] } else { [4.0, 2.5, 1.5, 1.0] };
            let evals = losses.iter().zip(1..).map(|(loss, n)| eval(n * 100, *loss, n == 4));
            let preservation =
                Preservation { max_logit_change: 1e-7, max_logit: 0.5, loss_before: 3.0, loss_after: 3.0, tolerance: 1e-5 };
            let growth = GrowthEvent {
                at: at(150),
                stage: 0,
                growths: vec![],
                axes: vec![TransformKind::HiddenExpansion],
                parameters: [10, 20],
                operator_flops: 5_000,
                preserving: true,
                preservation,
                diagnosis: Some(Box::new(Diagnosis { new_entries: 10, reached: [0.5, 1.0, 1.0], ..Diagnosis::default() })),
                seconds: 0.1,
            };
            let growth = (!is_control).then_some(Event::Growth(growth));
            f.record(&claim, &evals.chain(growth).collect::<Vec<_>>()).await.expect("recorded");
            f.store.finish(&claim, Ok(Outcome::Complete)).await.expect("finished");
        }
        let savings = f.query("SELECT kind, reached, compute_saving, token_saving, wall_saving \
                               FROM speedups").await;
        assert!(!savings.is_empty());
        for row in savings {
            let saved = if row[0] == Cell::Text("from_scratch".into()) { 0.0 } else { 1.0 - 250.0 / 400.0 };
            assert_eq!(row[1], Cell::Integer(1));
            assert_eq!(row[2..], [Cell::Real(saved), Cell::Real(saved), Cell::Real(saved)]);
        }
        // At 150 steps 150,000 FLOPs were spent, 5,000 of them by the operator itself: the source
        // model cost 145,000.
        let sunk = f.query("SELECT DISTINCT sunk_compute_saving FROM speedups WHERE kind <> \
                            'from_scratch'").await;
        assert_eq!(sunk, [[Cell::Real(1.0 - (250.0 - 145.0) / 400.0)]]);
        let reached = match f.is_server() {
            true => "CAST(diagnosis AS json) -> 'reached' ->> 1",
            false => "json_extract(diagnosis, '$.reached[1]') || ''",
        };
        let found = f.query(&format!("SELECT DISTINCT {reached}, operator_flops FROM \
                                      growth")).await;
        assert_eq!(found, [[Cell::Text("1.0".into()), Cell::Integer(5000)]]);
        let preserved = f.query("SELECT DISTINCT preserved, error FROM growth").await;
        assert_eq!(preserved, [[Cell::Integer(1), Cell::Real(1e-7)]]);
        for view in &VIEWS {
            let names: Vec<&str> = view.all_columns().map(|(name, _)| name).collect();
            let asked = f.query(&format!("SELECT {} FROM {}", names.join(", "), view.name)).await;
            let given = f.store.view(view, Some(&f.sweep)).await.expect("rows");
            assert_eq!(given.columns, names);
            assert_eq!(sorted(asked), sorted(given.rows), "{}", view.name);
        }
        let page = f.store.trial_rows(&f.sweep).await.expect("rows");
        assert_eq!((page.rows.len(), page.columns[8].as_str()), (6, "val_loss"));
        let Cell::Text(trial) = &page.rows[5][3] else { panic!("{page:?}") };
        let (definition, [curve, _, growth]) = f.store.trial_page(&f.sweep, trial).await.expect("a page");
        assert_eq!((definition.starts_with('{'), curve.rows.len(), growth.rows.len()), (true, 4, 1));
        let [mean, longer] = f.store.mean_curves(&f.sweep).await.expect("curves");
        assert_eq!((mean.rows.len(), longer.rows.len()), (2 * 4, 0));
        assert!(f.store.trial_rows("a' OR ''='").await.is_err(), "it is no identity");
        let (trials, curves, growths) = f.store.report_rows(&f.sweep).await.expect("rows");
        assert_eq!((curves.len(), growths[0].parameters_before), (trials.len() * 4, 10));
        assert_eq!((growths[0].axes.as_slice(), growths[0].operator_flops), (&[TransformKind::HiddenExpansion][..], 5000));
        assert!(f.store.flops_per_second().await.expect("speed").is_some_and(|speed| (speed - 1000.0).abs() < 1e-9));
    }

    async fn the_best_learning_rate_of_each_strategy_is_compared(f: Fixture) {
        // The same sweep at another rate, whose controls end lower: as if it had been in the
        // sweep's grid.
        let other = Sweep::parse(&SWEEP.replace("1e-3", "2e-3")).expect("a sweep");
        let inserted =
            f.store.insert_sweep(&other, "d", &other.members("d").expect("members"), false).await.expect("inserted");
        assert_ne!(inserted.sweep, f.sweep);
        f.execute(
            "UPDATE member SET position = position + 1000 WHERE trial IN (SELECT number FROM \
             trial WHERE learning_rate > 1.5e-3);
             UPDATE member SET sweep_id = (SELECT min(m.sweep_id) FROM member m JOIN trial t ON \
             t.number = m.trial WHERE t.learning_rate < 1.5e-3)",
        )
        .await;
        while let Some(claim) = f.claim(1).await {
            let lower = if claim.trial.settings.training.learning_rate > 1.5e-3 { 0.5 } else { 0.0 };
            f.record(&claim, &[eval(100, 4.0, false), eval(400, 2.0 - lower, true)]).await.expect("recorded");
            f.store.finish(&claim, Ok(Outcome::Complete)).await.expect("finished");
        }
        let tuned = f.query("SELECT DISTINCT learning_rate, mean_val_loss FROM tuned").await;
        assert_eq!(tuned, [[Cell::Real(2e-3), Cell::Real(1.5)]]);
        let (all, chosen) = (f.query("SELECT count(*) FROM \
                                      finals").await, f.query("SELECT count(*) FROM \
                                          speedups").await);
        assert_eq!((&all[0][0], &chosen[0][0]), (&Cell::Integer(2 * 6), &Cell::Integer(6)), "{all:?} {chosen:?}");
        let targets = f.query("SELECT DISTINCT target_loss, learning_rate FROM speedups").await;
        assert_eq!(targets, [[Cell::Real(1.5), Cell::Real(2e-3)]]);
        // Seeds that only tune choose, and are in no comparison.
        f.execute(
            "UPDATE member SET tuning = 1 WHERE replicate = 1;
             UPDATE eval_metric SET val_loss = 1.0 WHERE is_last = 1 AND trial IN (SELECT trial FROM \
             member WHERE replicate = 1 AND learning_rate < 1.5e-3)",
        )
        .await;
        let tuned = f.query("SELECT DISTINCT learning_rate, mean_val_loss FROM tuned").await;
        assert_eq!(tuned, [[Cell::Real(1e-3), Cell::Real(1.0)]]);
        let compared = f.query("SELECT DISTINCT target_loss, learning_rate, replicate FROM speedups").await;
        assert_eq!(compared, [[Cell::Real(2.0), Cell::Real(1e-3), Cell::Integer(0)]]);
        // Where only one point is compared it is that, whatever the best of the grid is.
        f.execute("DELETE FROM member WHERE replicate = 0 AND learning_rate < 1.5e-3").await;
        let tuned = f.query("SELECT DISTINCT learning_rate FROM tuned").await;
        assert_eq!(tuned, [[Cell::Real(2e-3)]]);
        let compared = f.query("SELECT count(*) FROM speedups").await;
        assert_ne!(compared, [[Cell::Integer(0)]]);
    }

    async fn a_newer_schema_is_refused_and_reading_writes_nothing(f: Fixture) {
        let reading = Store::open_read_only(&f.address).await.expect("opens");
        let error = reading.query("DELETE FROM trial").await.expect_err("reading only");
        assert!(matches!(&error, StoreError::Query(_)) && error.to_string().contains("a query may \
            only read"), "{error}");
        f.execute(
            "INSERT INTO _sqlx_migrations (version, description, success, checksum, \
             execution_time) VALUES (999, '', true, '', 0)",
        )
        .await;
        for result in [Store::open(&f.address).await, Store::open_read_only(&f.address).await] {
            assert!(matches!(result, Err(StoreError::Newer { found: 999, .. })));
        }
    }

    async fn replicates_are_claimed_together(f: Fixture) {
        let mut sizes = vec![];
        loop {
            let claims = f.claims(1, 8).await;
            let Some(first) = claims.first() else { break };
            assert!(claims.iter().all(|claim| claim.trial.is_replicate_of(&first.trial)));
            sizes.push(claims.len());
            for claim in &claims {
                f.store.record_memory(claim, Memory { predicted: 10, peak: 7 }).await.expect("recorded");
                f.store.finish(claim, Ok(Outcome::Complete)).await.expect("finished");
            }
        }
        assert_eq!(sizes, [2, 2, 2], "three plans of two replicates");
        let kept = f.query("SELECT DISTINCT stacked_replicates, predicted_bytes, peak_bytes FROM \
                            attempt").await;
        assert_eq!(kept, [[2, 10, 7].map(Cell::Integer)]);
    }

    async fn what_begins_alike_waits_and_begins_where_they_part(f: Fixture) {
        let (f, first) = two_that_begin_alike(f).await;
        let part = first.snapshots[0];
        assert!(f.claim(2).await.is_none(), "the second waits for the first");
        let path = "there".to_owned();
        let snapshot = Event::Snapshot(CheckpointEvent { at: at(part), path, digest: "x".into(), bytes: 1 });
        let events = [step(1, 3.0), eval(1, 3.5, false), step(part - 1, 2.0), snapshot, step(part + 1, 1.0)];
        f.record(&first, &events).await.expect("recorded");
        let second = f.claim(2).await.expect("the second");
        assert_eq!(second.begin.as_ref().map(|left| left.path.as_str()), Some("there"));
        let rows = format!("SELECT step, loss FROM step_metric WHERE trial = {} ORDER BY 1", second.number);
        let of = |n: u64, loss: f64| vec![Cell::Integer(n as i64), Cell::Real(loss)];
        assert_eq!(f.query(&rows).await, [of(1, 3.0), of(part - 1, 2.0)]);
        let evals = format!("SELECT count(*) FROM eval_metric WHERE trial = {}", second.number);
        assert_eq!(f.query(&evals).await[0][0], Cell::Integer(1));

        f.record(&second, &[step(part + 2, 1.0)]).await.expect("recorded");
        let compute = f.query("SELECT charged_flops, spent_flops FROM compute ORDER BY plan").await;
        let flops = |n: u64| Cell::Integer(n as i64 * 1000);
        assert_eq!(compute[compute.len() - 1], [flops(part + 2), flops(2)], "charged in full, \
            spent from there");
        assert!(f.store.forget_snapshots().await.expect("written").is_empty(), "the second may \
            need it again");
        f.store.finish(&second, Ok(Outcome::Complete)).await.expect("finished");
        assert_eq!(f.store.forget_snapshots().await.expect("written"), ["there"]);
    }

    async fn what_begins_alike_trains_alone_when_the_other_has_failed(f: Fixture) {
        let (f, first) = two_that_begin_alike(f).await;
        f.store.finish(&first, Err("no reason")).await.expect("finished");
        let second = f.claim(2).await.expect("the second");
        assert!(second.begin.is_none() && second.snapshots.is_empty());
    }

    async fn a_batch_is_written_once(f: Fixture) {
        let claim = f.claim(1).await.expect("a trial");
        for (batch, number) in [(1, 1), (2, 2), (2, 2), (1, 1), (3, 3)] {
            f.store.record(&claim, batch, &[step(number, 5.0)]).await.expect("recorded");
        }
        let spent = f.query("SELECT train_flops FROM attempt").await;
        assert_eq!(spent, [[Cell::Integer(3000)]], "what is replayed is not spent twice");
    }

    async fn a_crash_makes_a_trial_wait_and_a_checkpoint_forgives(f: Fixture) {
        let claim = f.claim(1).await.expect("a trial");
        let first = claim.number;
        for held in f.store.held(&f.sweep).await.expect("attempts") {
            f.store.release(&held, None).await.expect("released");
        }
        assert!(f.claim(1).await.is_some_and(|claim| claim.number != first), "it waits a second");
        f.execute("UPDATE trial SET not_before = not_before + 1e6").await;
        let again = f.claim(1).await.expect("a pause of days is of a clock that was set back");
        assert_eq!(again.number, first);
        let crashes = format!("SELECT crashes FROM trial WHERE number = {first}");
        assert_eq!(f.query(&crashes).await, [[Cell::Integer(1)]]);
        let checkpoint = CheckpointEvent { at: at(1), path: "c".into(), digest: "x".into(), bytes: 1 };
        f.record(&again, &[Event::Checkpoint(checkpoint)]).await.expect("recorded");
        assert_eq!(f.query(&crashes).await, [[Cell::Integer(0)]]);
    }

    async fn databases_of_before_the_first_release_are_refused_as_they_are(f: Fixture) {
        for versions in [&[1][..], &[1, 2], &[1, 2, 3, 4, 5, 6, 7, 8], &[5], &[5, 6, 7, 8]] {
            let folder = tempfile::tempdir().expect("a folder");
            let address = f.another(&folder).await;
            unreleased(&address, versions).await;
            let before = std::fs::read(&address).ok();
            let opened = [Store::open(&address).await, Store::open_existing(&address).await, Store::open_read_only(&address).await];
            let mut refused: Vec<StoreError> = opened.into_iter().filter_map(Result::err).collect();
            refused.extend(Store::probe(&address).await.err());
            if !f.is_server() {
                refused.extend(outgrow_store::damage(&address).await.err());
            }
            assert_eq!(refused.len(), if f.is_server() { 4 } else { 5 }, "{versions:?}: \
                {refused:?}");
            for error in refused {
                let said = error.to_string();
                assert!(matches!(error, StoreError::Unreleased(_)), "{versions:?}: {said}");
                assert!(said.contains("Run its sweeps \
                                       again") && !said.contains("upgrade"), "{said}");
            }
            assert_eq!(std::fs::read(&address).ok(), before, "nothing is changed");
        }
    }

    async fn flops_are_kept_beyond_64_bits(f: Fixture) {
        let own = f.claim(1).await.expect("a trial");
        let mut rng = outgrow_core::stream::stream(1, "flops");
        let limits = [i64::MAX as u128, 1 << 63, u64::MAX.into(), 1 << 64, 95_190_000_000_000_000_001, 10_u128.pow(22) + 1, (1 << 120) - 1];
        let random = (0..400).map(|_| rng.random::<u128>() >> rng.random_range(8..127));
        let mut all: Vec<u128> = limits.into_iter().chain(random).collect();
        all.sort_unstable();
        let position = |(n, flops): (u64, &u128)| Position { train_flops: *flops, ..at(n) };
        let events = (1..).zip(&all).map(position).flat_map(|at| {
            let step = Event::Step(StepEvent { at, loss: 1.0, learning_rate: 0.1, gradient_norm: 1.0 });
            [step, Event::Eval(EvalEvent { at, val_loss: 1.0, last: false })]
        });
        for some in events.collect::<Vec<_>>().chunks(40) {
            f.record(&own, some).await.expect("recorded");
        }
        // SQLite keeps the nearest real number of what is beyond 64 bits.
        let kept = |flops: u128| match i64::try_from(flops) {
            Err(_) if !f.is_server() => flops as f64 as u128,
            _ => flops,
        };
        let (_, curves, _) = f.store.report_rows(&f.sweep).await.expect("rows");
        assert!(curves.iter().map(|row| row.at.train_flops).eq(all.iter().copied().map(kept)));
        let last = *all.last().expect("some") as f64;
        let number = |cell: &Cell| match cell {
            Cell::Integer(value) => *value as f64,
            Cell::Big(value) => *value as f64,
            Cell::Real(value) => *value,
            other => panic!("{other:?}"),
        };
        let is_last = |value: f64| (value / last - 1.0).abs() < 1e-12;
        let compute = f.query("SELECT charged_flops, spent_flops FROM compute WHERE charged_flops \
                               > 0").await;
        assert!(compute[0].iter().map(number).all(is_last), "{compute:?}");
        assert!(is_last(f.store.status(&f.sweep).await.expect("status").train_flops.0));
        // Another attempt goes on a little before the end; another trial, too. Sums over both.
        let other = f.claim(2).await.expect("a trial");
        f.record(&other, &[step(1, 1.0), Event::Step(StepEvent { at: Position { train_flops: 1 << 62, ..at(2) }, loss: 1.0, learning_rate: 0.1, gradient_norm: 1.0 })]).await.expect("recorded");
        let lowest = f.query("SELECT min(train_flops), max(train_flops) FROM steps").await;
        assert!(number(&lowest[0][0]) >= 0.0 && is_last(number(&lowest[0][1])), "{lowest:?}");
        // And there and back.
        let folder = tempfile::tempdir().expect("a folder");
        let copy = Store::open(&f.another(&folder).await).await.expect("opens");
        f.store.copy_to(&copy, None).await.expect("copied");
        let (_, copied, _) = copy.report_rows(&f.sweep).await.expect("rows");
        assert_eq!(copied, curves);
    }

    async fn a_place_is_one_trials(f: Fixture) {
        let twice = "INSERT INTO member SELECT sweep_id, position + 100, trial, strategy, kind, \
                     plan, replicate, learning_rate, setting, budget, tuning FROM member";
        let refused = try_execute(&f.address, twice).await.expect_err("the schema holds \
            it").to_string();
        assert!(refused.to_lowercase().contains("unique"), "{refused}");
    }

    async fn sweeps_are_copied_there_and_back(f: Fixture) {
        let events = [step(1, f64::NAN), eval(1, f64::INFINITY, false), step(2, 1.0 / 3.0)];
        let claims = [f.claim(1).await.expect("a trial"), f.claim(2).await.expect("a trial")];
        for claim in &claims {
            f.record(claim, &events).await.expect("recorded");
        }
        f.store.finish(&claims[0], Ok(Outcome::Complete)).await.expect("finished");
        let others = match f.is_server() {
            true => Fixture::file().await,
            false => match Fixture::server().await {
                Some(server) => server,
                None => Fixture::file().await,
            },
        };
        let copied = f.store.copy_to(&others.store, None).await.expect("copied");
        assert_eq!((copied.updated, copied.kept), (2, 4), "{copied:?}");
        let rows = "SELECT t.id, t.state, t.epoch, a.epoch, a.process, a.batch, a.outcome, \
                    s.step, s.loss, s.wall_seconds
                    FROM trial t LEFT JOIN attempt a ON a.trial = t.number LEFT JOIN step_metric \
                    s ON s.attempt = a.id
                    ORDER BY 1, 8";
        let expected = f.query(rows).await;
        assert_eq!(expected, others.query(rows).await);
        assert_eq!(f.query("SELECT * FROM curves ORDER BY \
                            trial").await, others.query("SELECT * FROM curves ORDER BY \
                                trial").await);
        let again = f.store.copy_to(&others.store, Some(&f.sweep)).await.expect("copied");
        assert_eq!(again, Copied { kept: 6, ..Copied::default() });
        // It goes on there, and comes back.
        others.release(|holder| holder.pid == 2).await;
        while let Some(claim) = others.claim(3).await {
            others.record(&claim, &[step(3, 0.25)]).await.expect("recorded");
            others.store.finish(&claim, Ok(Outcome::Complete)).await.expect("finished");
        }
        let back = others.store.copy_to(&f.store, None).await.expect("copied");
        assert_eq!((back.new, back.updated, back.kept), (0, 5, 1), "{back:?}");
        assert_eq!(f.query(rows).await, others.query(rows).await);
        assert_eq!(f.store.status(&f.sweep).await.expect("status").count(TrialState::Complete), 6);
    }

    async fn estimates_are_kept_with_their_sweep(f: Fixture) {
        assert_eq!(f.store.estimates_due(&f.sweep).await.expect("read"), None, "trials wait");
        while let Some(claim) = f.claim(1).await {
            f.record(&claim, &[eval(1, 2.0, true)]).await.expect("recorded");
            f.store.finish(&claim, Ok(Outcome::Complete)).await.expect("finished");
        }
        assert_eq!(f.store.estimates_due(&f.sweep).await.expect("read"), Some(6));
        let bounded = |value: f64| Bounded { value: Some(value), low: Some(f64::INFINITY), high: None };
        let unit = || "tokens per parameter".to_owned();
        let estimates = Estimates {
            frontier: vec![
                FrontierRow { budget: 20.0, unit: unit(), train_flops: 1e12, n_star: bounded(3e4), val_loss: bounded(1.5), law_minus_vertex: None, n: Some(3), reason: None },
                FrontierRow { budget: 10.0, unit: unit(), train_flops: 5e11, n_star: Bounded::default(), val_loss: Bounded::default(), law_minus_vertex: None, n: None, reason: Some("it's flat".into()) },
            ],
            gaps: vec![GapRow { strategy: "late".into(), budget: 20.0, unit: unit(), train_flops: 1e12, gap: bounded(-0.25), p_holm: Some(0.125), multiplier: bounded(2.0), censored: Some("above"), n: Some(3), reason: None }],
        };
        for _ in 0..2 {
            f.store.record_estimates(&f.sweep, 6, &estimates).await.expect("written");
        }
        assert_eq!(f.store.estimates_due(&f.sweep).await.expect("read"), None, "they are there");
        let frontier = "SELECT budget, n_star, n_star_low, reason, trials, stale FROM frontier WHERE sweep = 'small' ORDER BY budget";
        let expected = [
            vec![Cell::Real(10.0), Cell::Null, Cell::Null, Cell::Text("it's flat".into()), Cell::Integer(6), Cell::Integer(0)],
            vec![Cell::Real(20.0), Cell::Real(3e4), Cell::Null, Cell::Null, Cell::Integer(6), Cell::Integer(0)],
        ];
        assert_eq!(f.query(frontier).await, expected);
        for view in &SWEEP_VIEWS {
            let names: Vec<&str> = view.all_columns().map(|(name, _)| name).collect();
            let asked = f.query(&format!("SELECT {} FROM {}", names.join(", "), view.name)).await;
            let given = f.store.view(view, Some(&f.sweep)).await.expect("rows");
            assert!(!asked.is_empty() && given.columns == names);
            assert_eq!(sorted(asked), sorted(given.rows), "{}", view.name);
        }
        // A copy has them, and keeps its own if these are made from more.
        let folder = tempfile::tempdir().expect("a folder");
        let address = f.another(&folder).await;
        let copy = Store::open(&address).await.expect("opens");
        f.store.copy_to(&copy, None).await.expect("copied");
        assert_eq!(query(&copy, frontier).await, expected);
        let gaps = "SELECT strategy, gap, multiplier, censored, stale FROM gaps";
        let gap = [Cell::Text("late".into()), Cell::Real(-0.25), Cell::Real(2.0), Cell::Text("above".into())];
        assert_eq!(query(&copy, gaps).await, [[&gap[..], &[Cell::Integer(0)]].concat()]);
        f.store.record_estimates(&f.sweep, 5, &Estimates::default()).await.expect("written");
        assert!(f.query(gaps).await.is_empty());
        f.store.copy_to(&copy, None).await.expect("copied");
        assert_eq!(query(&copy, frontier).await, expected);
        // Fewer trials than the database has: stale.
        try_execute(&address, "UPDATE gap_estimate SET trials = 5").await.expect("changed");
        assert_eq!(query(&copy, gaps).await, [[&gap[..], &[Cell::Integer(1)]].concat()]);
        // They go with their sweep.
        copy.detach(&f.sweep, &|_| false).await.expect("detached");
        while copy.remove_some(&mut |_| true).await.expect("removed") > 0 {}
        copy.remove_row(&f.sweep).await.expect("removed");
        let left = "SELECT (SELECT count(*) FROM sweep) + (SELECT count(*) FROM gap_estimate) + (SELECT count(*) FROM frontier_estimate) AS n";
        assert_eq!(query(&copy, left).await, [[Cell::Integer(0)]]);
        copy.record_estimates(&f.sweep, 6, &estimates).await.expect("nothing is left to write for");
        assert_eq!(query(&copy, left).await, [[Cell::Integer(0)]]);
    }

    async fn what_was_trained_apart_is_not_mixed(f: Fixture) {
        let others = Fixture::file().await;
        for (fixture, pid) in [(&f, 1), (&others, 2)] {
            let claim = fixture.claim(pid).await.expect("a trial");
            fixture.record(&claim, &[step(1, f64::from(pid))]).await.expect("recorded");
        }
        let before = others.query("SELECT loss FROM step_metric").await;
        assert!(matches!(f.store.copy_to(&others.store, None).await, Err(StoreError::Conflict { .. })));
        assert_eq!(before, others.query("SELECT loss FROM step_metric").await);
    }

    async fn many_open_and_migrate_at_once(f: Fixture) {
        let folder = tempfile::tempdir().expect("a folder");
        let address = f.another(&folder).await;
        let tasks: Vec<_> = (0..8)
            .map(|_| {
                let address = address.clone();
                tokio::spawn(async move { Store::open(&address).await.map(drop) })
            })
            .collect();
        for task in tasks {
            task.await.expect("a task").expect("opened");
        }
    }
}

/// A database as an outgrow of before the first release left it after these migrations.
async fn unreleased(address: &str, versions: &[i64]) {
    let (head, when, bytes) = match address.contains("://") {
        true => ("", "TIMESTAMPTZ NOT NULL DEFAULT now()", "BYTEA"),
        false => (
            "PRAGMA application_id = 1870099319;",
            "TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP",
            "BLOB",
        ),
    };
    let tables = format!(
        "{head} CREATE TABLE trial (number BIGINT PRIMARY KEY);
         CREATE TABLE growth_event (trial BIGINT REFERENCES trial (number));
         INSERT INTO trial VALUES (1);
         CREATE TABLE _sqlx_migrations (version BIGINT PRIMARY KEY, description TEXT NOT NULL,
           installed_on {when}, success BOOLEAN NOT NULL, checksum {bytes} NOT NULL,
           execution_time BIGINT NOT NULL)"
    );
    execute(address, &tables).await;
    for version in versions {
        let done = format!(
            "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
             VALUES ({version}, 'initial', true, '', 0)"
        );
        execute(address, &done).await;
    }
}

#[tokio::test]
async fn files_of_others_are_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("a.db").display().to_string();
    assert!(matches!(Store::open_read_only(&path).await, Err(StoreError::Missing(_))));
    std::fs::write(
        &path,
        "this is a text, and a long one, not a database at all; really not, it goes on and on and \
         on",
    )
    .expect("written");
    assert!(matches!(Store::open(&path).await, Err(StoreError::Foreign(_))));
    std::fs::remove_file(&path).expect("removed");
    let pool = sqlx::SqlitePool::connect(&format!("sqlite:{path}?mode=rwc"))
        .await
        .expect("another's database");
    sqlx::query("CREATE TABLE bookmarks (url TEXT)").execute(&pool).await.expect("a table");
    pool.close().await;
    assert!(matches!(Store::open(&path).await, Err(StoreError::Foreign(_))));
    assert!(matches!(Store::open("mysql://x/y").await, Err(StoreError::Address(_))));
    let nowhere = folder.path().join("no/such/folder/a.db").display().to_string();
    let error = Store::open(&nowhere).await.expect_err("no folder").to_string();
    assert!(error.contains("is its folder there"), "{error}");
}

/// A sweep of two plans from one architecture, and the trial that both begin as.
async fn two_that_begin_alike(f: Fixture) -> (Fixture, Claim) {
    let text = include_str!("../../outgrow-cli/tests/sweep.toml")
        .replace("replicates = 2", "replicates = 1")
        .replace("{ kind = \"from_scratch\" }, ", "")
        .replace(
            "plans = 1, max_stages = 3, grow_between = [0.1, 0.6]",
            "plans = 2, max_stages = 3, grow_between = [0.2, 0.6]",
        );
    let sweep = Sweep::parse(&text).unwrap_or_else(|error| panic!("{error}"));
    let members = sweep.members("d").expect("members");
    let inserted = f.store.insert_sweep(&sweep, "d", &members, false).await.expect("inserted");
    assert_eq!(inserted.trials, 2);
    let f = Fixture { sweep: inserted.sweep, ..f };
    let first = f.claim(1).await.expect("the first");
    assert!(first.begin.is_none() && first.snapshots.len() == 1, "{:?}", first.snapshots);
    (f, first)
}
