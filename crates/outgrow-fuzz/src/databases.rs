//! Addresses, queries, database files, and what waits on disk for a database.

use std::{fs, path::Path, time::Duration};

use outgrow_core::{
    Epoch, Event, Sweep,
    event::{EvalEvent, Position, StepEvent},
};
use outgrow_runner::Spool;
use outgrow_store::{Address, Cell, Store, StoreError, VIEWS};
use tempfile::TempDir;
use tokio::{runtime::Runtime, time::timeout};

/// A password where a URL of a server has it.
const PASSWORDS: [&str; 2] = [":s3cret", "?password=s3cret"];

pub(crate) fn address(input: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(input) else { return false };
    let address = Address::parse(text);
    let said = match &address {
        Ok(address) => [Address::shown(text), address.name().to_owned()].concat(),
        Err(error) => error.to_string(),
    };
    let is_server = ["postgres:", "postgresql:"].iter().any(|scheme| text.starts_with(scheme));
    for password in PASSWORDS.iter().filter(|_| is_server) {
        assert!(!said.contains(password), "{text} is told as {said}");
    }
    address.is_ok()
}

pub(crate) fn addresses() -> Vec<Vec<u8>> {
    [
        "postgres://me:s3cret@host:5432/db?sslmode=require&password=s3cret",
        "postgresql://[::1]:5432/x?host=%2Frun&application_name=a#b",
        "postgres:me:s3cret@h/db",
        "postgres://me:s3cret",
        "postgres://me%3As3cret@h/db",
        "postgres://me:p@ss/s3cret@host/db",
        "sqlite://some/a.db?mode=ro",
        "sqlite:some/a.db",
        "file:a.db",
        "results/a.db",
        "mysql://me:s3cret@h/db",
    ]
    .map(|text| text.as_bytes().to_vec())
    .to_vec()
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime")
}

/// A database with one small sweep, closed.
async fn make(path: &str) -> Result<(), StoreError> {
    let store = Store::open(path).await?;
    let sweep =
        Sweep::parse(include_str!("../../outgrow-store/tests/sweep.toml")).expect("a sweep");
    store.insert_sweep(&sweep, "d", &sweep.members("d").expect("members"), false).await?;
    store.close().await;
    Ok(())
}

/// A database that is open for reading.
struct Reading {
    store: Store,
    runtime: Runtime,
    _place: TempDir,
}

impl Reading {
    fn new() -> Self {
        let (runtime, place) = (runtime(), tempfile::tempdir().expect("a folder"));
        let path = place.path().join("a.db").display().to_string();
        let store = runtime.block_on(async {
            make(&path).await?;
            Store::open_read_only(&path).await
        });
        Self { store: store.expect("a database"), runtime, _place: place }
    }

    /// The last rows of the answer to a query, if they come soon: who does not wait for more must
    /// be able to ask the next one.
    fn ask(&self, sql: &str, patience: Duration) -> Option<Result<Vec<Vec<Cell>>, StoreError>> {
        let rows = async {
            let mut answer = self.store.ask(sql).await?;
            let mut last = vec![];
            while let Some(rows) = answer.next().await? {
                last = if rows.is_empty() { last } else { rows };
            }
            Ok(last)
        };
        self.runtime.block_on(async { timeout(patience, rows).await }).ok()
    }
}

/// So long an answer is waited for.
const PATIENCE: Duration = Duration::from_millis(300);
/// The next query is answered long before this, however busy the machine is.
const HANGS: Duration = Duration::from_secs(15);

pub(crate) fn query(input: &[u8]) -> bool {
    thread_local!(static READING: Reading = Reading::new());
    let Ok(sql) = std::str::from_utf8(input) else { return false };
    READING.with(|reading| {
        let answer = reading.ask(sql, PATIENCE);
        let sweeps = reading
            .ask("SELECT count(*) FROM trial", HANGS)
            .expect("the next query is answered")
            .expect("trials");
        assert_eq!(sweeps, [[Cell::Integer(6)]], "a query writes nothing");
        answer.is_some_and(|answer| answer.is_ok())
    })
}

pub(crate) fn queries() -> Vec<Vec<u8>> {
    [
        "SELECT strategy, avg(compute_saving) FROM speedups GROUP BY 1",
        "SELECT json_extract(definition, '$.seed'), t.* FROM trial t ORDER BY random() LIMIT 5",
        "SELECT 1.5, 'text', x'00ff', NULL, 1e400, 1 AS a, 2 AS a FROM sweep",
        "DELETE FROM member; DROP TABLE trial; INSERT INTO sweep VALUES (1, 2, 3, 4, 5)",
        "PRAGMA integrity_check",
        "SELECT 1; SELECT 2, 3 -- more",
        "COMMIT; VACUUM INTO 'x.db'",
        "ATTACH 'y.db' AS y",
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 9) SELECT i, /* c \
         */ ?1, $a FROM n",
        "SELECT length(spec), substr(spec, 1, 10), hex(zeroblob(20)) FROM sweep",
        "EXPLAIN QUERY PLAN SELECT * FROM finals JOIN curves USING (trial)",
        "VALUES (1, 'a'), (2, 'b')",
    ]
    .map(|text| text.as_bytes().to_vec())
    .to_vec()
}

/// A small database, as a file, and what opens it.
struct Patched {
    bytes: Vec<u8>,
    runtime: Runtime,
    place: TempDir,
}

impl Patched {
    fn new() -> Self {
        let (runtime, place) = (runtime(), tempfile::tempdir().expect("a folder"));
        let path = place.path().join("a.db");
        runtime.block_on(make(&path.display().to_string())).expect("a database");
        Self { bytes: fs::read(path).expect("read"), runtime, place }
    }

    /// Reads all that there is in the database with these bytes changed; four of the input are a
    /// place and what stands there.
    fn is_read(&self, input: &[u8]) -> bool {
        let mut bytes = self.bytes.clone();
        for change in input.as_chunks::<4>().0 {
            let at = usize::from_le_bytes([change[0], change[1], change[2], 0, 0, 0, 0, 0]);
            let length = bytes.len();
            bytes[at % length] = change[3];
        }
        let path = self.place.path().join("b.db");
        for ending in ["db-wal", "db-shm", "db-journal"] {
            let _ = fs::remove_file(path.with_extension(ending));
        }
        fs::write(&path, bytes).expect("written");
        self.runtime.block_on(read_all(&path)).is_ok()
    }
}

async fn read_all(path: &Path) -> Result<(), StoreError> {
    let store = Store::open_read_only(&path.display().to_string()).await?;
    let read = async {
        for sweep in store.sweeps().await? {
            store.status(&sweep.id).await?;
            store.report_rows(&sweep.id).await?;
        }
        for view in &VIEWS {
            store.view(view, None).await?;
        }
        Ok(())
    };
    let read = read.await;
    store.close().await;
    read
}

pub(crate) fn database(input: &[u8]) -> bool {
    thread_local!(static PATCHED: Patched = Patched::new());
    PATCHED.with(|patched| patched.is_read(input))
}

pub(crate) fn databases() -> Vec<Vec<u8>> {
    // Nothing is changed; the magic, the page size, the journal's mode, the application's number
    // are.
    vec![
        vec![],
        vec![0, 0, 0, 0],
        vec![16, 0, 0, 1],
        vec![18, 0, 0, 1, 19, 0, 0, 1],
        vec![68, 0, 0, 0],
    ]
}

/// The events of one batch: `input` is its body, whose length and digest are right.
pub(crate) fn spool(input: &[u8]) -> bool {
    thread_local!(static PLACE: TempDir = tempfile::tempdir().expect("a folder"));
    PLACE.with(|place| {
        let path = place.path().join("spool-1");
        let digest = blake3::hash(input);
        let length = (input.len() as u64).to_le_bytes();
        fs::write(&path, [&length[..], &digest.as_bytes()[..8], input].concat()).expect("written");
        !Spool::read(&path).batches.is_empty()
    })
}

pub(crate) fn spools() -> Vec<Vec<u8>> {
    let at = Position { step: 3, tokens: 96, train_flops: 1 << 40, wall_seconds: 0.1 };
    let step = Event::Step(StepEvent {
        at,
        loss: f64::NAN,
        learning_rate: 1e-3,
        gradient_norm: f64::INFINITY,
    });
    let evaluation = Event::Eval(EvalEvent { at, val_loss: 1.0 / 3.0, last: true });
    let place = tempfile::tempdir().expect("a folder");
    let mut spool = Spool::new(place.path(), Epoch(1));
    spool.add(1, &[step, evaluation]).expect("written");
    vec![fs::read(spool.path()).expect("read")[16..].to_vec()]
}
