use thiserror::Error;

/// Why the database did not do what it was asked.
#[derive(Debug, Error)]
pub enum StoreError {
    /// The file belongs to another program.
    #[error("{0} is a database of another program; name a file of outgrow's, or one that does not exist yet")]
    Foreign(String),
    /// The file was written by a newer outgrow.
    #[error(
        "{path} has schema version {found}, this outgrow knows up to {known}; use the outgrow that wrote it, or a newer one"
    )]
    Newer {
        /// Which file.
        path: String,
        /// Its version.
        found: i64,
        /// Ours.
        known: i64,
    },
    /// The file was written by an older outgrow and can't be brought up to date.
    #[error(
        "{path} has schema version {found} and must be brought up to {known} before it is read, but can't be written: {error}"
    )]
    Older {
        /// Which file.
        path: String,
        /// Its version.
        found: i64,
        /// Ours.
        known: i64,
        /// Why not.
        error: String,
    },
    /// There is no such file, and it was to be read only.
    #[error("there is no database {0}; `outgrow run` creates one (--db or OUTGROW_DB names it)")]
    Missing(String),
    /// A URL of a kind that this build does not serve.
    #[error("`{0}` is no database that this outgrow opens; give a path to a SQLite file")]
    Unsupported(String),
    /// The file can't be opened or written.
    #[error("cannot open the database {path}: {error}{hint}")]
    Open {
        /// Which file.
        path: String,
        /// Why not.
        error: sqlx::Error,
        /// What to do.
        hint: &'static str,
    },
    /// No sweep answers to that name.
    #[error("there is no sweep `{wanted}` in the database; there is {known}")]
    NoSweep {
        /// What was asked for.
        wanted: String,
        /// What there is.
        known: String,
    },
    /// The trial belongs to another attempt now; nothing was written.
    #[error("the trial was taken over by another worker; nothing of this attempt was written after that")]
    Fenced,
    /// A stored value is not what it should be.
    #[error("the database holds an invalid {what}: {error}")]
    Corrupt {
        /// What kind of value.
        what: &'static str,
        /// Why it is invalid.
        error: String,
    },
    /// The user's own query failed.
    #[error("the query failed: {0}")]
    Query(String),
    /// Anything else.
    #[error("database: {0}")]
    Sql(#[from] sqlx::Error),
    /// The schema can't be brought up to date.
    #[error("database schema: {0}")]
    Migrate(#[from] sqlx::migrate::MigrateError),
}
