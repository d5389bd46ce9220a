//! Whole databases: brought up to date, copied.

use outgrow_store::{Copied, Store};

use crate::{
    error::Error,
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
