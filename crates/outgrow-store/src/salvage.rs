//! Damaged SQLite files: what is wrong with one, and what of it can still be read, saved into a new
//! file.
//!
//! A damaged page hides the rows on it and, where it is one of those that lead to others, more. So
//! a table is read upwards as far as it goes, then from behind the damaged place on, which is
//! looked for in steps that double, and downwards from there and from the end.

use std::{
    fs::File,
    io::{self, Read},
};

use sqlx::{
    ConnectOptions, Connection,
    sqlite::{SqliteConnectOptions, SqlitePoolOptions},
};

use crate::{
    Finding, Store, StoreError, Tell,
    connect::{open_error, quiet_or_full, regular},
    driver::{Arg, Pool, Row, Tx, args},
    migrations::{APPLICATION_ID, SQLITE, refuse_unreleased},
    refusal::{is_of_row, is_refusal},
    schema::{
        ATTEMPT, CHECKPOINT, ENVIRONMENT, EVAL_METRIC, GROWTH_EVENT, Kind, MEMBER, SHARED_PREFIX,
        SNAPSHOT, STEP_METRIC, SWEEP, TRIAL, Table,
    },
};
use outgrow_failpoint::Point;

/// What the database itself says is wrong with a file; nothing of one that is whole.
///
/// # Errors
/// If there is no such file, it is another program's, or the system does not let it be read.
pub async fn damage(path: &str) -> Result<Vec<String>, StoreError> {
    regular(path)?.ok_or_else(|| StoreError::Missing(path.into()))?;
    let said = match integrity(path).await {
        Ok(said) => said,
        Err(StoreError::Sql(error)) if is_refusal(&error) => return Err(open_error(path, error)),
        Err(StoreError::Sql(error)) => vec![error.to_string()],
        Err(StoreError::Foreign(_)) => vec!["its first page is not that of a database".into()],
        Err(error) => return Err(error),
    };
    match said.is_empty() || is_ours(path).await {
        true => Ok(said),
        false => Err(StoreError::Foreign(path.into())),
    }
}

async fn integrity(path: &str) -> Result<Vec<String>, StoreError> {
    let pool = reading(path).await?;
    let said = integrity_of(&pool, path).await;
    pool.close().await;
    said
}

async fn integrity_of(pool: &Pool, path: &str) -> Result<Vec<String>, StoreError> {
    let mut tx = pool.read().await?;
    if tx.value::<i64>("SELECT count(*) FROM sqlite_schema", &[]).await? == 0 {
        return Ok(vec![]);
    }
    if tx.value::<i64>("PRAGMA application_id", &[]).await? != APPLICATION_ID {
        return Ok(vec!["its first page does not say that it is a database of outgrow's".into()]);
    }
    if let Tx::Sqlite(connection) = &mut tx
        && let Err(error @ StoreError::Unreleased(_)) =
            refuse_unreleased(connection, path, &SQLITE).await
    {
        return Err(error);
    }
    let mut said = vec![];
    let read = |row: Row| {
        said.push(row.get::<String>(0)?);
        Ok(())
    };
    // What was said before it broke off counts.
    match tx.map("PRAGMA integrity_check(100)", &[], read).await {
        Err(error) if error.is_refusal() => return Err(error),
        Err(error) => said.push(error.to_string()),
        Ok(_) => {}
    }
    said.retain(|line| line != "ok");
    let versions =
        tx.column::<i64>("SELECT version FROM _sqlx_migrations ORDER BY version", &[]).await?;
    if !versions.iter().copied().eq(1..=versions.len() as i64) || versions.is_empty() {
        said.push(format!("its list of schema versions is {versions:?}"));
    }
    Ok(said)
}

/// A file as it is, its references unchecked; nothing stays beside it.
async fn reading(path: &str) -> Result<Pool, StoreError> {
    let options = quiet_or_full(path).await.options.foreign_keys(false);
    let options = match options.connect().await {
        Ok(connection) => {
            // The last to leave takes the log away.
            connection.close().await.map_err(|error| open_error(path, error))?;
            options
        }
        Err(error) if is_refusal(&error) => return Err(open_error(path, error)),
        // What is damaged there is told when it is read.
        Err(_) => options.immutable(true),
    };
    let pool = SqlitePoolOptions::new().max_connections(1).connect_with(options).await;
    Ok(Pool::Sqlite(pool.map_err(|error| open_error(path, error))?))
}

/// Whether a file is one of ours: by the mark of its head, by the tables that SQLite finds in it,
/// or, where its head is destroyed, by the text of our tables in a file of whole pages. Words alone
/// are no evidence: they stand in notes, too.
async fn is_ours(path: &str) -> bool {
    let mark = (APPLICATION_ID as u32).to_be_bytes();
    let head = head(path).unwrap_or_default();
    match head.starts_with(b"SQLite format 3\0") {
        true => head.ends_with(&mark) || has_our_tables(path).await.unwrap_or(false),
        false => holds_our_pages(path).unwrap_or(false),
    }
}

/// Up to the mark of the program, which is its last word.
fn head(path: &str) -> io::Result<Vec<u8>> {
    let mut head = vec![];
    File::open(path)?.take(72).read_to_end(&mut head)?;
    Ok(head)
}

async fn has_our_tables(path: &str) -> Result<bool, StoreError> {
    let pool = reading(path).await?;
    let sql = "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name IN ('sweep', \
               'trial', 'step_metric', 'growth_event')";
    let found = async { pool.read().await?.value::<i64>(sql, &[]).await };
    let found = found.await;
    pool.close().await;
    Ok(found? == 4)
}

fn holds_our_pages(path: &str) -> io::Result<bool> {
    const TEXTS: [&[u8]; 2] = [b"CREATE TABLE growth_event", b"CREATE TABLE step_metric"];
    let mut file = File::open(path)?;
    if !file.metadata()?.len().is_multiple_of(512) {
        return Ok(false);
    }
    let (mut window, mut kept, mut seen) = (vec![0; 1 << 20], 0, [false; 2]);
    let mut has_zero = false;
    loop {
        let read = file.read(&mut window[kept..])?;
        if read == 0 {
            return Ok(has_zero && seen == [true; 2]);
        }
        let full = kept + read;
        has_zero |= window[..full].contains(&0);
        for (seen, text) in seen.iter_mut().zip(TEXTS) {
            *seen |= window[..full].windows(text.len()).any(|bytes| bytes == text);
        }
        kept = full.min(TEXTS[0].len() - 1);
        window.copy_within(full - kept..full, 0);
    }
}

/// Copies a whole file, by the database's own means.
///
/// # Errors
/// If it can't be read, or the copy not written.
pub async fn back_up(path: &str, to: &str) -> Result<(), StoreError> {
    let options = SqliteConnectOptions::new().filename(path);
    let mut connection = options.connect().await.map_err(|error| open_error(path, error))?;
    sqlx::query("VACUUM INTO $1")
        .bind(to)
        .execute(&mut connection)
        .await
        .map_err(|error| open_error(to, error))?;
    let synced = Point::RepairBackupSync.around(|| File::open(to).and_then(|file| file.sync_all()));
    synced.map_err(|error| open_error(to, error.into()))
}

/// A table as it is read: by its key, within what the prefix is.
struct Saved {
    name: &'static str,
    columns: Vec<(&'static str, Kind)>,
    prefix: Option<&'static str>,
    key: &'static str,
}

impl Saved {
    fn new(
        table: &'static Table,
        number: Option<&'static str>,
        prefix: Option<&'static str>,
        key: &'static str,
    ) -> Self {
        let number = number.map(|number| (number, Kind::Integer));
        Self {
            name: table.name,
            columns: number.into_iter().chain(table.columns.iter().copied()).collect(),
            prefix,
            key,
        }
    }

    /// All but what a report estimates, which is made again from the others.
    fn all() -> [Self; 11] {
        let (sweep, trial) = (Some("sweep_id"), Some("trial"));
        [
            Self::new(&SWEEP, None, None, "rowid"),
            Self::new(&TRIAL, Some("number"), None, "number"),
            Self::new(&ENVIRONMENT, Some("id"), None, "id"),
            Self::new(&ATTEMPT, Some("id"), None, "id"),
            Self::new(&MEMBER, None, sweep, "position"),
            Self::new(&SHARED_PREFIX, None, sweep, "trial"),
            Self::new(&STEP_METRIC, None, trial, "step"),
            Self::new(&EVAL_METRIC, None, trial, "step"),
            Self::new(&GROWTH_EVENT, None, trial, "stage"),
            Self::new(&CHECKPOINT, None, trial, "step"),
            Self::new(&SNAPSHOT, None, trial, "step"),
        ]
    }
}

/// Saves what can be read of a damaged file into a new one; gives what can't.
///
/// # Errors
/// If the new one can't be written.
pub async fn salvage(path: &str, to: &str, tell: Tell<'_>) -> Result<Vec<Finding>, StoreError> {
    Store::open(to).await?.close().await;
    let options = SqliteConnectOptions::new().filename(to).foreign_keys(false);
    let pool = SqlitePoolOptions::new().max_connections(1).connect_with(options).await?;
    let pool = Pool::Sqlite(pool);
    let mut salvage = Salvage {
        from: reading(path).await?.read().await?,
        to: pool.write().await?,
        saved: 0,
        refused: 0,
    };
    let mut findings = vec![];
    for mut table in Saved::all() {
        tell(&format!("table {}", table.name));
        (salvage.saved, salvage.refused) = (0, 0);
        let is_whole = salvage.table(&mut table).await?;
        if !is_whole || salvage.refused > 0 {
            let Salvage { saved, refused, .. } = salvage;
            findings.push(Finding::Unreadable { table: table.name, saved, refused });
        }
    }
    salvage.to.commit(Point::CommitSalvage).await?;
    pool.close().await;
    Ok(findings)
}

struct Salvage {
    from: Tx,
    to: Tx,
    saved: u64,
    refused: u64,
}

/// Keys are above this one.
const BEFORE: i64 = -1;
/// And below this one.
const BEHIND: i64 = 1 << 40;
/// Rows that are read at a time.
const AT_ONCE: i64 = 500;
/// Damaged places of one table, or of one trial's rows in it, that are looked behind.
const MOST_PLACES: usize = 1000;
/// A damaged place is looked behind for the next row no further than so many keys.
const FURTHEST: i64 = 1 << 24;

impl Salvage {
    /// Saves a table; says whether all of it could be read.
    async fn table(&mut self, table: &mut Saved) -> Result<bool, StoreError> {
        // An older version's has not all columns.
        let there = "SELECT name FROM pragma_table_info($1)";
        let there = self.from.column::<String>(there, args![table.name]).await;
        let there = match there {
            Err(error) if error.is_refusal() => return Err(error),
            Err(_) => return Ok(false),
            Ok(there) => there,
        };
        table.columns.retain(|(name, _)| there.iter().any(|column| column == name));
        if table.columns.is_empty() {
            return Ok(false);
        }
        let mut is_whole = true;
        for prefix in self.prefixes(table).await? {
            is_whole &= self.range(table, &prefix).await?;
        }
        Ok(is_whole)
    }

    /// What a table's rows can begin with, as far as it is saved already.
    async fn prefixes(&mut self, table: &Saved) -> Result<Vec<Option<Arg>>, StoreError> {
        let of_trials = "SELECT number FROM trial UNION SELECT trial FROM member UNION SELECT \
                         trial FROM attempt";
        Ok(match table.prefix {
            None => vec![None],
            Some("trial") => self
                .to
                .column::<i64>(of_trials, &[])
                .await?
                .into_iter()
                .map(|n| Some(n.into()))
                .collect(),
            Some(_) => {
                let ids = self.to.column::<String>("SELECT id FROM sweep", &[]).await?;
                ids.into_iter().map(|id| Some(Arg::from(id))).collect()
            }
        })
    }

    /// Saves the rows of one prefix; says whether all could be read.
    async fn range(&mut self, table: &Saved, prefix: &Option<Arg>) -> Result<bool, StoreError> {
        let (mut low, mut is_whole) = (BEFORE, true);
        for _ in 0..MOST_PLACES {
            let (last, ended) = self.walk(table, prefix, (low, BEHIND), false).await?;
            low = last;
            if ended {
                return Ok(is_whole);
            }
            is_whole = false;
            let Some(behind) = self.behind(table, prefix, low).await? else { break };
            self.walk(table, prefix, (low, behind + 1), true).await?;
            low = behind;
        }
        self.walk(table, prefix, (low, BEHIND), true).await?;
        Ok(false)
    }

    /// A key behind a damaged place, from which rows can be read again.
    async fn behind(
        &mut self,
        table: &Saved,
        prefix: &Option<Arg>,
        low: i64,
    ) -> Result<Option<i64>, StoreError> {
        let mut jump = 1;
        while jump <= FURTHEST {
            let mut rows = vec![];
            let ended =
                self.chunk(table, prefix, (low + jump, BEHIND), false, 1, &mut rows).await?;
            if ended {
                return Ok((!rows.is_empty()).then_some(low + jump));
            }
            jump *= 2;
        }
        Ok(None)
    }

    /// Saves rows with keys between two, upwards or downwards, until one can't be read; gives the
    /// last key, and whether it came to the end.
    async fn walk(
        &mut self,
        table: &Saved,
        prefix: &Option<Arg>,
        (mut low, mut high): (i64, i64),
        down: bool,
    ) -> Result<(i64, bool), StoreError> {
        loop {
            let mut rows = vec![];
            let ended = self.chunk(table, prefix, (low, high), down, AT_ONCE, &mut rows).await?;
            for row in &rows {
                self.save(table, row).await?;
            }
            // What is not in order is not in a table of ours, and reading it again would not end.
            let last = rows
                .last()
                .and_then(|row| row.get::<i64>(0).ok())
                .filter(|key| *key > low && *key < high);
            let Some(last) = last else {
                return Ok((if down { high } else { low }, ended && rows.is_empty()));
            };
            *if down { &mut high } else { &mut low } = last;
            if !ended || (rows.len() as i64) < AT_ONCE {
                return Ok((last, ended));
            }
        }
    }

    /// Reads some rows; says whether that came to an end, and not to a damaged place. A file that
    /// the system does not let be read is no damaged place.
    async fn chunk(
        &mut self,
        table: &Saved,
        prefix: &Option<Arg>,
        (low, high): (i64, i64),
        down: bool,
        limit: i64,
        rows: &mut Vec<Row>,
    ) -> Result<bool, StoreError> {
        let Saved { name, columns, key, .. } = table;
        let columns: Vec<&str> = columns.iter().map(|(name, _)| *name).collect();
        let within = table.prefix.map_or(String::new(), |prefix| format!("{prefix} = $4 AND "));
        let order = if down { "DESC" } else { "ASC" };
        let sql = format!(
            "SELECT {key}, {} FROM {name} WHERE {within}{key} > $1 AND {key} < $2 ORDER BY {key} \
             {order} LIMIT $3",
            columns.join(", ")
        );
        let mut args = args![low, high, limit].to_vec();
        args.extend(prefix.clone());
        let read = |row: Row| {
            rows.push(row);
            Ok(())
        };
        match self.from.map(&sql, &args, read).await {
            Err(error) if error.is_refusal() => Err(error),
            read => Ok(read.is_ok()),
        }
    }

    /// Writes a row, if it is one of ours.
    async fn save(&mut self, table: &Saved, row: &Row) -> Result<(), StoreError> {
        let kinds = table.columns.iter().zip(&row.0[1..]);
        let args: Option<Vec<Arg>> = kinds.map(|((_, kind), cell)| kind.arg(cell)).collect();
        let names: Vec<&str> = table.columns.iter().map(|(name, _)| *name).collect();
        let places: Vec<String> = (1..=names.len()).map(|place| format!("${place}")).collect();
        let sql = format!(
            "INSERT INTO {} ({}) VALUES ({})",
            table.name,
            names.join(", "),
            places.join(", ")
        );
        let there = format!("INSERT OR IGNORE {}", &sql["INSERT ".len()..]);
        let written = match &args {
            Some(args) => self.to.execute(&there, args).await,
            None => Ok(0),
        };
        match written {
            Ok(0) => self.refused += 1,
            Err(StoreError::Sql(error)) if is_of_row(&error) => self.refused += 1,
            Ok(_) => self.saved += 1,
            Err(error) => return Err(error),
        }
        Ok(())
    }
}
