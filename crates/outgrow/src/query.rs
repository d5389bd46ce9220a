//! Answers of the database to a query, held in memory.

use outgrow_store::Table;

use crate::{
    error::Error,
    workspace::{Workspace, runtime},
};

impl Workspace {
    /// Answers one SQL query that only reads. All rows are held in memory; `outgrow query` streams
    /// them.
    ///
    /// # Errors
    /// If it is not one statement, does more than read, or fails.
    pub fn query(&self, sql: &str) -> Result<Table, Error> {
        runtime()?.block_on(async {
            let asked = self.reading().await?.ask(sql).await;
            let mut answer = asked.map_err(|error| error.hinted(sql))?;
            let mut table = Table { columns: answer.columns.clone(), rows: vec![] };
            while let Some(rows) = answer.next().await? {
                table.rows.extend(rows);
            }
            Ok(table)
        })
    }
}
