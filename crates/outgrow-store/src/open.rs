use std::{path::Path, time::Duration};

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
};

static SQLITE: Migrator = sqlx::migrate!("../../migrations/sqlite");
static POSTGRES: Migrator = sqlx::migrate!("../../migrations/postgres");
/// What `PRAGMA application_id` says in a file of ours: "ougw".
pub(crate) const APPLICATION_ID: i64 = 1_870_099_319;
/// Writers of a file wait this long for each other; a batch takes milliseconds.
const BUSY_TIMEOUT: Duration = Duration::from_secs(60);
/// A server that does not answer for so long is away.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(3);
/// Connections of one process.
const CONNECTIONS: u32 = 4;

/// An open results database: a SQLite file, or a PostgreSQL server's. Clones share its connections.
#[derive(Clone, Debug)]
pub struct Store {
    pub(crate) pool: Pool,
}

impl Store {
    /// Opens a database, a path or a URL, for writing; creates a file, or brings the schema up to date. Two programs may do so at once.
    ///
    /// # Errors
    /// If it can't be opened or written, belongs to another program, or was written by a newer outgrow.
    pub async fn open(address: &str) -> Result<Self, StoreError> {
        match Address::parse(address)? {
            Address::File(path) => {
                let options = file(&path).create_if_missing(true).synchronous(SqliteSynchronous::Full);
                migrate_file(&path, &options).await?;
                Self::of_file(&path, options).await
            }
            Address::Server(url) => {
                let options = server(&url)?;
                migrate_server(address, &options).await?;
                Self::of_server(address, options).await
            }
        }
    }

    /// Opens a database for reading only. An older one is brought up to date first: the views that readers ask for are those of this
    /// version.
    ///
    /// # Errors
    /// If it does not exist, can't be read, belongs to another program, or was written by a newer outgrow.
    pub async fn open_read_only(address: &str) -> Result<Self, StoreError> {
        let parsed = Address::parse(address)?;
        let (found, known) = match &parsed {
            Address::File(path) if !Path::new(path).exists() => return Err(StoreError::Missing(path.clone())),
            Address::File(path) => {
                let mut connection = connect_file(path, &file(path).read_only(true)).await?;
                (file_version(&mut connection, path).await?, newest(&SQLITE))
            }
            Address::Server(url) => {
                let mut connection = connect_server(address, &server(url)?).await?;
                let found = server_version(&mut connection, address).await?;
                connection.close().await?;
                (found, newest(&POSTGRES))
            }
        };
        if found == 0 && matches!(parsed, Address::Server(_)) {
            return Err(StoreError::Missing(parsed.to_string()));
        }
        if found < known {
            let older = |error: StoreError| {
                let (path, error) = (parsed.to_string(), error.to_string());
                StoreError::Older { path, found, known, error }
            };
            Self::open(address).await.map_err(older)?.close().await;
        }
        match &parsed {
            Address::File(path) => Self::of_file(path, file(path).read_only(true)).await,
            Address::Server(url) => {
                let options = server(url)?.options([("default_transaction_read_only", "on")]);
                Self::of_server(address, options).await
            }
        }
    }

    async fn of_file(path: &str, options: SqliteConnectOptions) -> Result<Self, StoreError> {
        let pool = SqlitePoolOptions::new().max_connections(CONNECTIONS).connect_with(options).await;
        Ok(Self { pool: Pool::Sqlite(pool.map_err(|error| open_error(path, error))?) })
    }

    async fn of_server(address: &str, options: PgConnectOptions) -> Result<Self, StoreError> {
        let pool = PgPoolOptions::new().max_connections(CONNECTIONS).acquire_timeout(ANSWER_TIMEOUT);
        let pool = pool.connect_with(options).await;
        Ok(Self { pool: Pool::Postgres(pool.map_err(|error| open_error(address, error))?) })
    }

    /// Begins a transaction that will write.
    pub(crate) async fn write(&self) -> Result<Tx, StoreError> {
        self.pool.write().await
    }

    /// Begins a transaction that reads one state of the database.
    pub(crate) async fn read(&self) -> Result<Tx, StoreError> {
        self.pool.read().await
    }

    /// Closes all connections, so that SQLite folds its log into the file.
    pub async fn close(self) {
        self.pool.close().await;
    }
}

fn newest(migrator: &Migrator) -> i64 {
    migrator.iter().map(|migration| migration.version).max().unwrap_or(0)
}

/// Brings a file up to date under one lock: of two programs that start at once, the second finds the work done.
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
        tx.commit().await.map_err(failed)?;
    }
    // The log beside the file outlives this connection, so it is set up once the file is ours.
    let wal = options.clone().journal_mode(SqliteJournalMode::Wal);
    let began = std::time::Instant::now();
    loop {
        match wal.connect().await {
            Ok(connection) => return connection.close().await.map_err(failed),
            // SQLite does not wait here for others that set it up at the same moment.
            Err(error) if error.to_string().contains("locked") && began.elapsed() < BUSY_TIMEOUT => {
                std::thread::sleep(Duration::from_millis(20));
            }
            Err(error) => return Err(failed(error)),
        }
    }
}

async fn connect_file(path: &str, options: &SqliteConnectOptions) -> Result<SqliteConnection, StoreError> {
    options.connect().await.map_err(|error| open_error(path, error))
}

/// The schema version of a file; 0 if nothing is in it.
async fn file_version(connection: &mut SqliteConnection, path: &str) -> Result<i64, StoreError> {
    let failed = |error| open_error(path, error);
    let mut number = async |sql: &'static str| sqlx::query_scalar::<_, i64>(sql).fetch_one(&mut *connection).await;
    if number("SELECT count(*) FROM sqlite_schema").await.map_err(failed)? == 0 {
        return Ok(0);
    }
    if number("PRAGMA application_id").await.map_err(failed)? != APPLICATION_ID {
        return Err(StoreError::Foreign(path.into()));
    }
    let found = number("SELECT coalesce(max(version), 0) FROM _sqlx_migrations").await.map_err(failed)?;
    known(found, newest(&SQLITE), path)
}

/// Brings a server's schema up to date; the migrator takes a lock of the server's.
async fn migrate_server(address: &str, options: &PgConnectOptions) -> Result<(), StoreError> {
    let mut connection = connect_server(address, options).await?;
    if server_version(&mut connection, address).await? < newest(&POSTGRES) {
        POSTGRES.run_direct(None, &mut connection, false).await?;
    }
    Ok(connection.close().await?)
}

async fn connect_server(address: &str, options: &PgConnectOptions) -> Result<PgConnection, StoreError> {
    let connecting = tokio::time::timeout(ANSWER_TIMEOUT, options.connect()).await;
    let connected = connecting.unwrap_or(Err(sqlx::Error::PoolTimedOut));
    connected.map_err(|error| open_error(address, error))
}

/// The version of a server's schema; 0 if there is none yet.
async fn server_version(connection: &mut PgConnection, address: &str) -> Result<i64, StoreError> {
    let mut number = async |sql: &'static str| sqlx::query_scalar::<_, i64>(sql).fetch_one(&mut *connection).await;
    let log = "SELECT count(*) FROM pg_tables WHERE schemaname = current_schema() AND tablename = '_sqlx_migrations'";
    let ours =
        "SELECT count(*) FROM pg_tables WHERE schemaname = current_schema() AND tablename IN ('trial', 'growth_event')";
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
    let options: PgConnectOptions = url.parse().map_err(|error| open_error(url, error))?;
    Ok(options.application_name("outgrow"))
}

pub(crate) fn open_error(address: &str, error: sqlx::Error) -> StoreError {
    let text = error.to_string();
    if text.contains("file is not a database") {
        return StoreError::Foreign(Address::shown(address));
    }
    let hint = match &text {
        t if t.contains("unable to open") => "; is its folder there, and may you write to it?",
        t if t.contains("readonly") => "; the file or its folder is read-only",
        t if t.contains("disk is full") => "; the disk is full",
        t if t.contains("Connection refused") => "; is the server running, and is that its port?",
        t if t.contains("authentication failed") => "; a password goes into PGPASSWORD or ~/.pgpass, or into the URL",
        t if t.contains("database \"") && t.contains("does not exist") => "; `createdb` makes a database",
        _ => "",
    };
    StoreError::Open { path: Address::shown(address), error, hint }
}

/// Unix seconds now.
pub(crate) fn now() -> f64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}
