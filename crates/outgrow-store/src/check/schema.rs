//! Tables, views and indexes against those that this version makes. Of SQLite alone: a server shows
//! the text of a view as it understood it, and not as it was written.

use std::collections::BTreeMap;

use sqlx::{Connection, SqliteConnection};

use super::{finding::Finding, walk::Walk};
use crate::{
    StoreError,
    driver::{Row, Tx},
    migrations::SQLITE,
};

const OBJECTS: &str = "SELECT type, name, sql FROM sqlite_schema
    WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite~_%' ESCAPE '~' AND name NOT LIKE '~_sqlx%' ESCAPE '~'";

/// Kind and text of each table, view and index, by name.
type Objects = BTreeMap<String, (String, String)>;

impl Walk<'_> {
    /// Compares, and makes anew what can be; says whether the rest can be looked at.
    pub(super) async fn schema(&mut self) -> Result<bool, StoreError> {
        let Tx::Sqlite(_) = self.tx else { return Ok(true) };
        let read = |row: Row| Ok((row.get::<String>(1)?, (row.get(0)?, row.get(2)?)));
        let there: Objects = self.tx.map(OBJECTS, &[], read).await?.into_iter().collect();
        let mut is_readable = true;
        for (name, (what, sql)) in expected().await? {
            let missing = match there.get(&name) {
                Some((kind, text)) if *kind == what && same(text, &sql) => continue,
                found => found.is_none(),
            };
            self.found(Finding::Schema { what: what.clone(), name: name.clone(), missing });
            if what == "table" && !missing {
                continue;
            }
            self.mend(&format!("DROP {what} IF EXISTS \"{name}\""), &[]).await?;
            self.mend(&sql, &[]).await?;
            is_readable &= what != "table" || self.mends;
        }
        Ok(is_readable)
    }
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
