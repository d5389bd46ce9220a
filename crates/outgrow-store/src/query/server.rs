//! A query on a PostgreSQL server: a cursor in a transaction that only reads, which the server
//! allows for one SELECT, WITH, VALUES or TABLE and nothing else. A superuser's query is asked in
//! the name of one who may read all tables, and neither the server's files nor its programs.

use sqlx::{
    AssertSqlSafe, Column, ConnectOptions, Executor, PgConnection, Row, SqlSafeStr, Statement,
    TypeInfo, ValueRef,
    postgres::{PgConnectOptions, PgRow},
};
use tokio::sync::mpsc;

use super::{BATCH_BYTES, BATCH_ROWS, Batch, ONE, PARAMETERS, Part, Told, size};
use crate::{Cell, StoreError, connect::ANSWER_TIMEOUT};

/// The first server that looks whether its client is still there, and that knows a user who may
/// only read.
const LOOKS: u32 = 140_000;
/// What carries out a text that the server has not looked at, ends another's work, or takes back
/// the name of a superuser; also with more letters behind it.
const FORBIDDEN: [&str; 18] = [
    "set_config",
    "query_to_xml",
    "cursor_to_xml",
    "ts_rewrite",
    "crosstab",
    "connectby",
    "dblink",
    "pg_terminate_backend",
    "pg_cancel_backend",
    // Older servers do not count these as writing.
    "lo_creat",
    "lo_put",
    "lo_from_bytea",
    "lo_import",
    "lo_export",
    "lo_unlink",
    "lo_open",
    "lo_truncate",
    "lowrite",
];

/// Answers a query; what goes wrong is told like an answer. Ends when nobody waits for it any more,
/// and the server ends it then.
pub(super) async fn answer(options: PgConnectOptions, sql: String, to: mpsc::Sender<Told>) {
    tokio::select! {
        // Whoever waited may have gone.
        done = tell(&options, &sql, &to) => if let Err(error) = done { let _ = to.send(Err(error)).await; },
        () = to.closed() => {}
    }
}

async fn tell(
    options: &PgConnectOptions,
    sql: &str,
    to: &mpsc::Sender<Told>,
) -> Result<(), StoreError> {
    if let Some(word) = forbidden(sql) {
        return Err(StoreError::Query(format!("`{word}` is not for queries, which may only read")));
    }
    let connecting = tokio::time::timeout(ANSWER_TIMEOUT, options.connect()).await;
    let mut connection = connecting.unwrap_or(Err(sqlx::Error::PoolTimedOut))?;
    begin(&mut connection).await?;
    let cursor = format!("DECLARE answer NO SCROLL CURSOR FOR {sql}");
    let declared =
        sqlx::query(AssertSqlSafe(cursor)).persistent(false).execute(&mut connection).await;
    declared.map_err(refused).map_err(|error| with_a_hint(error, sql))?;
    let columns =
        connection.prepare("FETCH FORWARD 1 FROM answer".into_sql_str()).await.map_err(refused)?;
    let columns = columns.columns().iter().map(|column| column.name().to_owned()).collect();
    let mut goes_on = to.send(Ok(Part::Columns(columns))).await.is_ok();
    let mut number = 1;
    while goes_on {
        // The server gathers them before it sends any, so that the first are few. As text: so that
        // any kind can be shown.
        let next = sqlx::raw_sql(AssertSqlSafe(format!("FETCH FORWARD {number} FROM answer")));
        let rows = next.fetch_all(&mut connection).await.map_err(refused)?;
        let rows: Batch = rows
            .iter()
            .map(|row| (0..row.len()).map(|column| cell(row, column)).collect())
            .collect();
        let is_large = rows.iter().flatten().map(size).sum::<usize>() > BATCH_BYTES / 2;
        number = if is_large { (number / 2).max(1) } else { (number * 2).min(BATCH_ROWS) };
        goes_on = !rows.is_empty() && to.send(Ok(Part::Rows(rows))).await.is_ok();
    }
    Ok(())
}

/// A word that no query may hold, by which it could do more than read. Escapes in names could hide
/// one.
fn forbidden(sql: &str) -> Option<&'static str> {
    let small = sql.to_lowercase();
    let mut words = small.split(|c: char| !c.is_alphanumeric() && c != '_');
    let found =
        words.find_map(|word| FORBIDDEN.into_iter().find(|forbidden| word.starts_with(forbidden)));
    found.or(small.contains("u&\"").then_some("U&\""))
}

async fn begin(connection: &mut PgConnection) -> Result<(), StoreError> {
    let looks = connection.server_version_num().is_some_and(|version| version >= LOOKS);
    if looks {
        // Not every system can tell it; then it notices when it sends the next row.
        let _ = sqlx::raw_sql("SET client_connection_check_interval = '200ms'")
            .execute(&mut *connection)
            .await;
    }
    // The whole answer will be fetched: let no plan hurry for its first rows.
    sqlx::raw_sql("SET cursor_tuple_fraction = 1").execute(&mut *connection).await?;
    sqlx::raw_sql("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        .execute(&mut *connection)
        .await?;
    let mighty = "SELECT rolsuper FROM pg_roles WHERE rolname = current_user";
    if looks
        && sqlx::query_scalar::<_, bool>(mighty).fetch_optional(&mut *connection).await?
            == Some(true)
    {
        sqlx::raw_sql("SET LOCAL ROLE pg_read_all_data").execute(&mut *connection).await?;
    }
    Ok(())
}

/// What the server says went wrong: with the query, or else with itself.
fn refused(error: sqlx::Error) -> StoreError {
    let sqlx::Error::Database(said) = &error else { return error.into() };
    let code = said.code().unwrap_or_default();
    match (&*code, code.get(..2).unwrap_or_default()) {
        ("08P01", _) => StoreError::Query(PARAMETERS.into()),
        ("42601", _) if said.message().contains("multiple commands") => {
            StoreError::Query(ONE.into())
        }
        (_, "08" | "53" | "58" | "XX") | ("57P01" | "57P02" | "57P03", _) => error.into(),
        _ => StoreError::Query(said.message().to_owned()),
    }
}

/// What is no query, the server tells as if a word were misspelled.
fn with_a_hint(error: StoreError, sql: &str) -> StoreError {
    let word = sql
        .trim_start_matches(|c: char| c.is_whitespace() || c == '(')
        .split(|c: char| !c.is_alphanumeric())
        .next();
    let is_query = word.is_some_and(|word| {
        ["select", "with", "values", "table", ""].contains(&word.to_lowercase().as_str())
    });
    match error {
        StoreError::Query(said) if !is_query => {
            StoreError::Query(format!("{said}; a query may only read: SELECT, WITH, VALUES, TABLE"))
        }
        other => other,
    }
}

fn cell(row: &PgRow, column: usize) -> Cell {
    let Ok(value) = row.try_get_raw(column) else { return Cell::Null };
    if value.is_null() {
        return Cell::Null;
    }
    let text = value.as_str().unwrap_or_default();
    let known = match value.type_info().name() {
        "INT8" | "INT4" | "INT2" | "OID" => text.parse().ok().map(Cell::Integer),
        "BOOL" => Some(Cell::Integer((text == "t").into())),
        "FLOAT8" | "FLOAT4" => text.parse().ok().map(Cell::Real),
        "NUMERIC" => Some(decimal(text)),
        "BYTEA" => text.strip_prefix("\\x").and_then(bytes).map(Cell::Blob),
        _ => None,
    };
    known.unwrap_or_else(|| Cell::Text(text.to_owned()))
}

/// A decimal number as the smallest kind that holds all of its digits.
fn decimal(text: &str) -> Cell {
    if let Ok(whole) = text.parse::<i128>() {
        return i64::try_from(whole).map_or(Cell::Big(whole), Cell::Integer);
    }
    let digits =
        if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { text };
    let real =
        text.parse::<f64>().ok().filter(|value| !value.is_finite() || value.to_string() == digits);
    real.map_or_else(|| Cell::Decimal(text.to_owned()), Cell::Real)
}

fn bytes(hex: &str) -> Option<Vec<u8>> {
    hex.as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_keep_their_digits() {
        for (text, expected) in [
            ("1", Cell::Integer(1)),
            ("-9223372036854775808", Cell::Integer(i64::MIN)),
            ("9223372036854775808", Cell::Big(1 << 63)),
            ("1.50", Cell::Real(1.5)),
            ("2.0000", Cell::Real(2.0)),
            ("-0.001", Cell::Real(-0.001)),
            ("0.1", Cell::Real(0.1)),
            ("0.33333333333333333333", Cell::Decimal("0.33333333333333333333".into())),
            ("9007199254740993.5", Cell::Decimal("9007199254740993.5".into())),
            ("-Infinity", Cell::Real(f64::NEG_INFINITY)),
        ] {
            assert_eq!(decimal(text), expected);
        }
        let huge = "9".repeat(60);
        assert_eq!(decimal(&huge), Cell::Decimal(huge));
        assert!(matches!(decimal("NaN"), Cell::Real(value) if value.is_nan()));
    }
}
