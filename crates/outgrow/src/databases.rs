//! Whole databases: brought up to date, copied, read back from files.

use std::{collections::BTreeMap, path::Path};

use outgrow_store::{Copied, Store, carried_tables};

use crate::{
    error::Error,
    tables::read_parquet,
    workspace::{Workspace, runtime},
};

impl Workspace {
    /// Brings a database of an older outgrow up to date; every row is kept.
    ///
    /// # Errors
    /// If there is none, or it refuses.
    pub fn upgrade(&self) -> Result<(), Error> {
        runtime()?.block_on(async {
            Store::open_existing(&self.db).await?.close().await;
            Ok(())
        })
    }

    /// Reads a folder of tables, as exported by [`ExportFormat::Tables`](crate::ExportFormat), into
    /// the database, which is created if need be; trials that it knows already are brought to where
    /// they have come further.
    ///
    /// # Errors
    /// If a file is missing or holds something else, or the database refuses.
    pub fn import(&self, folder: &Path) -> Result<Copied, Error> {
        let table = |name: &str| {
            let rows = read_parquet(&folder.join(format!("{name}.parquet")))?;
            Ok::<_, Error>((name.to_owned(), rows))
        };
        let tables = carried_tables().map(table).collect::<Result<BTreeMap<_, _>, _>>()?;
        let scratch = tempfile::tempdir()?;
        let rows = scratch.path().join("rows.db");
        let refused = |error| {
            Error::Input(format!("{} holds no rows of outgrow's: {error}", folder.display()))
        };
        runtime()?.block_on(async {
            let source = Store::open(&rows.to_string_lossy()).await?;
            source.fill(&tables).await.map_err(refused)?;
            let destination = Store::open(&self.db).await?;
            let copied = source.copy_to(&destination, None).await?;
            destination.close().await;
            source.close().await;
            Ok(copied)
        })
    }
}

/// Copies a sweep (a name or an identity), or all, from one database to another; trials that both
/// know are brought to where they have come further. Both are paths or URLs; a SQLite file to write
/// is created if need be.
///
/// # Errors
/// If there is no such database or sweep, or one of the two refuses.
pub fn copy_database(from: &str, to: &str, sweep: Option<&str>) -> Result<Copied, Error> {
    let file = |path: &str| std::fs::canonicalize(path).ok();
    if file(from).is_some_and(|from| file(to) == Some(from)) {
        return Err(Error::Input(format!("{to} is the database itself; name another to copy to")));
    }
    runtime()?.block_on(async {
        let source = Store::open_read_only(from).await?;
        let sweep = match sweep {
            Some(wanted) => Some(source.find_sweep(wanted).await?.id),
            None => None,
        };
        let destination = Store::open(to).await?;
        let copied = source.copy_to(&destination, sweep.as_deref()).await?;
        destination.close().await;
        source.close().await;
        Ok(copied)
    })
}
