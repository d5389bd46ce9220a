//! Files beside a database that belong to nothing in it.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use outgrow_core::{Sweep, TrialState};
use outgrow_store::Store;
use serde::Serialize;

use crate::{
    disk::{entries, is_identity, name_of, remove, size},
    error::Error,
    workspace::Workspace,
};

/// A file or folder that nothing in a database refers to.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[allow(missing_docs)]
pub struct Orphan {
    pub path: PathBuf,
    pub bytes: u64,
    pub what: &'static str,
}

/// What a spool that was put aside is called: the next attempt looks for `spool-`.
pub(super) const ASIDE: &str = "set-aside-spool-";

/// Names of recorded folders that are on disk, by trial.
pub(super) type There = BTreeMap<String, BTreeSet<String>>;

/// Looks through the folders of a workspace. What has no name of ours is nobody's business.
pub(super) async fn orphans(
    workspace: &Workspace,
    store: &Store,
    names: &There,
) -> Result<Vec<Orphan>, Error> {
    let sweeps = store.sweeps().await?;
    let initial =
        |spec: &str| Sweep::parse(spec).ok().and_then(|sweep| sweep.spec().initial.digest.clone());
    let texts: BTreeSet<String> =
        sweeps.iter().filter_map(|sweep| sweep.data_digest.get(..32).map(str::to_owned)).collect();
    let initials: BTreeSet<String> = sweeps
        .iter()
        .filter_map(|sweep| Some(initial(&sweep.spec)?.get(..32)?.to_owned()))
        .collect();
    let mut found = vec![];
    for path in entries(&workspace.all_checkpoints()) {
        let Some(name) = name_of(&path) else { continue };
        match name.split_once("-at-") {
            Some((trial, _)) if is_identity(trial) => {
                let is_recorded = names.get(trial).is_some_and(|names| names.contains(&name));
                found.extend(
                    (!is_recorded).then(|| orphan(path, "a state that no trial begins from")),
                );
            }
            _ if is_identity(&name) => match store.state_of(&name).await? {
                None => found.push(orphan(path, "of a trial that is not in this database")),
                Some(state) => found.extend(of_trial(&path, state, names.get(&name))),
            },
            _ => {}
        }
    }
    found.extend(of_digests(&workspace.text(), &texts, "prepared text of no sweep here"));
    let initial = workspace.initial("");
    found.extend(of_digests(&initial, &initials, "a model that no sweep here begins with"));
    Ok(found)
}

/// What lies in a trial's folder and is not recorded.
fn of_trial(folder: &Path, state: TrialState, recorded: Option<&BTreeSet<String>>) -> Vec<Orphan> {
    let what = |name: &str| match name {
        _ if recorded.is_some_and(|recorded| recorded.contains(name)) => None,
        _ if name.starts_with("step-") && name.contains(".tmp-") => {
            Some("a checkpoint that was never finished")
        }
        _ if name.starts_with("step-") => Some("a checkpoint that is not recorded"),
        // The next attempt writes what waits there.
        _ if name.starts_with("spool-")
            && matches!(state, TrialState::Complete | TrialState::Diverged) =>
        {
            Some("events of a trial that has ended")
        }
        _ if name.starts_with(ASIDE) => Some("events that a repair put aside"),
        _ => None,
    };
    entries(folder)
        .into_iter()
        .filter_map(|path| what(&name_of(&path)?).map(|what| orphan(path, what)))
        .collect()
}

/// What lies in a folder of things that are named by a digest.
fn of_digests(folder: &Path, known: &BTreeSet<String>, what: &'static str) -> Vec<Orphan> {
    let one = |path: PathBuf| {
        let name = name_of(&path)?;
        let (stem, rest) = name.split_once('.').unwrap_or((&name, ""));
        if !is_identity(stem) {
            return None;
        }
        match (rest.contains("tmp-"), known.contains(stem)) {
            (true, _) => Some(orphan(path, "never finished")),
            (false, false) => Some(orphan(path, what)),
            (false, true) => None,
        }
    };
    entries(folder).into_iter().filter_map(one).collect()
}

fn orphan(path: PathBuf, what: &'static str) -> Orphan {
    Orphan { bytes: size(&path), path, what }
}

/// Removes orphans; gives how many bytes they took.
///
/// # Errors
/// If one can't be removed.
pub fn remove_orphans(orphans: &[Orphan]) -> Result<u64, Error> {
    for Orphan { path, .. } in orphans {
        remove(path).map_err(Error::environment(format!("cannot remove {}", path.display())))?;
    }
    Ok(orphans.iter().map(|orphan| orphan.bytes).sum())
}
