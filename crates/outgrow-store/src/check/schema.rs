//! Tables, views and indexes against those that this version makes. Of SQLite alone: a server shows
//! the text of a view as it understood it, and not as it was written.

use std::collections::BTreeMap;

use sqlx::{Connection, SqliteConnection};

use outgrow_failpoint::Point;

use super::{finding::Finding, walk::Walk};
use crate::{
    Store, StoreError,
    driver::{Row, Tx},
    migrations::SQLITE,
};

const OBJECTS: &str = "SELECT type, name, sql FROM sqlite_schema
    WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite~_%' ESCAPE '~' AND name NOT LIKE '~_sqlx%' \
    ESCAPE '~'";

/// Kind and text of each table, view and index, by name.
type Objects = BTreeMap<String, (String, String)>;

/// What is wrong with the schema, and the statements that mend each.
async fn differing(tx: &mut Tx) -> Result<Vec<(Finding, Vec<String>)>, StoreError> {
    let Tx::Sqlite(_) = tx else { return Ok(vec![]) };
    let read = |row: Row| Ok((row.get::<String>(1)?, (row.get(0)?, row.get(2)?)));
    let there: Objects = tx.map(OBJECTS, &[], read).await?.into_iter().collect();
    let mut all = vec![];
    for (name, (what, sql)) in expected().await? {
        let missing = match there.get(&name) {
            Some((kind, text)) if *kind == what && same(text, &sql) => continue,
            found => found.is_none(),
        };
        let mends = match what == "table" && !missing {
            // Its rows are worth more than its form.
            true => vec![],
            false => vec![format!("DROP {what} IF EXISTS \"{name}\""), sql],
        };
        all.push((Finding::Schema { what, name, missing }, mends));
    }
    Ok(all)
}

impl Walk<'_> {
    /// Compares, and makes anew what can be.
    pub(super) async fn schema(&mut self) -> Result<(), StoreError> {
        for (finding, mends) in differing(&mut self.tx).await? {
            self.found(finding);
            for sql in mends {
                self.mend(&sql, &[]).await?;
            }
        }
        Ok(())
    }
}

impl Store {
    /// What is wrong with the schema, if tables are missing: without them nothing else can be
    /// looked at.
    ///
    /// # Errors
    /// If the database can't be read.
    pub async fn missing_tables(&self) -> Result<Vec<Finding>, StoreError> {
        let found = differing(&mut self.read().await?).await?.into_iter().map(|(found, _)| found);
        let mut found: Vec<Finding> = found.collect();
        found.sort_by_key(|found| !is_missing_table(found));
        Ok(if found.iter().any(is_missing_table) { found } else { vec![] })
    }

    /// Makes missing tables anew, without rows.
    ///
    /// # Errors
    /// If the database can't be written.
    pub async fn make_tables(&self) -> Result<(), StoreError> {
        let mut tx = self.write().await?;
        for (finding, mends) in differing(&mut tx).await? {
            if is_missing_table(&finding) {
                for sql in mends {
                    tx.execute(&sql, &[]).await?;
                }
            }
        }
        tx.commit(Point::CommitRepair).await
    }
}

/// Whether it says that a table is not there.
pub fn is_missing_table(finding: &Finding) -> bool {
    matches!(finding, Finding::Schema { what, missing: true, .. } if what == "table")
}

/// The same but for how it is laid out.
fn same(a: &str, b: &str) -> bool {
    a.split_whitespace().eq(b.split_whitespace())
}

/// What a new database has.
async fn expected() -> Result<Objects, StoreError> {
    let mut new = SqliteConnection::connect("sqlite::memory:").await?;
    SQLITE.run_direct(None, &mut new, false).await?;
    let objects: Vec<(String, String, String)> =
        sqlx::query_as(OBJECTS).fetch_all(&mut new).await?;
    new.close().await?;
    Ok(objects.into_iter().map(|(what, name, sql)| (name, (what, sql))).collect())
}
