//! Databases, opened.

use sqlx::{
    Connection, SqliteConnection,
    postgres::{PgConnectOptions, PgPoolOptions},
    sqlite::{SqliteConnectOptions, SqlitePoolOptions, SqliteSynchronous},
};

use crate::{
    StoreError,
    address::Address,
    connect::{
        ANSWER_TIMEOUT, Quiet, connect_file, connect_server, file, open_error, quiet_or_full,
        regular, server,
    },
    driver::{Pool, Tx},
    identity::Identity,
    migrations::{
        POSTGRES, SQLITE, file_version, migrate_file, migrate_server, server_version, up_to_date,
    },
};

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
                migrate_file(&path, &options.clone().create_if_missing(create), &SQLITE).await?;
                let mut anchor = connect_file(&path, &options).await?;
                file_version(&mut anchor, &path, &SQLITE).await?;
                Self::of_file(&path, options, Identity::of_file(&path, anchor)?).await
            }
            Address::Server(url) => {
                let options = server(&url)?;
                if !create && probe_server(address, &options).await? == 0 {
                    return Err(StoreError::Missing(Address::shown(address)));
                }
                migrate_server(address, &options, &POSTGRES).await?;
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
                let Quiet { options, immutable } = quiet_or_full(&path).await;
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
    match file_version(&mut connection, path, &SQLITE)
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
    let mut connection = connect_file(path, &quiet_or_full(path).await.options).await?;
    let version = file_version(&mut connection, path, &SQLITE).await;
    connection.close().await.map_err(|error| open_error(path, error))?;
    version.map(Some)
}

/// The schema version of a server's database.
async fn probe_server(address: &str, options: &PgConnectOptions) -> Result<i64, StoreError> {
    let mut connection = connect_server(address, options).await?;
    let version = server_version(&mut connection, address, &POSTGRES).await?;
    connection.close().await?;
    Ok(version)
}

/// Unix seconds now.
pub(crate) fn now() -> f64 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0.0, |since| since.as_secs_f64())
}
