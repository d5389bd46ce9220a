//! A word before a changed file goes under a name that is used.

use outgrow_core::Sweep;
use outgrow_report::escape::visible;
use outgrow_store::Store;

/// Tells if the database has another sweep of this one's name.
pub(crate) async fn tell(store: &Store, sweep: &Sweep, digest: &str) {
    let (name, id) = (&sweep.spec().name, sweep.id(digest));
    // What is wrong with a database is said by whoever needs it.
    let found = store.namesakes(name, &id).await.unwrap_or_default();
    let Some(newest) = found.first() else { return };
    let others = match found.len() {
        1 => "another sweep".to_owned(),
        n => format!("{n} other sweeps, the newest"),
    };
    tracing::info!(
        "the database has {others} of the name {}: {}; it differs from this file in: {}. Both are \
         kept; `report` and others \
         will ask for an identity, which begins with {} for this file. Another `name` in the file \
         keeps them apart",
        visible(name),
        newest.line(),
        newest.differs_from(&sweep.resolved(), digest),
        &id[..12],
    );
}
