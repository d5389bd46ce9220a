//! Queries in a user's own words: one statement that only reads, answered as its rows come, and
//! ended when nobody waits for them.

mod file;
mod server;

use std::time::Duration;

use sqlx::ConnectOptions;
use tokio::sync::mpsc;

use crate::{
    Cell, Store, StoreError,
    driver::{Arg, Pool, Tx},
    identity::Identity,
};

/// A query is no longer than this.
const LONGEST: usize = 1 << 20;
/// Rows are handed on in batches of up to so many, …
const BATCH_ROWS: usize = 256;
/// … or up to so many bytes and one row more.
const BATCH_BYTES: usize = 1 << 18;

/// The whole answer to a query.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub struct Table {
    /// Names of the columns.
    pub columns: Vec<String>,
    pub rows: Vec<Vec<Cell>>,
}

/// Rows of an answer, as they came.
pub type Batch = Vec<Vec<Cell>>;

/// The answer to a query, batch by batch. The query ends where it is when this is dropped.
pub struct Answer {
    /// Names of the columns.
    pub columns: Vec<String>,
    parts: mpsc::Receiver<Told>,
    /// Nothing comes here; it closes when the thread that reads a file has ended.
    ended: Option<std::sync::mpsc::Receiver<()>>,
}

/// A file is let go before whoever asked lets it go; a value that takes SQLite longer is not waited
/// for.
const LET_GO: Duration = Duration::from_millis(200);

impl Drop for Answer {
    fn drop(&mut self) {
        self.parts.close();
        if let Some(ended) = &self.ended {
            let _ = ended.recv_timeout(LET_GO);
        }
    }
}

impl Answer {
    /// The next rows; none after the last.
    ///
    /// # Errors
    /// If the query fails there.
    pub async fn next(&mut self) -> Result<Option<Batch>, StoreError> {
        match self.parts.recv().await.transpose()? {
            Some(Part::Rows(rows)) => Ok(Some(rows)),
            Some(Part::Columns(_)) | None => Ok(None),
        }
    }
}

impl Store {
    /// Asks a query, by a connection of its own that can only read, whatever this store was opened
    /// for.
    ///
    /// # Errors
    /// If it is not one statement, does more than read, or fails.
    pub async fn ask(&self, sql: &str) -> Result<Answer, StoreError> {
        let sql = one_text(sql)?.to_owned();
        self.identity.check_files()?;
        // One batch waits while the next is gathered: an answer never takes more memory than three.
        let (to, parts) = mpsc::channel(1);
        let ended = match &self.pool {
            Pool::Sqlite(pool) => {
                let path = pool.connect_options().get_filename().to_string_lossy().into_owned();
                let immutable = matches!(&self.identity, Identity::File(file) if file.immutable);
                // Not one of the runtime's threads: those must come to an end before it does.
                let thread = std::thread::Builder::new().name("query".into());
                let (reads, ended) = std::sync::mpsc::channel();
                let asked = thread.spawn(move || {
                    file::answer(&path, immutable, &sql, Rows::new(to));
                    drop(reads);
                });
                asked.map_err(|error| StoreError::Sql(error.into()))?;
                Some(ended)
            }
            Pool::Postgres(pool) => {
                let options = pool.connect_options().as_ref().clone().disable_statement_logging();
                tokio::spawn(server::answer(options, sql, to));
                None
            }
        };
        let mut answer = Answer { columns: vec![], parts, ended };
        match answer.parts.recv().await.transpose()? {
            Some(Part::Columns(columns)) => {
                answer.columns = columns;
                Ok(answer)
            }
            _ => Err(StoreError::Query("it ended without an answer".into())),
        }
    }

    /// The whole answer to a query. It is held in memory: of a user's query use [`Store::ask`].
    ///
    /// # Errors
    /// As [`Store::ask`].
    pub async fn query(&self, sql: &str) -> Result<Table, StoreError> {
        let mut answer = self.ask(sql).await?;
        let mut rows = vec![];
        while let Some(batch) = answer.next().await? {
            rows.extend(batch);
        }
        Ok(Table { columns: std::mem::take(&mut answer.columns), rows })
    }
}

/// The answer to a query of our own, whose columns are known; it is asked where all of ours are.
pub(crate) async fn answer(
    tx: &mut Tx,
    columns: &[&str],
    sql: &str,
    args: &[Arg],
) -> Result<Table, StoreError> {
    let rows = tx.map(sql, args, |row| Ok(row.0)).await?;
    Ok(Table { columns: columns.iter().map(|name| (*name).to_owned()).collect(), rows })
}

fn one_text(sql: &str) -> Result<&str, StoreError> {
    let odd = match sql {
        _ if sql.trim().is_empty() => "it is empty",
        _ if sql.contains('\0') => "it holds a NUL character",
        _ if sql.len() > LONGEST => "it is longer than 1 MiB",
        _ => return Ok(sql),
    };
    Err(StoreError::Query(odd.into()))
}

const ONE: &str = "it is more than one statement; ask them one by one";
const PARAMETERS: &str = "it has parameters (?, :name, $1); write their values into it";

/// What comes of a query: the names of its columns first, then rows.
enum Part {
    Columns(Vec<String>),
    Rows(Batch),
}

type Told = Result<Part, StoreError>;

/// Gathers rows into batches.
struct Rows {
    to: mpsc::Sender<Told>,
    batch: Batch,
    bytes: usize,
}

impl Rows {
    fn new(to: mpsc::Sender<Told>) -> Self {
        Self { to, batch: vec![], bytes: 0 }
    }

    /// Takes a row; gives what is to be handed on: at once if somebody waits for it, otherwise when
    /// it is enough.
    fn push(&mut self, row: Vec<Cell>) -> Option<Told> {
        self.bytes += row.iter().map(size).sum::<usize>();
        self.batch.push(row);
        let is_full = self.batch.len() >= BATCH_ROWS || self.bytes >= BATCH_BYTES;
        (is_full || self.to.capacity() > 0).then(|| self.rest())
    }

    /// What was gathered and not handed on.
    fn rest(&mut self) -> Told {
        self.bytes = 0;
        Ok(Part::Rows(std::mem::take(&mut self.batch)))
    }
}

fn size(cell: &Cell) -> usize {
    size_of::<Cell>()
        + match cell {
            Cell::Text(text) | Cell::Decimal(text) => text.len(),
            Cell::Blob(bytes) => bytes.len(),
            _ => 0,
        }
}
