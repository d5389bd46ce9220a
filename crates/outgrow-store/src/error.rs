use thiserror::Error;

use crate::refusal::{is_refusal, told};

/// Why the database did not do what it was asked.
#[derive(Debug, Error)]
#[allow(missing_docs)]
pub enum StoreError {
    /// The file belongs to another program.
    #[error(
        "{0} is a database of another program; name a file of outgrow's, or one that does not \
         exist yet"
    )]
    Foreign(String),
    /// The file was written by a newer outgrow.
    #[error(
        "{path} has schema version {found}, this outgrow knows up to {known}; use the outgrow \
         that wrote it, or a newer one"
    )]
    Newer { path: String, found: i64, known: i64 },
    /// The database was written by an older outgrow, and was to be read only.
    #[error(
        "{path} has schema version {found}, this outgrow reads {known}; `outgrow db upgrade` \
         brings it up to date and keeps every row \
         (a command that only shows changes nothing)"
    )]
    Older { path: String, found: i64, known: i64 },
    /// The database was written before the first release.
    #[error(
        "{0} was written by an outgrow from before its first release, whose tables this one does \
         not know; nothing was changed. Run its \
         sweeps again into a new database (--db names it), or export what it holds with the \
         outgrow that wrote it"
    )]
    Unreleased(String),
    /// There is no such file, and it was to be read only.
    #[error("there is no database {0}; `outgrow run` creates one (--db or OUTGROW_DB names it)")]
    Missing(String),
    /// What was typed is no address of a database.
    #[error("{0}")]
    Address(String),
    /// The database is no longer the one that was opened.
    #[error(
        "the database {path} is no longer the one that was opened: {what} was deleted or replaced \
         since; nothing was written to what is \
         there now"
    )]
    Replaced { path: String, what: String },
    /// The file can't be opened or written.
    #[error("cannot open the database {path}: {error}{hint}")]
    Open { path: String, error: sqlx::Error, hint: String },
    /// No sweep answers to that name.
    #[error("there is no sweep `{wanted}` in the database; there is {known}")]
    NoSweep {
        /// What was asked for.
        wanted: String,
        known: String,
    },
    /// Several sweeps answer to it.
    #[error(
        "{sweeps} sweeps in the database answer to `{wanted}`; say which by its identity:{found}"
    )]
    Ambiguous {
        /// What was asked for.
        wanted: String,
        /// How many there are.
        sweeps: usize,
        /// A line for each: identity, date, states, and the fields that differ from the first.
        found: String,
    },
    /// The trial belongs to another attempt now; nothing was written.
    #[error(
        "the trial was taken over by another worker; nothing of this attempt was written after that"
    )]
    Fenced,
    /// Two databases hold different attempts at one trial.
    #[error(
        "trial {trial} was trained in both databases, apart from each other: {theirs} attempts \
         are only in the one to copy from, {ours} only in \
         the one to copy to; copy to a new database, or retrain it in one of them"
    )]
    Conflict {
        trial: String,
        /// Attempts that only the source has.
        theirs: usize,
        /// Attempts that only the destination has.
        ours: usize,
    },
    /// The database does not answer, and there is no time to wait for it.
    #[error("the database does not answer")]
    Away,
    /// A stored value is not what it should be.
    #[error("the database holds an invalid {what}: {error}")]
    Corrupt {
        /// What kind of value.
        what: &'static str,
        /// Why it is invalid.
        error: String,
    },
    /// A row is not what was written.
    #[error(
        "the database is damaged: in {table}, the row {key} of trial number {trial} is not what \
         was written; `outgrow db check` says what else is \
         wrong, `outgrow db repair` mends it"
    )]
    Changed { table: &'static str, trial: i64, key: i64 },
    /// Complete trials lack their result.
    #[error(
        "the database is damaged: {trials} complete trials have no last evaluation; `outgrow db \
         check` says what else is wrong, `outgrow db \
         repair` mends it"
    )]
    Incomplete { trials: u64 },
    /// Rows that were to be read back are not those of a database.
    #[error("{0}")]
    Rows(String),
    /// The user's own query failed.
    #[error("the query failed: {0}")]
    Query(String),
    /// The database can't be read while it is asked.
    #[error("the database can't be read: {0}")]
    Reading(String),
    /// Anything else.
    #[error("database: {}", told(.0))]
    Sql(#[from] sqlx::Error),
    /// The schema can't be brought up to date.
    #[error("database schema: {0}")]
    Migrate(#[from] sqlx::migrate::MigrateError),
}

/// What PostgreSQL says when it was stopped, is starting, has no connection left, or undid a
/// transaction in favour of another.
const PASSING: [&str; 8] = ["57P01", "57P02", "57P03", "53300", "40001", "40P01", "25006", "55P03"];

impl StoreError {
    /// That a stored text is not the JSON that it should be.
    pub(crate) fn corrupt(what: &'static str) -> impl Fn(serde_json::Error) -> Self {
        move |error| StoreError::Corrupt { what, error: error.to_string() }
    }

    /// Whether the system refused a file, a disk or a server: such an error says nothing of what is
    /// in the database.
    pub fn is_refusal(&self) -> bool {
        match self {
            StoreError::Sql(error) | StoreError::Open { error, .. } => is_refusal(error),
            StoreError::Away => true,
            _ => false,
        }
    }

    /// Whether a server has just been started, and will answer in a moment.
    pub fn is_starting_up(&self) -> bool {
        let (StoreError::Sql(error) | StoreError::Open { error, .. }) = self else { return false };
        error.as_database_error().and_then(|error| error.code()).is_some_and(|code| code == "57P03")
    }

    /// Whether the database may be back, or free again, in a while: the same call can then go
    /// through.
    pub fn is_passing(&self) -> bool {
        if matches!(self, StoreError::Away) {
            return true;
        }
        let (StoreError::Sql(error) | StoreError::Open { error, .. }) = self else { return false };
        match error {
            sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut | sqlx::Error::Protocol(_) => true,
            sqlx::Error::Database(error) => error.code().is_some_and(|code| {
                // Of SQLite: busy or locked, whatever more it says.
                let sqlite = code
                    .parse::<u32>()
                    .is_ok_and(|code| code < 10_000 && matches!(code & 0xff, 5 | 6));
                sqlite || code.starts_with("08") || PASSING.contains(&code.as_ref())
            }),
            _ => false,
        }
    }
}
