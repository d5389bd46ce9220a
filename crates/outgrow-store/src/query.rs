use sqlx::{AssertSqlSafe, Column, Row, TypeInfo, ValueRef};

use crate::{Store, StoreError};

/// The answer to a query of the user's.
#[derive(Clone, Debug, PartialEq)]
pub struct Table {
    /// Names of the columns.
    pub columns: Vec<String>,
    /// The rows.
    pub rows: Vec<Vec<Cell>>,
}

/// One value of an answer.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub enum Cell {
    Null,
    Integer(i64),
    Real(f64),
    Text(String),
}

impl Store {
    /// Answers one query. The store must have been opened for reading only: the query is the user's own text.
    ///
    /// # Errors
    /// If the query fails.
    pub async fn query(&self, sql: &str) -> Result<Table, StoreError> {
        use sqlx::Executor;
        let failed = |error: sqlx::Error| StoreError::Query(error.to_string());
        let described =
            self.pool.describe(sqlx::SqlSafeStr::into_sql_str(AssertSqlSafe(sql.to_owned()))).await.map_err(failed)?;
        let columns = described.columns().iter().map(|column| column.name().to_owned()).collect();
        let rows = sqlx::query(AssertSqlSafe(sql.to_owned())).fetch_all(&self.pool).await.map_err(failed)?;
        let cells = |row: &sqlx::sqlite::SqliteRow| (0..row.len()).map(|column| cell(row, column)).collect();
        Ok(Table { columns, rows: rows.iter().map(cells).collect() })
    }
}

fn cell(row: &sqlx::sqlite::SqliteRow, column: usize) -> Cell {
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
