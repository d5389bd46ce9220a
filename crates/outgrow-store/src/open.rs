use std::{path::Path, time::Duration};

use sqlx::{
    Row, Sqlite, SqlitePool, Transaction,
    migrate::Migrator,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

use crate::StoreError;

static MIGRATIONS: Migrator = sqlx::migrate!("../../migrations/sqlite");
/// What `PRAGMA application_id` says in a file of ours: "ougw".
const APPLICATION_ID: i64 = 1_870_099_319;
/// Writers wait this long for each other; a batch takes milliseconds.
const BUSY_TIMEOUT: Duration = Duration::from_secs(60);

/// An open results database. Clones share its connections.
#[derive(Clone, Debug)]
pub struct Store {
    pub(crate) pool: SqlitePool,
}

impl Store {
    /// Opens a database for writing; creates it, or brings its schema up to date.
    ///
    /// # Errors
    /// If it can't be opened or written, belongs to another program, or was written by a newer outgrow.
    pub async fn open(path: &str) -> Result<Self, StoreError> {
        let options = options(path)?.create_if_missing(true).journal_mode(SqliteJournalMode::Wal);
        let store = Self::connect(path, options.synchronous(SqliteSynchronous::Full)).await?;
        store.check_owner(path).await?;
        MIGRATIONS.run(&store.pool).await.map_err(|error| match error {
            sqlx::migrate::MigrateError::Execute(error) => open_error(path, error),
            other => other.into(),
        })?;
        Ok(store)
    }

    /// Opens a database for reading only.
    ///
    /// # Errors
    /// If it does not exist, can't be read, belongs to another program, or was written by a newer outgrow.
    pub async fn open_read_only(path: &str) -> Result<Self, StoreError> {
        let options = options(path)?;
        if !Path::new(path.trim_start_matches("sqlite:")).exists() {
            return Err(StoreError::Missing(path.into()));
        }
        let store = Self::connect(path, options.read_only(true)).await?;
        let (found, known) = store.check_owner(path).await?;
        if found < known {
            store.close().await;
            return Self::updated(path, found, known).await;
        }
        Ok(store)
    }

    /// Brings an older database up to date before it is read: the views that readers ask for are those of this version.
    async fn updated(path: &str, found: i64, known: i64) -> Result<Self, StoreError> {
        let older = |error: StoreError| StoreError::Older { path: path.into(), found, known, error: error.to_string() };
        Self::open(path).await.map_err(older)?.close().await;
        Self::connect(path, options(path)?.read_only(true)).await
    }

    async fn connect(path: &str, options: SqliteConnectOptions) -> Result<Self, StoreError> {
        let options = options.busy_timeout(BUSY_TIMEOUT).foreign_keys(true);
        let pool = SqlitePoolOptions::new().max_connections(4).connect_with(options).await;
        Ok(Self { pool: pool.map_err(|error| open_error(path, error))? })
    }

    /// The schema version of the file (0: nothing is in it), and the newest one known.
    async fn check_owner(&self, path: &str) -> Result<(i64, i64), StoreError> {
        let number = |sql: &'static str| async move {
            let row = sqlx::query(sql).fetch_one(&self.pool).await.map_err(|error| open_error(path, error))?;
            Ok::<i64, StoreError>(row.try_get(0)?)
        };
        let known = MIGRATIONS.iter().map(|migration| migration.version).max().unwrap_or(0);
        let tables = number("SELECT count(*) FROM sqlite_schema").await?;
        if tables == 0 {
            return Ok((0, known));
        }
        if number("PRAGMA application_id").await? != APPLICATION_ID {
            return Err(StoreError::Foreign(path.into()));
        }
        let found = number("SELECT coalesce(max(version), 0) FROM _sqlx_migrations").await?;
        if found > known { Err(StoreError::Newer { path: path.into(), found, known }) } else { Ok((found, known)) }
    }

    /// Begins a transaction that will write.
    pub(crate) async fn write(&self) -> Result<Transaction<'static, Sqlite>, StoreError> {
        Ok(self.pool.begin_with("BEGIN IMMEDIATE").await?)
    }

    /// Closes all connections, so that SQLite folds its log into the file.
    pub async fn close(self) {
        self.pool.close().await;
    }
}

fn options(path: &str) -> Result<SqliteConnectOptions, StoreError> {
    match path.split_once(':') {
        Some(("sqlite", file)) => Ok(SqliteConnectOptions::new().filename(file)),
        Some((scheme, rest)) if rest.starts_with("//") => Err(StoreError::Unsupported(format!("{scheme}://..."))),
        _ => Ok(SqliteConnectOptions::new().filename(path)),
    }
}

fn open_error(path: &str, error: sqlx::Error) -> StoreError {
    let text = error.to_string();
    if text.contains("file is not a database") {
        return StoreError::Foreign(path.into());
    }
    let hint = match &text {
        t if t.contains("unable to open") => "; is its folder there, and may you write to it?",
        t if t.contains("readonly") => "; the file or its folder is read-only",
        t if t.contains("disk is full") => "; the disk is full",
        _ => "",
    };
    StoreError::Open { path: path.into(), error, hint }
}

/// Unix seconds now.
pub(crate) fn now() -> f64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}
