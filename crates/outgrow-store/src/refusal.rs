//! Whether an error says that a file is damaged, or that the system did not let it be had.
//!
//! A folder in the place of a log, a full disk or a file of another user say nothing of what a
//! database holds: whoever took that for damage would throw away what is whole.

use sqlx::sqlite::SqliteError;

/// SQLite's extended result code of an error, if it is one of SQLite's.
fn code(error: &sqlx::Error) -> Option<u32> {
    error.as_database_error()?.try_downcast_ref::<SqliteError>()?;
    error.as_database_error()?.code()?.parse().ok()
}

/// PERM, BUSY, LOCKED, NOMEM, READONLY, IOERR, FULL, CANTOPEN, PROTOCOL, NOLFS and AUTH.
const REFUSALS: [u32; 11] = [3, 5, 6, 7, 8, 10, 13, 14, 15, 22, 23];
/// Errors of reading that tell of what was read: too little, with another checksum, or what the
/// file system itself knows to be damaged.
const OF_CONTENT: [u32; 3] = [522, 8202, 8458];
/// FULL; and, of IOERR, that a file beside the database can't be made as long as it must be.
const FULL: [u32; 2] = [13, 4874];

/// Whether the system refused, so that nothing is known of what the file holds.
pub(crate) fn is_refusal(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut => true,
        error => code(error)
            .is_some_and(|code| REFUSALS.contains(&(code & 0xff)) && !OF_CONTENT.contains(&code)),
    }
}

/// Whether there is no room for what must be written.
pub(crate) fn is_full(error: &sqlx::Error) -> bool {
    code(error).is_some_and(|code| FULL.contains(&code))
}

/// Whether a row is none that the table takes.
pub(crate) fn is_of_row(error: &sqlx::Error) -> bool {
    // TOOBIG, CONSTRAINT, MISMATCH.
    code(error).is_some_and(|code| [18, 19, 20].contains(&(code & 0xff)))
}

/// What frees room where there is none.
pub(crate) const FREE: &str =
    "free about 1 MB there, then `outgrow clean` or `outgrow rm` frees more";

/// An error of the database in words.
pub(crate) fn told(error: &sqlx::Error) -> String {
    match is_full(error) {
        true => format!("the disk that it lies on is full: {FREE}"),
        false => error.to_string(),
    }
}
