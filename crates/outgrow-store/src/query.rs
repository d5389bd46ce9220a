use crate::{Cell, Store, StoreError, driver::Row};

/// The answer to a query of the user's.
#[derive(Clone, Debug, PartialEq)]
pub struct Table {
    /// Names of the columns.
    pub columns: Vec<String>,
    /// The rows.
    pub rows: Vec<Vec<Cell>>,
}

impl Store {
    /// Answers one query. The store must have been opened for reading only: the query is the user's own text.
    ///
    /// # Errors
    /// If the query fails.
    pub async fn query(&self, sql: &str) -> Result<Table, StoreError> {
        // SQLite's driver would wait for ever for the statement that begins behind it.
        if sql.contains('\0') {
            return Err(StoreError::Query("a query holds no NUL character".into()));
        }
        let mut tx = self.read().await?;
        let (columns, rows) = tx.ask(sql).await.map_err(|error| StoreError::Query(error.to_string()))?;
        Ok(Table { columns, rows: rows.into_iter().map(|Row(cells)| cells).collect() })
    }
}
