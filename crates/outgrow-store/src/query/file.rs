//! A query on a SQLite file, by SQLite's own interface: a connection opened for reading, on which
//! what does more than read is not authorized.
//!
//! sqlx would take several statements for one, and panics at some parameters.

use std::{
    ffi::{CStr, CString, c_char, c_int, c_void},
    fmt::Write,
    ptr::{self, NonNull},
};

use libsqlite3_sys as sqlite;
use tokio::sync::mpsc;

use super::{ONE, PARAMETERS, Part, Rows, Told};
use crate::{Cell, StoreError};

/// No text or blob is longer, whether stored or made by the query.
const LONGEST_VALUE: c_int = 1 << 26;
/// All that SQLite takes in this process; what a query sorts or gathers beyond its caches lies in
/// temporary files.
const MOST_MEMORY: i64 = 1 << 29;
/// Milliseconds to wait for a file that another program has locked as a whole.
const PATIENCE: c_int = 900;
/// Steps of SQLite's machine, well below a millisecond, after which it is asked whether anybody
/// still waits.
const LOOK_EVERY: c_int = 1000;

/// Answers a query; what goes wrong is told like an answer.
pub(super) fn answer(path: &str, immutable: bool, sql: &str, mut rows: Rows) {
    // The address of this sender is what SQLite asks about; it outlives the connection.
    let to = Box::new(rows.to.clone());
    let done = Connection::open(path, immutable, &to)
        .and_then(|connection| tell(&connection, sql, &mut rows));
    if let Err(error) = done {
        // Whoever waited may have gone.
        let _ = to.blocking_send(Err(error));
    }
}

fn tell(connection: &Connection, sql: &str, rows: &mut Rows) -> Result<(), StoreError> {
    let statement = connection.prepare_only(sql)?;
    let told = |told: Told| rows.to.blocking_send(told).is_ok();
    let mut goes_on = told(Ok(Part::Columns(statement.columns())));
    while goes_on && statement.step()? {
        let part = rows.push(statement.row());
        goes_on = part.is_none_or(|part| rows.to.blocking_send(part).is_ok());
    }
    let rest = rows.rest();
    let _ = rows.to.blocking_send(rest);
    Ok(())
}

struct Connection(NonNull<sqlite::sqlite3>);

impl Drop for Connection {
    fn drop(&mut self) {
        // SAFETY: it is open, and its statements are finalized, for they borrow it.
        unsafe { sqlite::sqlite3_close(self.0.as_ptr()) };
    }
}

impl Connection {
    /// Opens a file for reading alone; who waits for the answer must outlive it.
    fn open(path: &str, immutable: bool, to: &mpsc::Sender<Told>) -> Result<Self, StoreError> {
        let flags = sqlite::SQLITE_OPEN_READONLY
            | sqlite::SQLITE_OPEN_URI
            | sqlite::SQLITE_OPEN_NOMUTEX
            | sqlite::SQLITE_OPEN_PRIVATECACHE;
        let mut raw = ptr::null_mut();
        // SAFETY: the name ends with NUL, and `raw` takes the handle, which is to be closed also
        // after an error.
        let (code, connection) = unsafe {
            sqlite::sqlite3_hard_heap_limit64(MOST_MEMORY);
            let code = sqlite::sqlite3_open_v2(
                url(path, immutable).as_ptr(),
                &mut raw,
                flags,
                ptr::null(),
            );
            (code, NonNull::new(raw).map(Self).ok_or_else(|| StoreError::Query(MEMORY.into()))?)
        };
        connection.check(code)?;
        // SAFETY: the handle is open and this thread's alone; the callbacks touch nothing but `to`,
        // which outlives it.
        let code = unsafe {
            let raw = connection.0.as_ptr();
            sqlite::sqlite3_limit(raw, sqlite::SQLITE_LIMIT_LENGTH, LONGEST_VALUE);
            sqlite::sqlite3_busy_timeout(raw, PATIENCE);
            sqlite::sqlite3_progress_handler(
                raw,
                LOOK_EVERY,
                Some(is_gone),
                ptr::from_ref(to).cast_mut().cast(),
            );
            sqlite::sqlite3_exec(
                raw,
                c"PRAGMA query_only = 1".as_ptr(),
                None,
                ptr::null_mut(),
                ptr::null_mut(),
            )
        };
        connection.check(code)?;
        // SAFETY: as above.
        let code = unsafe {
            sqlite::sqlite3_set_authorizer(connection.0.as_ptr(), Some(authorize), ptr::null_mut())
        };
        connection.check(code).map(|()| connection)
    }

    fn check(&self, code: c_int) -> Result<(), StoreError> {
        if code == sqlite::SQLITE_OK { Ok(()) } else { Err(self.error(code)) }
    }

    /// What SQLite says went wrong: with the query, or else with the file.
    fn error(&self, code: c_int) -> StoreError {
        // SAFETY: the handle is open; the text lives until the next call.
        let said = unsafe { CStr::from_ptr(sqlite::sqlite3_errmsg(self.0.as_ptr())) }
            .to_string_lossy()
            .into_owned();
        match code & 0xff {
            sqlite::SQLITE_AUTH => StoreError::Query(format!("{said}; {ONLY_READING}")),
            sqlite::SQLITE_NOMEM => StoreError::Query(MEMORY.into()),
            sqlite::SQLITE_ERROR
            | sqlite::SQLITE_TOOBIG
            | sqlite::SQLITE_MISMATCH
            | sqlite::SQLITE_RANGE
            | sqlite::SQLITE_READONLY
            | sqlite::SQLITE_INTERRUPT
            | sqlite::SQLITE_CONSTRAINT => StoreError::Query(said),
            _ => StoreError::Reading(said),
        }
    }

    /// The one statement of a text.
    fn prepare_only(&self, sql: &str) -> Result<Statement<'_>, StoreError> {
        let (mut statement, mut rest) = (None, sql);
        while !rest.is_empty() {
            let (next, after) = self.prepare(rest).map_err(|error| {
                if statement.is_some() { StoreError::Query(ONE.into()) } else { error }
            })?;
            if next.is_some() && statement.is_some() {
                return Err(StoreError::Query(ONE.into()));
            }
            (statement, rest) = (statement.or(next), after);
        }
        let statement = statement.ok_or_else(|| StoreError::Query("it is empty".into()))?;
        // SAFETY: the statement is prepared.
        match unsafe { sqlite::sqlite3_bind_parameter_count(statement.raw.as_ptr()) } {
            0 => Ok(statement),
            _ => Err(StoreError::Query(PARAMETERS.into())),
        }
    }

    /// The first statement of a text, none if that is blank, and what follows it.
    fn prepare<'t>(&self, sql: &'t str) -> Result<(Option<Statement<'_>>, &'t str), StoreError> {
        let (mut raw, mut tail) = (ptr::null_mut(), ptr::null());
        let start = sql.as_ptr().cast::<c_char>();
        let length = c_int::try_from(sql.len()).expect("its length was checked");
        // SAFETY: the text is so many bytes long, and both pointers take what comes out.
        let code = unsafe {
            sqlite::sqlite3_prepare_v2(self.0.as_ptr(), start, length, &mut raw, &mut tail)
        };
        self.check(code)?;
        let rest = &sql[tail as usize - start as usize..];
        Ok((NonNull::new(raw).map(|raw| Statement { raw, connection: self }), rest))
    }
}

/// A file's name as SQLite's URL.
fn url(path: &str, immutable: bool) -> CString {
    let mut url = String::from("file:");
    for byte in path.bytes() {
        match byte {
            b'/' | b'.' | b'_' | b'-' => url.push(byte.into()),
            _ if byte.is_ascii_alphanumeric() => url.push(byte.into()),
            _ => write!(url, "%{byte:02x}").expect("a text takes all"),
        }
    }
    url += if immutable { "?mode=ro&immutable=1" } else { "?mode=ro" };
    CString::new(url).expect("a NUL was escaped")
}

/// Whether nobody waits for the answer any more.
extern "C" fn is_gone(to: *mut c_void) -> c_int {
    // SAFETY: it is the sender that `open` was given, which outlives the connection.
    let to = unsafe { &*to.cast::<mpsc::Sender<Told>>() };
    to.is_closed().into()
}

const MEMORY: &str = "it takes more than 512 MiB of memory";
const ONLY_READING: &str =
    "a query may only read: SELECT, WITH, VALUES, EXPLAIN, and pragmas that ask";

/// Functions that reach beyond the database.
const FORBIDDEN: [&[u8]; 2] = [b"load_extension", b"fts3_tokenizer"];
/// Pragmas that show something, by whatever argument.
const SHOWING: [&[u8]; 10] = [
    b"table_info",
    b"table_xinfo",
    b"table_list",
    b"index_list",
    b"index_info",
    b"index_xinfo",
    b"foreign_key_list",
    b"foreign_key_check",
    b"integrity_check",
    b"quick_check",
];
/// Pragmas that show a setting, which they would change if they had an argument.
const ASKING: [&[u8]; 18] = [
    b"database_list",
    b"collation_list",
    b"function_list",
    b"module_list",
    b"pragma_list",
    b"compile_options",
    b"application_id",
    b"user_version",
    b"schema_version",
    b"data_version",
    b"journal_mode",
    b"page_count",
    b"page_size",
    b"freelist_count",
    b"encoding",
    b"synchronous",
    b"query_only",
    b"foreign_keys",
];

/// What SQLite asks about each thing that a statement would do.
extern "C" fn authorize(
    _: *mut c_void,
    action: c_int,
    first: *const c_char,
    second: *const c_char,
    _: *const c_char,
    _: *const c_char,
) -> c_int {
    // SAFETY: SQLite gives texts that end with NUL, or none.
    let word = |text: *const c_char| {
        (!text.is_null()).then(|| unsafe { CStr::from_ptr(text) }.to_bytes().to_ascii_lowercase())
    };
    let among = |words: &[&[u8]], word: Option<Vec<u8>>| {
        word.is_some_and(|word| words.contains(&word.as_slice()))
    };
    let allowed = match action {
        sqlite::SQLITE_SELECT | sqlite::SQLITE_READ | sqlite::SQLITE_RECURSIVE => true,
        sqlite::SQLITE_FUNCTION => !among(&FORBIDDEN, word(second)),
        sqlite::SQLITE_PRAGMA => {
            among(&SHOWING, word(first)) || (second.is_null() && among(&ASKING, word(first)))
        }
        _ => false,
    };
    if allowed { sqlite::SQLITE_OK } else { sqlite::SQLITE_DENY }
}

/// A prepared statement, which lives as long as its connection.
struct Statement<'c> {
    raw: NonNull<sqlite::sqlite3_stmt>,
    connection: &'c Connection,
}

impl Drop for Statement<'_> {
    fn drop(&mut self) {
        // SAFETY: it was prepared, and is finalized once.
        unsafe { sqlite::sqlite3_finalize(self.raw.as_ptr()) };
    }
}

impl Statement<'_> {
    fn width(&self) -> c_int {
        // SAFETY: the statement is prepared.
        unsafe { sqlite::sqlite3_column_count(self.raw.as_ptr()) }
    }

    fn columns(&self) -> Vec<String> {
        let name = |column| {
            // SAFETY: there is such a column; its name, where memory sufficed for it, lives until
            // the next call.
            unsafe {
                let name = sqlite::sqlite3_column_name(self.raw.as_ptr(), column);
                if name.is_null() {
                    String::new()
                } else {
                    CStr::from_ptr(name).to_string_lossy().into_owned()
                }
            }
        };
        (0..self.width()).map(name).collect()
    }

    /// Goes to the next row; says whether there is one.
    fn step(&self) -> Result<bool, StoreError> {
        // SAFETY: the statement is prepared, and this thread's alone.
        match unsafe { sqlite::sqlite3_step(self.raw.as_ptr()) } {
            sqlite::SQLITE_ROW => Ok(true),
            sqlite::SQLITE_DONE => Ok(false),
            code => Err(self.connection.error(code)),
        }
    }

    fn row(&self) -> Vec<Cell> {
        (0..self.width()).map(|column| self.cell(column)).collect()
    }

    fn cell(&self, column: c_int) -> Cell {
        let raw = self.raw.as_ptr();
        // SAFETY: the statement stands on a row that has such a column.
        unsafe {
            match sqlite::sqlite3_column_type(raw, column) {
                sqlite::SQLITE_INTEGER => Cell::Integer(sqlite::sqlite3_column_int64(raw, column)),
                sqlite::SQLITE_FLOAT => Cell::Real(sqlite::sqlite3_column_double(raw, column)),
                sqlite::SQLITE_TEXT => {
                    let text = self.bytes(sqlite::sqlite3_column_text(raw, column), column);
                    String::from_utf8(text)
                        .map_or_else(|odd| Cell::Blob(odd.into_bytes()), Cell::Text)
                }
                sqlite::SQLITE_BLOB => {
                    Cell::Blob(self.bytes(sqlite::sqlite3_column_blob(raw, column).cast(), column))
                }
                _ => Cell::Null,
            }
        }
    }

    /// The bytes of a value that SQLite has just given.
    ///
    /// # Safety
    /// `start` must be what was given for that column of this row.
    unsafe fn bytes(&self, start: *const u8, column: c_int) -> Vec<u8> {
        // SAFETY: SQLite gives so many bytes there, until the next step.
        unsafe {
            let length = sqlite::sqlite3_column_bytes(self.raw.as_ptr(), column);
            if start.is_null() {
                vec![]
            } else {
                std::slice::from_raw_parts(start, length as usize).to_vec()
            }
        }
    }
}
