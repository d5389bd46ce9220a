//! How files and servers are reached.

use std::{path::Path, time::Duration};

use sqlx::{
    ConnectOptions, Connection, PgConnection, SqliteConnection, postgres::PgConnectOptions,
    sqlite::SqliteConnectOptions,
};

use crate::{
    StoreError,
    address::Address,
    blame::{has_no_room, why},
    identity::log_bytes,
};

/// Writers of a file wait this long for each other; a batch takes milliseconds.
pub(crate) const BUSY_TIMEOUT: Duration = Duration::from_secs(60);

/// A server that does not answer for so long is away.
pub(crate) const ANSWER_TIMEOUT: Duration = Duration::from_secs(3);

/// Whether there is a file; none if not.
pub(crate) fn regular(path: &str) -> Result<Option<()>, StoreError> {
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
#[derive(Clone)]
pub(crate) struct Quiet {
    pub options: SqliteConnectOptions,
    pub immutable: bool,
}

/// A log that is there stays. Without one, whoever reads makes it: who may write takes it away
/// again, and for others there is none to be made.
pub(crate) fn quiet(path: &str) -> Quiet {
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

/// The same, where the disk may be full: a file without a log can be read without what SQLite
/// would make beside it. Nobody writes such a file, for there is no room for a log either.
pub(crate) async fn quiet_or_full(path: &str) -> Quiet {
    let (quiet, is_whole) = (quiet(path), log_bytes(path).is_none_or(|bytes| bytes == 0));
    if quiet.immutable || !is_whole {
        return quiet;
    }
    let read = async {
        let mut connection = quiet.options.connect().await?;
        let read = sqlx::query("SELECT count(*) FROM sqlite_schema").execute(&mut connection).await;
        connection.close().await?;
        read
    };
    match read.await {
        Err(error)
            if has_no_room(path, &error) && log_bytes(path).is_none_or(|bytes| bytes == 0) =>
        {
            Quiet { options: only_reading(path).immutable(true), immutable: true }
        }
        _ => quiet,
    }
}

fn only_reading(path: &str) -> SqliteConnectOptions {
    file(path).read_only(true).pragma("query_only", "1")
}

pub(crate) fn file(path: &str) -> SqliteConnectOptions {
    SqliteConnectOptions::new().filename(path).busy_timeout(BUSY_TIMEOUT).foreign_keys(true)
}

/// libpq's form `postgres://USER@/DB?host=/socket` as the library reads it: the user among the
/// options.
fn socket_form(url: &str) -> String {
    let rest = url.strip_prefix("postgres://").unwrap_or(url);
    let (place, options) = rest.split_once('?').unwrap_or((rest, ""));
    let Some((user, database)) = place.split_once("@/").filter(|(user, _)| !user.contains('/'))
    else {
        return url.to_owned();
    };
    let (user, password) = user.split_once(':').map_or((user, None), |(u, p)| (u, Some(p)));
    let password = password.map_or_else(String::new, |password| format!("&password={password}"));
    let options = if options.is_empty() { String::new() } else { format!("&{options}") };
    format!("postgres:///{database}?user={user}{password}{options}")
}

pub(crate) fn server(url: &str) -> Result<PgConnectOptions, StoreError> {
    // What exactly, the library tells by showing it.
    let odd = |_| {
        StoreError::Address(format!(
            "an option of {} has a value that is not known",
            Address::shown(url)
        ))
    };
    let url = &socket_form(url);
    Ok(url.parse::<PgConnectOptions>().map_err(odd)?.application_name("outgrow"))
}

pub(crate) async fn connect_file(
    path: &str,
    options: &SqliteConnectOptions,
) -> Result<SqliteConnection, StoreError> {
    options.connect().await.map_err(|error| open_error(path, error))
}

pub(crate) async fn connect_server(
    address: &str,
    options: &PgConnectOptions,
) -> Result<PgConnection, StoreError> {
    let connecting = tokio::time::timeout(ANSWER_TIMEOUT, options.connect()).await;
    let connected = connecting.unwrap_or(Err(sqlx::Error::PoolTimedOut));
    connected.map_err(|error| open_error(address, error))
}

pub(crate) fn open_error(address: &str, error: sqlx::Error) -> StoreError {
    let text = error.to_string();
    if text.contains("file is not a database") {
        return StoreError::Foreign(Address::shown(address));
    }
    let hint = match &text {
        t if t.contains("unable to open") => "; is its folder there, and may you write to it?",
        t if t.contains("readonly") => {
            "; the file or its folder is read-only (a log, -wal, beside it must be written to be \
             read: copy both to a folder of yours)"
        }
        t if t.contains("Connection refused") => "; is the server running, and is that its port?",
        t if t.contains("authentication failed") => {
            "; a password goes into PGPASSWORD or ~/.pgpass, or into the URL"
        }
        t if t.contains("database \"") && t.contains("does not exist") => {
            "; `createdb` makes a database"
        }
        _ => "",
    };
    let named = match Address::parse(address) {
        Ok(Address::File(path)) => why(&path, &error),
        _ => String::new(),
    };
    let hint = if named.is_empty() { hint.to_owned() } else { named };
    StoreError::Open { path: Address::shown(address), error, hint }
}
