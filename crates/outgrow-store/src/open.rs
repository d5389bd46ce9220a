use std::{path::Path, time::Duration};

use outgrow_failpoint::Point;
use sqlx::{
    ConnectOptions, Connection, PgConnection, SqliteConnection,
    migrate::{MigrateError, Migrator},
    postgres::{PgConnectOptions, PgPoolOptions},
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

use crate::{
    StoreError,
    address::Address,
    driver::{Pool, Tx},
    identity::{Identity, log_bytes},
};

static SQLITE: Migrator = sqlx::migrate!("../../migrations/sqlite");
static POSTGRES: Migrator = sqlx::migrate!("../../migrations/postgres");
/// What `PRAGMA application_id` says in a file of ours: "ougw".
pub(crate) const APPLICATION_ID: i64 = 1_870_099_319;
/// Writers of a file wait this long for each other; a batch takes milliseconds.
const BUSY_TIMEOUT: Duration = Duration::from_secs(60);
/// A server that does not answer for so long is away.
pub(crate) const ANSWER_TIMEOUT: Duration = Duration::from_secs(3);
/// Connections of one process.
const CONNECTIONS: u32 = 4;

/// An open results database: a SQLite file, or a PostgreSQL server's. Clones share its connections.
#[derive(Clone, Debug)]
pub struct Store {
    pub(crate) pool: Pool,
    pub(crate) identity: Identity,
}

impl Store {
    /// Opens a database, a path or a URL, for writing; creates a file, or brings the schema up to
    /// date. Two programs may do so at once.
    ///
    /// # Errors
    /// If it can't be opened or written, belongs to another program, or was written by a newer
    /// outgrow.
    pub async fn open(address: &str) -> Result<Self, StoreError> {
        Self::open_to_write(address, true).await
    }

    /// The same, of a database that is there already.
    ///
    /// # Errors
    /// Also if there is none.
    pub async fn open_existing(address: &str) -> Result<Self, StoreError> {
        Self::open_to_write(address, false).await
    }

    async fn open_to_write(address: &str, create: bool) -> Result<Self, StoreError> {
        match Address::parse(address)? {
            Address::File(path) => {
                if matches!(probe_file(&path).await?, None | Some(0)) && !create {
                    return Err(StoreError::Missing(path));
                }
                let options = file(&path).synchronous(SqliteSynchronous::Full);
                migrate_file(&path, &options.clone().create_if_missing(create)).await?;
                let mut anchor = connect_file(&path, &options).await?;
                file_version(&mut anchor, &path).await?;
                Self::of_file(&path, options, Identity::of_file(&path, anchor)?).await
            }
            Address::Server(url) => {
                let options = server(&url)?;
                if !create && probe_server(address, &options).await? == 0 {
                    return Err(StoreError::Missing(Address::shown(address)));
                }
                migrate_server(address, &options).await?;
                Self::of_server(address, options).await
            }
        }
    }

    /// Opens a database for reading only; it is not changed, nor brought up to date. A file in a
    /// folder that can't be written is taken for one that nobody writes.
    ///
    /// # Errors
    /// If it does not exist, can't be read, belongs to another program, or was written by an older
    /// or a newer outgrow.
    pub async fn open_read_only(address: &str) -> Result<Self, StoreError> {
        match Address::parse(address)? {
            Address::File(path) => {
                regular(&path)?.ok_or_else(|| StoreError::Missing(path.clone()))?;
                let Quiet { options, immutable } = quiet(&path);
                let anchor = readable(&path, &options).await?;
                let identity = match immutable {
                    true => Identity::of_immutable(&path)?,
                    false => Identity::of_file(&path, anchor)?,
                };
                // By the same options: whichever of its connections is closed last takes away what
                // they made.
                Self::of_file(&path, options, identity).await
            }
            Address::Server(url) => {
                let options = server(&url)?.options([("default_transaction_read_only", "on")]);
                up_to_date(
                    probe_server(address, &options).await?,
                    &POSTGRES,
                    &Address::shown(address),
                )?;
                Self::of_server(address, options).await
            }
        }
    }

    /// The schema version of a database, 0 if nothing is in it, none if there is no such file.
    /// Changes nothing, and leaves nothing behind.
    ///
    /// # Errors
    /// If it can't be read, belongs to another program, or was written by a newer outgrow.
    pub async fn probe(address: &str) -> Result<Option<i64>, StoreError> {
        match Address::parse(address)? {
            Address::File(path) => probe_file(&path).await,
            Address::Server(url) => probe_server(address, &server(&url)?).await.map(Some),
        }
    }

    async fn of_file(
        path: &str,
        options: SqliteConnectOptions,
        identity: Identity,
    ) -> Result<Self, StoreError> {
        let pool = SqlitePoolOptions::new()
            .max_connections(CONNECTIONS)
            .idle_timeout(None)
            .max_lifetime(None);
        let pool = pool.connect_with(options).await;
        Ok(Self { pool: Pool::Sqlite(pool.map_err(|error| open_error(path, error))?), identity })
    }

    async fn of_server(address: &str, options: PgConnectOptions) -> Result<Self, StoreError> {
        let pool =
            PgPoolOptions::new().max_connections(CONNECTIONS).acquire_timeout(ANSWER_TIMEOUT);
        let pool = pool.connect_with(options).await;
        let pool = Pool::Postgres(pool.map_err(|error| open_error(address, error))?);
        let identity =
            Identity::of_server(Address::shown(address), &mut pool.read().await?).await?;
        Ok(Self { pool, identity })
    }

    /// Begins a transaction that will write.
    pub(crate) async fn write(&self) -> Result<Tx, StoreError> {
        self.identity.check_files()?;
        self.begun(self.pool.write().await).await
    }

    /// Begins a transaction that reads one state of the database.
    pub(crate) async fn read(&self) -> Result<Tx, StoreError> {
        self.identity.check_files()?;
        self.begun(self.pool.read().await).await
    }

    /// A transaction on the database that was opened, and on no other that has taken its place
    /// since it was looked for.
    async fn begun(&self, tx: Result<Tx, StoreError>) -> Result<Tx, StoreError> {
        // Where it can't begin, that may be why.
        self.identity.check_files()?;
        let mut tx = tx?;
        self.identity.check(&mut tx).await?;
        Ok(tx)
    }

    /// Closes all connections, so that SQLite folds its log into the file.
    pub async fn close(self) {
        self.pool.close().await;
        self.identity.close().await;
    }
}

/// A connection to a file that readers of this version know.
async fn readable(
    path: &str,
    options: &SqliteConnectOptions,
) -> Result<SqliteConnection, StoreError> {
    let mut connection = connect_file(path, options).await?;
    match file_version(&mut connection, path)
        .await
        .and_then(|found| up_to_date(found, &SQLITE, path))
    {
        Ok(()) => Ok(connection),
        Err(error) => {
            // It takes away what it made beside the file before anybody is told.
            let _ = connection.close().await;
            Err(error)
        }
    }
}

/// The schema version of a file; none if it is not there.
async fn probe_file(path: &str) -> Result<Option<i64>, StoreError> {
    if regular(path)?.is_none() {
        return Ok(None);
    }
    let mut connection = connect_file(path, &quiet(path).options).await?;
    let version = file_version(&mut connection, path).await;
    connection.close().await.map_err(|error| open_error(path, error))?;
    version.map(Some)
}

/// The schema version of a server's database.
async fn probe_server(address: &str, options: &PgConnectOptions) -> Result<i64, StoreError> {
    let mut connection = connect_server(address, options).await?;
    let version = server_version(&mut connection, address).await?;
    connection.close().await?;
    Ok(version)
}

/// Whether there is a file; none if not.
fn regular(path: &str) -> Result<Option<()>, StoreError> {
    match std::fs::metadata(path) {
        Ok(found) if found.is_file() => Ok(Some(())),
        Ok(found) if found.is_dir() => Err(StoreError::Address(format!(
            "{path} is a folder; name a file in it, as {}/outgrow.db",
            path.trim_end_matches('/')
        ))),
        Ok(_) => Err(StoreError::Address(format!("{path} is no regular file"))),
        // Why it can't be had, SQLite says when it is opened.
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => Ok(Some(())),
        Err(_) => Ok(None),
    }
}

/// How to read a file so that nothing stays beside it.
struct Quiet {
    options: SqliteConnectOptions,
    immutable: bool,
}

/// A log that is there stays. Without one, whoever reads makes it: who may write takes it away
/// again, and for others there is none to be made.
fn quiet(path: &str) -> Quiet {
    let file_itself = std::fs::canonicalize(path).unwrap_or_else(|_| path.into());
    let writable = |path: &Path| nix::unistd::access(path, nix::unistd::AccessFlags::W_OK).is_ok();
    match (log_bytes(path), writable(&file_itself) && file_itself.parent().is_none_or(writable)) {
        (None, true) => Quiet { options: file(path).pragma("query_only", "1"), immutable: false },
        (None | Some(0), false) => {
            Quiet { options: only_reading(path).immutable(true), immutable: true }
        }
        _ => Quiet { options: only_reading(path), immutable: false },
    }
}

fn only_reading(path: &str) -> SqliteConnectOptions {
    file(path).read_only(true).pragma("query_only", "1")
}

/// Refuses a schema that readers of this version do not know.
fn up_to_date(found: i64, migrator: &Migrator, path: &str) -> Result<(), StoreError> {
    match (found, newest(migrator)) {
        (0, _) => Err(StoreError::Missing(path.into())),
        (found, known) if found < known => {
            Err(StoreError::Older { path: path.into(), found, known })
        }
        _ => Ok(()),
    }
}

fn newest(migrator: &Migrator) -> i64 {
    migrator.iter().map(|migration| migration.version).max().unwrap_or(0)
}

/// Brings a file up to date under one lock: of two programs that start at once, the second finds
/// the work done.
async fn migrate_file(path: &str, options: &SqliteConnectOptions) -> Result<(), StoreError> {
    let failed = |error: sqlx::Error| open_error(path, error);
    let mut connection = connect_file(path, options).await?;
    if file_version(&mut connection, path).await? < newest(&SQLITE) {
        let mut tx = connection.begin_with("BEGIN IMMEDIATE").await.map_err(failed)?;
        let done = SQLITE.run_direct(None, &mut *tx, false).await;
        done.map_err(|error| match error {
            MigrateError::Execute(error) => open_error(path, error),
            other => other.into(),
        })?;
        Point::CommitSchema.before();
        tx.commit().await.map_err(failed)?;
        Point::CommitSchema.after();
    }
    // The log beside the file outlives this connection, so it is set up once the file is ours.
    let wal = options.clone().journal_mode(SqliteJournalMode::Wal);
    let began = std::time::Instant::now();
    loop {
        match wal.connect().await {
            Ok(connection) => return connection.close().await.map_err(failed),
            // SQLite does not wait here for others that set it up at the same moment.
            Err(error)
                if error.to_string().contains("locked") && began.elapsed() < BUSY_TIMEOUT =>
            {
                std::thread::sleep(Duration::from_millis(20));
            }
            Err(error) => return Err(failed(error)),
        }
    }
}

async fn connect_file(
    path: &str,
    options: &SqliteConnectOptions,
) -> Result<SqliteConnection, StoreError> {
    options.connect().await.map_err(|error| open_error(path, error))
}

/// The schema version of a file; 0 if nothing is in it.
async fn file_version(connection: &mut SqliteConnection, path: &str) -> Result<i64, StoreError> {
    let failed = |error| open_error(path, error);
    let mut number = async |sql: &'static str| {
        sqlx::query_scalar::<_, i64>(sql).fetch_one(&mut *connection).await
    };
    if number("SELECT count(*) FROM sqlite_schema").await.map_err(failed)? == 0 {
        return Ok(0);
    }
    if number("PRAGMA application_id").await.map_err(failed)? != APPLICATION_ID {
        return Err(StoreError::Foreign(path.into()));
    }
    let found =
        number("SELECT coalesce(max(version), 0) FROM _sqlx_migrations").await.map_err(failed)?;
    known(found, newest(&SQLITE), path)
}

/// Brings a server's schema up to date; the migrator takes a lock of the server's.
async fn migrate_server(address: &str, options: &PgConnectOptions) -> Result<(), StoreError> {
    let mut connection = connect_server(address, options).await?;
    if server_version(&mut connection, address).await? < newest(&POSTGRES) {
        let mut tx = connection.begin().await?;
        // One at a time, and all of it or nothing.
        sqlx::query("SELECT pg_advisory_xact_lock($1)")
            .bind(APPLICATION_ID)
            .execute(&mut *tx)
            .await?;
        if server_version(&mut tx, address).await? < newest(&POSTGRES) {
            POSTGRES.run_direct(None, &mut *tx, false).await?;
        }
        Point::CommitSchema.before();
        tx.commit().await?;
        Point::CommitSchema.after();
    }
    Ok(connection.close().await?)
}

async fn connect_server(
    address: &str,
    options: &PgConnectOptions,
) -> Result<PgConnection, StoreError> {
    let connecting = tokio::time::timeout(ANSWER_TIMEOUT, options.connect()).await;
    let connected = connecting.unwrap_or(Err(sqlx::Error::PoolTimedOut));
    connected.map_err(|error| open_error(address, error))
}

/// The version of a server's schema; 0 if there is none yet.
async fn server_version(connection: &mut PgConnection, address: &str) -> Result<i64, StoreError> {
    let mut number = async |sql: &'static str| {
        sqlx::query_scalar::<_, i64>(sql).fetch_one(&mut *connection).await
    };
    let log = "SELECT count(*) FROM pg_tables WHERE schemaname = current_schema() AND tablename = '_sqlx_migrations'";
    let ours = "SELECT count(*) FROM pg_tables WHERE schemaname = current_schema() AND tablename IN ('trial', 'growth_event')";
    if number(log).await? == 0 {
        return Ok(0);
    }
    let found = number("SELECT coalesce(max(version), 0) FROM _sqlx_migrations").await?;
    if found > 0 && number(ours).await? < 2 {
        return Err(StoreError::Foreign(Address::shown(address)));
    }
    known(found, newest(&POSTGRES), &Address::shown(address))
}

fn known(found: i64, known: i64, path: &str) -> Result<i64, StoreError> {
    match found > known {
        true => Err(StoreError::Newer { path: path.into(), found, known }),
        false => Ok(found),
    }
}

fn file(path: &str) -> SqliteConnectOptions {
    SqliteConnectOptions::new().filename(path).busy_timeout(BUSY_TIMEOUT).foreign_keys(true)
}

fn server(url: &str) -> Result<PgConnectOptions, StoreError> {
    // What exactly, the library tells by showing it.
    let odd = |_| {
        StoreError::Address(format!(
            "an option of {} has a value that is not known",
            Address::shown(url)
        ))
    };
    Ok(url.parse::<PgConnectOptions>().map_err(odd)?.application_name("outgrow"))
}

pub(crate) fn open_error(address: &str, error: sqlx::Error) -> StoreError {
    let text = error.to_string();
    if text.contains("file is not a database") {
        return StoreError::Foreign(Address::shown(address));
    }
    let hint = match &text {
        t if t.contains("unable to open") => "; is its folder there, and may you write to it?",
        t if t.contains("readonly") => {
            "; the file or its folder is read-only (a log, -wal, beside it must be written to be read: copy both to a folder of yours)"
        }
        t if t.contains("disk is full") => "; the disk is full",
        t if t.contains("Connection refused") => "; is the server running, and is that its port?",
        t if t.contains("authentication failed") => {
            "; a password goes into PGPASSWORD or ~/.pgpass, or into the URL"
        }
        t if t.contains("database \"") && t.contains("does not exist") => {
            "; `createdb` makes a database"
        }
        _ => "",
    };
    StoreError::Open { path: Address::shown(address), error, hint }
}

/// Unix seconds now.
pub(crate) fn now() -> f64 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0.0, |since| since.as_secs_f64())
}
