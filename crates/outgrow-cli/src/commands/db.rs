//! `outgrow db`.

mod check;
mod orphans;
mod repair;

use outgrow_store::{Address, Copied, Store};

use crate::{
    args::Db,
    failure::Failure,
    output::print,
    place::{Place, runtime},
};

/// What is done with whole databases.
pub fn db(place: &Place, args: &Db) -> Result<(), Failure> {
    match args {
        Db::Copy { from, to, sweep } => copy(from, to, sweep.as_deref()),
        Db::Upgrade => upgrade(place),
        Db::Check(what) => check::check(place, what),
        Db::Repair { what, remove_orphans } => repair::repair(place, what, *remove_orphans),
    }
}

fn upgrade(place: &Place) -> Result<(), Failure> {
    runtime()?.block_on(async {
        Store::open_existing(&place.db).await?.close().await;
        print(&format!("{} is up to date", Address::shown(&place.db)))
    })
}

fn copy(from: &str, to: &str, sweep: Option<&str>) -> Result<(), Failure> {
    let Copied { sweeps, new, updated, kept, rows } = runtime()?.block_on(async {
        let source = Store::open_read_only(from).await?;
        let sweep = match sweep {
            Some(wanted) => Some(source.find_sweep(wanted).await?.id),
            None => None,
        };
        let destination = Store::open(to).await?;
        let copied = source.copy_to(&destination, sweep.as_deref()).await?;
        destination.close().await;
        source.close().await;
        Ok::<_, Failure>(copied)
    })?;
    print(&format!(
        "{} now has {sweeps} more sweeps and {new} more trials; {updated} trials are further than before, {kept} were as far \
         already; {rows} rows were written",
        Address::shown(to)
    ))
}
