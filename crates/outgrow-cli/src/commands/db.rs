//! `outgrow db`.

mod check;
mod repair;

use std::path::{Path, PathBuf};

use clap::Subcommand;
use outgrow::{Error, Workspace, copy_database};
use outgrow_store::{Address, Copied};

use crate::output::print;

/// Copy, check and repair results databases
#[derive(Subcommand)]
pub enum Db {
    /// Copy a sweep, or all, from one database to another, whatever kind they are of
    ///
    /// Everything that was recorded is copied; if both have a trial, the more advanced one is
    /// kept. Checkpoints stay where they are: copy their folder, or name it with
    /// --files.
    Copy {
        /// Path or URL of the database to read
        from: String,
        /// Path or URL of the one to write; a SQLite file is created if need be
        to: String,
        /// Only the sweep of this name or identity
        #[arg(long, value_name = "NAME")]
        sweep: Option<String>,
    },
    /// Read results back that `outgrow export --format tables` wrote
    ///
    /// Sweeps go on from there: what is complete is not trained again. Checkpoints are not among the
    /// rows: a trial that was half-way begins anew.
    Import {
        /// Folders of Parquet files
        #[arg(required = true, value_name = "FOLDER")]
        folders: Vec<PathBuf>,
    },
    /// Bring a database of an older outgrow up to date; every row is kept
    ///
    /// `outgrow run` does so as well; commands that only show refuse an older database, and change
    /// none.
    Upgrade,
    /// Check that a database and its checkpoints are what was written: every row, every file; write
    /// nothing
    ///
    /// Says what is wrong, what `outgrow db repair` would make of it, what would be trained again,
    /// and which files belong to nothing. Trials in training are skipped. Exit code 1 if
    /// anything is wrong.
    Check(DbCheck),
    /// Mend what `outgrow db check` finds: save what can be read of a damaged file, and let
    /// `outgrow run` train again what is lost
    ///
    /// The old SQLite file is kept beside the new one. What was recorded and is whole stays; what
    /// was lost is trained again from the last good checkpoint, to the same numbers. On a server
    /// all is done in one transaction: `outgrow db copy` makes a copy before.
    Repair {
        #[command(flatten)]
        what: DbCheck,
        /// Also remove files that belong to nothing, unless another database keeps its files in the
        /// same folder
        #[arg(long)]
        remove_orphans: bool,
    },
}

/// What to check, or to repair.
#[derive(clap::Args)]
pub struct DbCheck {
    /// Path or URL of the database [default: that of --db]
    pub database: Option<String>,
    /// Print it as JSON
    #[arg(long)]
    pub json: bool,
}

/// What is done with whole databases.
pub fn db(place: &Workspace, args: &Db) -> Result<(), Error> {
    match args {
        Db::Copy { from, to, sweep } => copy(from, to, sweep.as_deref()),
        Db::Import { folders } => folders.iter().try_for_each(|folder| import(place, folder)),
        Db::Upgrade => upgrade(place),
        Db::Check(what) => check::check(place, what),
        Db::Repair { what, remove_orphans } => repair::repair(place, what, *remove_orphans),
    }
}

fn upgrade(place: &Workspace) -> Result<(), Error> {
    place.upgrade()?;
    print(&format!("{} is up to date", Address::shown(&place.db)))
}

fn copy(from: &str, to: &str, sweep: Option<&str>) -> Result<(), Error> {
    print_copied(to, copy_database(from, to, sweep)?)
}

fn import(place: &Workspace, folder: &Path) -> Result<(), Error> {
    print_copied(&place.db, place.import(folder)?)
}

fn print_copied(to: &str, copied: Copied) -> Result<(), Error> {
    let Copied { sweeps, new, updated, kept, rows } = copied;
    print(&format!(
        "{} now has {sweeps} more sweeps and {new} more trials; {updated} trials are further than \
         before, {kept} were as far \
         already; {rows} rows were written",
        Address::shown(to)
    ))
}
