//! Whether a database is still the one that was opened. A file that was deleted can still be
//! written, and nobody would ever read it.

use std::{
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use sqlx::{Connection, SqliteConnection};
use tokio::sync::Mutex;

use crate::{
    StoreError,
    driver::{Tx, args},
};

/// What tells a database from every other that may come to lie at its address.
#[derive(Clone, Debug)]
pub(crate) enum Identity {
    /// Of a SQLite file.
    File(Arc<File>),
    /// Of a PostgreSQL database: what the server numbers it, and the table of its trials.
    Server {
        /// As it may be shown.
        address: String,
        oids: (i64, i64),
    },
}

/// The files of a SQLite database.
#[derive(Debug)]
pub(crate) struct File {
    path: String,
    /// Whether it was opened as one that nobody writes.
    pub immutable: bool,
    files: Vec<(PathBuf, Option<Mark>)>,
    /// As long as one connection is open, no other takes the log away: whoever does so is not
    /// SQLite.
    anchor: Mutex<Option<SqliteConnection>>,
}

/// Device and inode; of a file that nobody writes also when it was written last.
type Mark = (u64, u64, i64);

impl Identity {
    /// Of a file to be written: its log, and the index of that, are there as long as `anchor` is,
    /// which has read from it.
    pub fn of_file(path: &str, anchor: SqliteConnection) -> Result<Self, StoreError> {
        let mut files = vec![];
        for file in beside(path) {
            // Without a log of SQLite's newer kind there is nothing that could be taken away.
            if let Some(mark) = mark(&file, false).map_err(sqlx::Error::Io)? {
                files.push((file, Some(mark)));
            }
        }
        Ok(Self::File(Arc::new(File {
            path: path.into(),
            immutable: false,
            files,
            anchor: Mutex::new(Some(anchor)),
        })))
    }

    /// Of a file that nobody writes: it has no log, or an empty one.
    pub fn of_immutable(path: &str) -> Result<Self, StoreError> {
        let [file, log, _] = beside(path);
        let marked = |file: PathBuf| mark(&file, true).map(|mark| (file, mark));
        let files = [file, log]
            .into_iter()
            .map(marked)
            .collect::<io::Result<_>>()
            .map_err(sqlx::Error::Io)?;
        Ok(Self::File(Arc::new(File {
            path: path.into(),
            immutable: true,
            files,
            anchor: Mutex::new(None),
        })))
    }

    /// Of the server's database that a transaction reads.
    pub async fn of_server(address: String, tx: &mut Tx) -> Result<Self, StoreError> {
        Ok(Self::Server { address, oids: oids(tx).await? })
    }

    /// Whether the files are still those that were opened.
    ///
    /// # Errors
    /// [`StoreError::Replaced`] if not.
    pub fn check_files(&self) -> Result<(), StoreError> {
        let Self::File(file) = self else { return Ok(()) };
        for (path, expected) in &file.files {
            if mark(path, file.immutable).map_err(sqlx::Error::Io)? != *expected {
                return Err(StoreError::Replaced {
                    path: file.path.clone(),
                    what: file.gone(path),
                });
            }
        }
        Ok(())
    }

    /// The same of the database that a transaction has begun on.
    ///
    /// # Errors
    /// [`StoreError::Replaced`] if it is another.
    pub async fn check(&self, tx: &mut Tx) -> Result<(), StoreError> {
        self.check_files()?;
        match self {
            Self::Server { address, oids: expected } if self::oids(tx).await? != *expected => {
                Err(StoreError::Replaced { path: address.clone(), what: "it".into() })
            }
            _ => Ok(()),
        }
    }

    /// Closes what holds the log.
    pub async fn close(&self) {
        if let Self::File(file) = self
            && let Some(anchor) = file.anchor.lock().await.take()
        {
            // What it could not tidy up, the next that opens the file does.
            let _ = anchor.close().await;
        }
    }
}

impl File {
    /// What is gone, and what stayed without it: SQLite would take an old file's log for that of a
    /// new one, and damage that.
    fn gone(&self, path: &Path) -> String {
        let name = |path: &Path| {
            path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
        };
        let is_log_left = |(log, expected): &(PathBuf, Option<Mark>)| {
            mark(log, false).is_ok_and(|mark| mark == *expected)
        };
        match &self.files[..] {
            [(file, _), log, ..] if file == path && !self.immutable && is_log_left(log) => {
                format!(
                    "{} (but not its log {}, which would damage any other file)",
                    name(path),
                    name(&log.0)
                )
            }
            _ => name(path),
        }
    }
}

/// A database's file, its log, and the index of that. SQLite puts them beside the file that a link
/// leads to.
pub(crate) fn beside(path: &str) -> [PathBuf; 3] {
    let real = fs::canonicalize(path).unwrap_or_else(|_| path.into());
    let more = |ending: &str| {
        let mut name = real.clone().into_os_string();
        name.push(ending);
        PathBuf::from(name)
    };
    [std::path::absolute(path).unwrap_or_else(|_| path.into()), more("-wal"), more("-shm")]
}

/// Bytes of the log of a database's file; none if there is no log.
pub(crate) fn log_bytes(path: &str) -> Option<u64> {
    let [_, log, _] = beside(path);
    fs::metadata(log).ok().map(|log| log.len())
}

fn mark(path: &Path, with_time: bool) -> io::Result<Option<Mark>> {
    match fs::metadata(path) {
        Ok(found) => {
            Ok(Some((found.dev(), found.ino(), if with_time { written(&found) } else { 0 })))
        }
        Err(error)
            if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) =>
        {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// When a file was written last, in nanoseconds.
fn written(file: &fs::Metadata) -> i64 {
    file.mtime().wrapping_mul(1_000_000_000).wrapping_add(file.mtime_nsec())
}

async fn oids(tx: &mut Tx) -> Result<(i64, i64), StoreError> {
    let oids = "SELECT (SELECT oid::bigint FROM pg_database WHERE datname = current_database()),
                       coalesce(to_regclass('trial')::oid::bigint, 0)";
    let row = tx.row(oids, args![]).await?.ok_or(StoreError::Sql(sqlx::Error::RowNotFound))?;
    Ok((row.get(0)?, row.get(1)?))
}
