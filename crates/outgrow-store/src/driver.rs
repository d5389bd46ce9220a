//! SQLite and PostgreSQL behind one face: one text of SQL with arguments `$1`, `$2`, …, and rows
//! of cells.
//!
//! Where PostgreSQL needs a word more, as to lock rows, the text says so in a comment that SQLite
//! passes over: `/*pg: FOR UPDATE*/`.

use std::borrow::Cow;

use outgrow_core::{Epoch, TrialState};
use outgrow_failpoint::Point;
use serde::{Deserialize, Serialize};
use sqlx::{
    AssertSqlSafe, PgPool, Postgres, Row as _, Sqlite, SqlitePool, Transaction, TypeInfo, ValueRef,
    postgres::{PgArguments, PgRow},
    query::Query,
    sqlite::{SqliteArguments, SqliteRow},
};

use crate::StoreError;

/// One value of a row.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub enum Cell {
    Null,
    Integer(i64),
    /// A whole number beyond 64 bits; of PostgreSQL alone, SQLite has the nearest [`Cell::Real`].
    Big(i128),
    Real(f64),
    Text(String),
    /// A number of PostgreSQL's with more digits than [`Cell::Real`] holds.
    Decimal(String),
    /// Bytes, or what is stored as text and is none.
    Blob(Vec<u8>),
}

/// An argument of a statement. Its kind is known where it is NULL, too: PostgreSQL asks.
#[derive(Clone, Debug)]
pub(crate) enum Arg {
    Integer(Option<i64>),
    /// FLOPs: the statement says `CAST($1 AS NUMERIC)`, for PostgreSQL gets them as digits. SQLite
    /// gets the nearest real number of what is beyond 64 bits.
    Big(Option<i128>),
    Real(Option<f64>),
    Text(Option<String>),
}

/// The arguments of a statement.
macro_rules! args {
    ($($value:expr),* $(,)?) => { &[$($crate::driver::Arg::from($value)),*] };
}
pub(crate) use args;

macro_rules! arg_from {
    ($($kind:ty => |$value:ident| $arg:expr;)*) => {
        $(impl From<$kind> for Arg { fn from($value: $kind) -> Self { $arg } })*
    };
}
arg_from! {
    i128 => |value| Arg::Big(Some(value));
    u128 => |value| Arg::Big(Some(value.try_into().unwrap_or(i128::MAX)));
    i64 => |value| Arg::Integer(Some(value));
    Epoch => |value| Arg::Integer(Some(value.0));
    TrialState => |value| Arg::Text(Some(value.as_str().to_owned()));
    // No count is beyond 2^63; bytes that were predicted without an end are as many as there can
    // be.
    u64 => |value| Arg::Integer(Some(value.try_into().unwrap_or(i64::MAX)));
    usize => |value| Arg::Integer(Some(value.try_into().unwrap_or(i64::MAX)));
    bool => |value| Arg::Integer(Some(value.into()));
    // What is not a number is NULL, in both.
    f64 => |value| Arg::Real(Some(value).filter(|value| !value.is_nan()));
    &str => |value| Arg::Text(Some(value.to_owned()));
    &String => |value| Arg::Text(Some(value.clone()));
    String => |value| Arg::Text(Some(value));
    Option<String> => |value| Arg::Text(value);
    Option<&str> => |value| Arg::Text(value.map(str::to_owned));
}

impl Arg {
    /// Adds it to a digest, so that no two lists of arguments give the same bytes; as both
    /// databases give it back.
    pub fn digest(&self, hasher: &mut blake3::Hasher) {
        let mut add = |tag: u8, bytes: &[u8]| {
            hasher.update(&[tag]).update(&(bytes.len() as u64).to_le_bytes()).update(bytes);
        };
        match self {
            Arg::Integer(Some(value)) => add(1, &value.to_le_bytes()),
            // SQLite knows no negative zero.
            Arg::Real(Some(value)) => add(2, &(value + 0.0).to_le_bytes()),
            Arg::Text(Some(value)) => add(3, value.as_bytes()),
            Arg::Big(Some(value)) => add(4, &value.to_le_bytes()),
            Arg::Integer(None) | Arg::Real(None) | Arg::Text(None) | Arg::Big(None) => add(0, &[]),
        }
    }
}

/// One row of an answer.
#[derive(Clone, Debug)]
pub(crate) struct Row(pub Vec<Cell>);

/// What a cell can be read as.
pub(crate) trait FromCell: Sized {
    fn from_cell(cell: &Cell) -> Option<Self>;
}

macro_rules! from_cell {
    ($($kind:ty => $($pattern:pat => $value:expr),+;)*) => {
        $(impl FromCell for $kind {
            fn from_cell(cell: &Cell) -> Option<Self> {
                #[allow(unreachable_patterns)]
                match cell { $($pattern => $value,)+ _ => None }
            }
        })*
    };
}
from_cell! {
    i64 => Cell::Integer(value) => Some(*value);
    Epoch => Cell::Integer(value) => Some(Epoch(*value));
    TrialState => Cell::Text(value) => value.parse().ok();
    u64 => Cell::Integer(value) => u64::try_from(*value).ok();
    usize => Cell::Integer(value) => usize::try_from(*value).ok();
    bool => Cell::Integer(value) => Some(*value != 0);
    f64 => Cell::Real(value) => Some(*value), Cell::Integer(value) => Some(*value as f64), Cell::Big(value) => Some(*value as f64);
    i128 => Cell::Integer(value) => Some((*value).into()), Cell::Big(value) => Some(*value), Cell::Real(value) => whole(*value);
    String => Cell::Text(value) => Some(value.clone());
}

impl FromCell for u128 {
    fn from_cell(cell: &Cell) -> Option<Self> {
        i128::from_cell(cell)?.try_into().ok()
    }
}

/// A whole number that SQLite holds as a real one.
fn whole(value: f64) -> Option<i128> {
    (value.fract() == 0.0 && value.abs() < i128::MAX as f64).then_some(value as i128)
}

impl<T: FromCell> FromCell for Option<T> {
    fn from_cell(cell: &Cell) -> Option<Self> {
        match cell {
            Cell::Null => Some(None),
            other => T::from_cell(other).map(Some),
        }
    }
}

impl Row {
    /// The value of a column; an error where a damaged database has another kind there.
    pub fn get<T: FromCell>(&self, column: usize) -> Result<T, StoreError> {
        let found = self.0.get(column).and_then(T::from_cell);
        found.ok_or_else(|| StoreError::Corrupt {
            what: "value",
            error: format!("column {column} holds {:?}", self.0.get(column)),
        })
    }
}

/// The connections of an open database.
#[derive(Clone, Debug)]
pub(crate) enum Pool {
    Sqlite(SqlitePool),
    Postgres(PgPool),
}

/// A transaction; what is not committed is undone when it is dropped.
pub(crate) enum Tx {
    Sqlite(Transaction<'static, Sqlite>),
    Postgres(Transaction<'static, Postgres>),
}

impl Pool {
    /// Begins a transaction that will write. On SQLite it waits for its turn now: one that reads
    /// first and writes later fails at once under load, whatever the busy timeout.
    pub async fn write(&self) -> Result<Tx, StoreError> {
        Ok(match self {
            Pool::Sqlite(pool) => Tx::Sqlite(pool.begin_with("BEGIN IMMEDIATE").await?),
            Pool::Postgres(pool) => Tx::Postgres(pool.begin().await?),
        })
    }

    /// Begins a transaction that reads one state of the database, whatever others write.
    pub async fn read(&self) -> Result<Tx, StoreError> {
        Ok(match self {
            Pool::Sqlite(pool) => Tx::Sqlite(pool.begin().await?),
            Pool::Postgres(pool) => Tx::Postgres(
                pool.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?,
            ),
        })
    }

    /// Closes all connections.
    pub async fn close(&self) {
        match self {
            Pool::Sqlite(pool) => pool.close().await,
            Pool::Postgres(pool) => pool.close().await,
        }
    }
}

fn sqlite(sql: &str, args: &[Arg]) -> Query<'static, Sqlite, SqliteArguments> {
    args.iter().fold(sqlx::query(AssertSqlSafe(sql.to_owned())), |query, arg| match arg {
        Arg::Integer(value) => query.bind(*value),
        Arg::Big(value) => match value.map(i64::try_from) {
            Some(Err(_)) => query.bind(value.map(|value| value as f64)),
            exact => query.bind(exact.and_then(Result::ok)),
        },
        Arg::Real(value) => query.bind(*value),
        Arg::Text(value) => query.bind(value.clone()),
    })
}

fn postgres(sql: &str, args: &[Arg]) -> Query<'static, Postgres, PgArguments> {
    let sql: Cow<str> = match sql.contains("/*pg:") {
        true => sql.replace("/*pg:", "").replace("*/", "").into(),
        false => sql.into(),
    };
    args.iter().fold(sqlx::query(AssertSqlSafe(sql.into_owned())), |query, arg| match arg {
        Arg::Integer(value) => query.bind(*value),
        Arg::Big(value) => query.bind(value.map(|value| value.to_string())),
        Arg::Real(value) => query.bind(*value),
        Arg::Text(value) => query.bind(value.clone()),
    })
}

impl Tx {
    /// Carries out a statement; gives how many rows it changed.
    pub async fn execute(&mut self, sql: &str, args: &[Arg]) -> Result<u64, StoreError> {
        Ok(match self {
            Tx::Sqlite(tx) => sqlite(sql, args).execute(&mut **tx).await?.rows_affected(),
            Tx::Postgres(tx) => postgres(sql, args).execute(&mut **tx).await?.rows_affected(),
        })
    }

    /// All rows of an answer, each read as it comes.
    pub async fn map<T: Send + Unpin>(
        &mut self,
        sql: &str,
        args: &[Arg],
        mut read: impl FnMut(Row) -> Result<T, StoreError> + Send,
    ) -> Result<Vec<T>, StoreError> {
        // An error of ours passes through sqlx as one of decoding.
        let mut refused = None;
        let mut read = |row| {
            read(row).map_err(|error| {
                refused = Some(error);
                sqlx::Error::RowNotFound
            })
        };
        let all = match self {
            Tx::Sqlite(tx) => {
                sqlite(sql, args).try_map(|row| read(sqlite_row(&row))).fetch_all(&mut **tx).await
            }
            Tx::Postgres(tx) => {
                postgres(sql, args)
                    .try_map(|row| read(postgres_row(&row)))
                    .fetch_all(&mut **tx)
                    .await
            }
        };
        match refused {
            Some(error) => Err(error),
            None => Ok(all?),
        }
    }

    /// All rows of an answer.
    pub async fn rows(&mut self, sql: &str, args: &[Arg]) -> Result<Vec<Row>, StoreError> {
        self.map(sql, args, Ok).await
    }

    /// The first row of an answer, if it has any.
    pub async fn row(&mut self, sql: &str, args: &[Arg]) -> Result<Option<Row>, StoreError> {
        Ok(self.rows(sql, args).await?.into_iter().next())
    }

    /// The first column of all rows.
    pub async fn column<T: FromCell + Send + Unpin>(
        &mut self,
        sql: &str,
        args: &[Arg],
    ) -> Result<Vec<T>, StoreError> {
        self.map(sql, args, |row| row.get(0)).await
    }

    /// The one value of an answer that always has one.
    pub async fn value<T: FromCell + Send + Unpin>(
        &mut self,
        sql: &str,
        args: &[Arg],
    ) -> Result<T, StoreError> {
        let first = self.column(sql, args).await?.into_iter().next();
        first.ok_or(StoreError::Sql(sqlx::Error::RowNotFound))
    }

    /// Makes what was written lasting, and seen by others.
    pub async fn commit(self, point: Point) -> Result<(), StoreError> {
        point.before();
        match self {
            Tx::Sqlite(tx) => tx.commit().await?,
            Tx::Postgres(tx) => tx.commit().await?,
        }
        point.after();
        Ok(())
    }
}

fn sqlite_row(row: &SqliteRow) -> Row {
    Row((0..row.len()).map(|column| sqlite_cell(row, column)).collect())
}

fn sqlite_cell(row: &SqliteRow, column: usize) -> Cell {
    let Ok(value) = row.try_get_raw(column) else { return Cell::Null };
    if value.is_null() {
        return Cell::Null;
    }
    match value.type_info().name() {
        "INTEGER" | "BOOLEAN" => row.try_get_unchecked(column).map_or(Cell::Null, Cell::Integer),
        "REAL" => row.try_get_unchecked(column).map_or(Cell::Null, Cell::Real),
        _ => row.try_get_unchecked(column).map_or(Cell::Null, Cell::Text),
    }
}

fn postgres_row(row: &PgRow) -> Row {
    Row((0..row.len()).map(|column| postgres_cell(row, column)).collect())
}

fn postgres_cell(row: &PgRow, column: usize) -> Cell {
    let Ok(value) = row.try_get_raw(column) else { return Cell::Null };
    if value.is_null() {
        return Cell::Null;
    }
    let kind = value.type_info().name().to_owned();
    match kind.as_str() {
        "INT8" => row.try_get::<i64, _>(column).map_or(Cell::Null, Cell::Integer),
        "INT4" => {
            row.try_get::<i32, _>(column).map_or(Cell::Null, |value| Cell::Integer(value.into()))
        }
        "BOOL" => {
            row.try_get::<bool, _>(column).map_or(Cell::Null, |value| Cell::Integer(value.into()))
        }
        "FLOAT8" => row.try_get::<f64, _>(column).map_or(Cell::Null, Cell::Real),
        "NUMERIC" => value.as_bytes().ok().and_then(numeric).unwrap_or(Cell::Null),
        _ => row.try_get_unchecked(column).map_or(Cell::Null, Cell::Text),
    }
}

/// A decimal number as the smallest kind that holds it.
fn decimal(text: &str) -> Option<Cell> {
    let whole = || {
        text.parse()
            .ok()
            .map(|value: i128| i64::try_from(value).map_or(Cell::Big(value), Cell::Integer))
    };
    whole().or_else(|| text.parse().ok().map(Cell::Real))
}

/// PostgreSQL's binary NUMERIC: 16-bit numbers, which are how many digits of base 10,000 there are,
/// the power of the first, the sign, how many decimals are shown, and the digits.
fn numeric(bytes: &[u8]) -> Option<Cell> {
    let numbers: Vec<i16> =
        bytes.as_chunks().0.iter().map(|pair| i16::from_be_bytes(*pair)).collect();
    let [n, power, sign, decimals, digits @ ..] = &numbers[..] else { return None };
    let sign = match *sign as u16 {
        0 => "",
        0x4000 => "-",
        0xD000 => return Some(Cell::Real(f64::INFINITY)),
        0xF000 => return Some(Cell::Real(f64::NEG_INFINITY)),
        _ => return Some(Cell::Real(f64::NAN)),
    };
    let digits: String = digits.iter().map(|digit| format!("{digit:04}")).collect();
    match (4 * (i32::from(*power) + 1 - i32::from(*n)), decimals) {
        (zeros @ 0.., 0) => decimal(&format!("{sign}0{digits}{}", "0".repeat(zeros as usize))),
        (exponent, _) => format!("{sign}0{digits}e{exponent}").parse().ok().map(Cell::Real),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numerics_are_read_to_the_last_digit() {
        let bytes =
            |numbers: &[u16]| numbers.iter().flat_map(|n| n.to_be_bytes()).collect::<Vec<u8>>();
        for (numbers, text, expected) in [
            (&[0, 0, 0, 0][..], "0", Cell::Integer(0)),
            (&[1, 1, 0, 0, 7][..], "70000", Cell::Integer(70_000)),
            (&[2, 1, 0x4000, 0, 1, 2][..], "-10002", Cell::Integer(-10_002)),
            (
                &[6, 5, 0, 0, 100, 0, 0, 0, 0, 1][..],
                "10000000000000000000001",
                Cell::Big(10_i128.pow(22) + 1),
            ),
            (
                &[5, 4, 0, 0, 922, 3372, 368, 5477, 5808][..],
                "9223372036854775808",
                Cell::Big(1 << 63),
            ),
            (&[2, 0, 0, 2, 1, 5000][..], "1.50", Cell::Real(1.5)),
            (&[1, 0, 0, 4, 2][..], "2.0000", Cell::Real(2.0)),
            (&[1, -1_i16 as u16, 0x4000, 3, 10][..], "-0.001", Cell::Real(-0.001)),
            (&[0, 0, 0xF000, 0][..], "-Infinity", Cell::Real(f64::NEG_INFINITY)),
        ] {
            assert_eq!(
                (numeric(&bytes(numbers)), decimal(text)),
                (Some(expected.clone()), Some(expected)),
                "{text}"
            );
        }
        assert!(
            matches!(numeric(&bytes(&[0, 0, 0xC000, 0])), Some(Cell::Real(nan)) if nan.is_nan())
        );
        assert_eq!((numeric(&[1, 2, 3]), decimal("1,5")), (None, None));
    }
}
