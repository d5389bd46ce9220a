//! What of each trial's files is needed no more.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use outgrow_core::{KeepFinal, TrialState};
use outgrow_store::{Change, KeptCheckpoint, TrialFiles};
use outgrow_train::has_optimizer;

use crate::{
    disk::{entries, is_identity, name_of, size},
    workspace::Workspace,
};

/// A file or folder to be removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Waste {
    pub(super) path: PathBuf,
    /// That are free afterwards.
    pub(super) bytes: u64,
    pub(super) what: &'static str,
}

/// What is done in the database before files are removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum First {
    /// Nothing: it does not name them.
    Nothing,
    /// It forgets them.
    Change(Change),
    /// It gets another folder, with the weights of this one.
    Strip { trial: i64, old: KeptCheckpoint, from: PathBuf },
}

/// What is done, and what goes then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Task {
    pub(super) first: First,
    pub(super) waste: Vec<Waste>,
}

impl Task {
    /// Removes what the database does not name.
    pub(super) fn leftover(path: PathBuf, what: &'static str) -> Self {
        Self { first: First::Nothing, waste: vec![Waste { bytes: size(&path), path, what }] }
    }
}

/// What lies in the folder of checkpoints.
#[derive(Default)]
pub(super) struct Listed {
    /// In each trial's folder.
    pub(super) of_trial: BTreeMap<String, Vec<PathBuf>>,
    /// States of each that others begin from.
    pub(super) prefixes: BTreeMap<String, Vec<PathBuf>>,
}

impl Listed {
    pub(super) fn read(workspace: &Workspace) -> Self {
        let mut listed = Self::default();
        for path in entries(&workspace.all_checkpoints()) {
            let Some(name) = name_of(&path) else { continue };
            match name.split_once("-at-") {
                Some((trial, _)) if is_identity(trial) => {
                    listed.prefixes.entry(trial.to_owned()).or_default().push(path);
                }
                _ if is_identity(&name) => drop(listed.of_trial.insert(name, entries(&path))),
                _ => {}
            }
        }
        listed
    }
}

const UNFINISHED: &str = "folders that were never finished, or are not recorded";
const SPOOLS: &str = "events of trials that have ended";
const PREFIXES: &str = "states that no trial will begin from";
const OPTIMIZER: &str = "optimizer states of complete trials";
const OLDER: &str = "older checkpoints of complete trials";
const COMPLETE: &str = "checkpoints of complete trials";
pub(super) const LOOSE: &str = "checkpoints of trials that no sweep has";

/// Looks through the files of trials.
pub(super) struct Survey<'a> {
    workspace: &'a Workspace,
    listed: &'a Listed,
    keep: KeepFinal,
    pub(super) tasks: Vec<Task>,
    /// Recorded checkpoints that lie in no folder of this workspace.
    pub(super) elsewhere: Vec<PathBuf>,
}

impl<'a> Survey<'a> {
    pub(super) fn new(workspace: &'a Workspace, listed: &'a Listed, keep: KeepFinal) -> Self {
        Self { workspace, listed, keep, tasks: vec![], elsewhere: vec![] }
    }

    /// Nothing of a running trial: what it writes is recorded a moment later. Nor of recorded
    /// checkpoints that lie elsewhere: those of a copied database are the other's.
    pub(super) fn trial(&mut self, trial: &TrialFiles) {
        let elsewhere = self.elsewhere(trial);
        let are_here = elsewhere.is_empty();
        self.elsewhere.extend(elsewhere);
        match trial.state {
            TrialState::Running => {}
            _ if !trial.of_sweep && are_here => self.loose(trial),
            _ if !trial.of_sweep => {}
            state => {
                self.leftovers(trial, state);
                if state == TrialState::Complete && are_here {
                    self.complete(trial);
                }
            }
        }
    }

    fn elsewhere(&self, trial: &TrialFiles) -> Vec<PathBuf> {
        let folder = self.workspace.checkpoints(&trial.id);
        let found = trial.checkpoints.iter().map(|kept| Workspace::moved(&folder, &kept.path));
        found.filter(|path| path.parent() != Some(&folder) && path.exists()).collect()
    }

    fn loose(&mut self, trial: &TrialFiles) {
        let forgets = (!trial.checkpoints.is_empty())
            .then_some(First::Change(Change::ForgetAll { trial: trial.number }));
        let folder = self.workspace.checkpoints(&trial.id);
        let prefixes = self.listed.prefixes.get(&trial.id).into_iter().flatten().cloned();
        let there = folder.exists().then_some(folder);
        let waste = there.into_iter().chain(prefixes).map(|path| waste(path, LOOSE)).collect();
        let task = Task { first: forgets.unwrap_or(First::Nothing), waste };
        self.tasks.extend(Some(task).filter(|task| !task.waste.is_empty()));
    }

    /// What lies there and is not recorded, of a trial that nobody is at.
    fn leftovers(&mut self, trial: &TrialFiles, state: TrialState) {
        let nothing = vec![];
        let there = self.listed.of_trial.get(&trial.id).unwrap_or(&nothing);
        let has_ended = matches!(state, TrialState::Complete | TrialState::Diverged);
        let spooled = |path: &PathBuf| name_of(path).is_some_and(|name| name.starts_with("spool-"));
        // Its next attempt records what waits there, and checkpoints with it.
        if !has_ended && there.iter().any(spooled) {
            return;
        }
        let recorded: BTreeSet<String> = trial
            .checkpoints
            .iter()
            .map(|checkpoint| &checkpoint.path)
            .chain(&trial.needed)
            .filter_map(|path| name_of(Path::new(path)))
            .collect();
        let prefixes = self.listed.prefixes.get(&trial.id).unwrap_or(&nothing);
        for path in there.iter().chain(prefixes) {
            let Some(name) = name_of(path).filter(|name| !recorded.contains(name)) else {
                continue;
            };
            let what = match &*name {
                _ if name.contains("-at-") => PREFIXES,
                _ if name.starts_with("step-") => UNFINISHED,
                _ if name.starts_with("spool-") => SPOOLS,
                _ => continue,
            };
            self.tasks.push(Task::leftover(path.clone(), what));
        }
    }

    fn complete(&mut self, trial: &TrialFiles) {
        let folder = self.workspace.checkpoints(&trial.id);
        let at = |kept: &KeptCheckpoint| Workspace::moved(&folder, &kept.path);
        let [last, older @ ..] = &trial.checkpoints[..] else { return };
        let number = trial.number;
        let gone = |kept: &[KeptCheckpoint], what| -> Vec<Waste> {
            let there = kept.iter().map(at).filter(|path| path.exists());
            there.map(|path| waste(path, what)).collect()
        };
        match self.keep {
            KeepFinal::All => {}
            KeepFinal::None => {
                let first = First::Change(Change::ForgetAll { trial: number });
                self.tasks.push(Task { first, waste: gone(&trial.checkpoints, COMPLETE) });
            }
            KeepFinal::Weights => {
                let from = at(last);
                // Where the last is not whole, those before it are all that there is.
                let is_whole = ["checkpoint.json", "model.safetensors"]
                    .iter()
                    .all(|name| from.join(name).is_file());
                if !is_whole {
                    return;
                }
                if !older.is_empty() {
                    let change = Change::ForgetBefore { trial: number, step: last.step };
                    let first = First::Change(change);
                    self.tasks.push(Task { first, waste: gone(older, OLDER) });
                }
                if let Some(bytes) = has_optimizer(&from) {
                    let waste = vec![Waste { path: from.clone(), bytes, what: OPTIMIZER }];
                    let first = First::Strip { trial: number, old: last.clone(), from };
                    self.tasks.push(Task { first, waste });
                }
            }
        }
    }
}

fn waste(path: PathBuf, what: &'static str) -> Waste {
    Waste { bytes: size(&path), path, what }
}
