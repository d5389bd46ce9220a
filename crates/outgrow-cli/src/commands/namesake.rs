//! A word before a changed file goes under a name that is used.

use outgrow_core::Sweep;
use outgrow_report::escape::visible;

use crate::{
    failure::Failure,
    place::{Place, runtime},
};

/// Says it, on standard error, if the database has another sweep of this one's name. Without a
/// database there is none.
pub fn tell(place: &Place, sweep: &Sweep, digest: &str) -> Result<(), Failure> {
    let (name, id) = (&sweep.spec().name, sweep.id(digest));
    let found = runtime()?.block_on(async {
        // What is wrong with a database is said by whoever needs it.
        match place.reading().await {
            Ok(store) => store.namesakes(name, &id).await.unwrap_or_default(),
            Err(_) => vec![],
        }
    });
    let Some(newest) = found.first() else { return Ok(()) };
    let others = match found.len() {
        1 => "another sweep".to_owned(),
        n => format!("{n} other sweeps, the newest"),
    };
    eprintln!(
        "note: the database has {others} of the name {}: {}; it differs from this file in: {}. Both are kept; `report` and others \
         will ask for an identity, which begins with {} for this file. Another `name` in the file keeps them apart",
        visible(name),
        newest.line(),
        newest.differs_from(&sweep.resolved(), digest),
        &id[..12],
    );
    Ok(())
}
