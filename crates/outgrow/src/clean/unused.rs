//! What belongs to no sweep.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    time::Duration,
};

use outgrow_core::Sweep;
use outgrow_store::{SweepSummary, TrialFiles};

use super::survey::{LOOSE, Listed, Task};
use crate::{
    disk::{entries, is_identity, name_of},
    workspace::Workspace,
};

/// Whoever prepares a text or a model for a sweep records the sweep in less time.
const IN_PREPARATION: Duration = Duration::from_secs(3600);

/// Files of trials that the database does not have, unless other databases may keep theirs there.
pub(super) fn unknown(workspace: &Workspace, listed: &Listed, known: &[TrialFiles]) -> Vec<Task> {
    if !workspace.has_own_files() {
        return vec![];
    }
    let known: BTreeSet<&str> = known.iter().map(|trial| trial.id.as_str()).collect();
    let is_unknown = |trial: &String| !known.contains(trial.as_str());
    let folders = listed.of_trial.keys().filter(|trial| is_unknown(trial));
    let folders = folders.map(|trial| workspace.checkpoints(trial));
    let prefixes = listed.prefixes.iter().filter(|(trial, _)| is_unknown(trial));
    let prefixes = prefixes.flat_map(|(_, paths)| paths.clone());
    folders.chain(prefixes).map(|path| Task::leftover(path, LOOSE)).collect()
}

/// Prepared texts, and models that trials begin with, of no sweep.
pub(super) fn prepared(workspace: &Workspace, sweeps: &[SweepSummary]) -> Vec<Task> {
    if !workspace.has_own_files() {
        return vec![];
    }
    let start = |digest: &str| digest.get(..32).map(str::to_owned);
    let texts = sweeps.iter().filter_map(|sweep| start(&sweep.data_digest)).collect();
    let mut initials = BTreeSet::new();
    for sweep in sweeps {
        // Of a sweep that can't be read it is not known which model it begins with.
        let Ok(read) = Sweep::parse(&sweep.spec) else { return vec![] };
        initials.extend(read.spec().initial.digest.as_deref().and_then(start));
    }
    let text = of_no_sweep(&workspace.text(), &texts, "prepared texts of no sweep");
    let initial = workspace.initial("");
    let models = of_no_sweep(&initial, &initials, "models that no sweep begins with");
    text.into_iter().chain(models).collect()
}

/// What lies in a folder of things that are named by a digest.
fn of_no_sweep(folder: &Path, known: &BTreeSet<String>, what: &'static str) -> Vec<Task> {
    let is_unused = |path: &PathBuf| {
        let Some(name) = name_of(path) else { return false };
        let (stem, rest) = name.split_once('.').unwrap_or((&name, ""));
        is_identity(stem) && (rest.contains("tmp-") || !known.contains(stem)) && is_old(path)
    };
    let unused = entries(folder).into_iter().filter(is_unused);
    unused.map(|path| Task::leftover(path, what)).collect()
}

fn is_old(path: &Path) -> bool {
    let age = path.metadata().and_then(|found| found.modified()).map(|at| at.elapsed());
    age.is_ok_and(|age| age.is_ok_and(|age| age > IN_PREPARATION))
}
