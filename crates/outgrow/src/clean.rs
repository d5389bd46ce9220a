//! Files that no trial needs any more are removed.

mod carry_out;
mod survey;
mod unused;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{File, TryLockError},
    path::PathBuf,
};

use outgrow_core::KeepFinal;
use serde::Serialize;
use serde_json::{Value, json};

use self::survey::{Listed, Survey, Task};
use crate::{
    error::Error,
    readable::{bytes, count, table},
    workspace::{Workspace, runtime},
};

/// What is cleaned.
#[derive(Clone, Debug, Default)]
pub struct CleanOptions {
    /// Names or identities of sweeps whose trials are looked at; all, and what belongs to none, if
    /// none is named.
    pub sweeps: Vec<String>,
    /// What stays of the checkpoints of a complete trial.
    pub keep_final: KeepFinal,
    /// Only say what would go.
    pub dry_run: bool,
}

/// Files of one kind that were removed, or would be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Garbage {
    /// What they were.
    pub what: &'static str,
    /// Folders and files.
    pub items: u64,
    /// Bytes of all.
    pub bytes: u64,
}

/// What was removed, or would be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cleaned {
    /// Kind by kind.
    pub garbage: Vec<Garbage>,
    /// Whether it only would be.
    pub dry_run: bool,
    /// Recorded checkpoints outside the folder of this database's files, as those of one that was
    /// copied: they were left.
    pub elsewhere: Vec<PathBuf>,
}

impl Cleaned {
    /// Bytes of all.
    pub fn bytes(&self) -> u64 {
        self.garbage.iter().map(|garbage| garbage.bytes).sum()
    }

    /// All of it, for programs.
    pub fn as_json(&self) -> Value {
        json!({ "removed": !self.dry_run, "bytes": self.bytes(), "garbage": self.garbage,
                "elsewhere": self.elsewhere.len() })
    }

    /// All of it, for people; the table `fits` the terminal if it is to.
    pub fn describe(&self, fits: bool) -> String {
        let left = self.left().map_or_else(String::new, |left| format!("\n{left}"));
        let freed = bytes(self.bytes());
        if self.garbage.is_empty() {
            return format!("there is nothing to remove{left}");
        }
        let row =
            |one: &Garbage| vec![one.what.to_owned(), count(one.items as f64), bytes(one.bytes)];
        let rows: Vec<_> = self.garbage.iter().map(row).collect();
        let [header, end] = match self.dry_run {
            true => ["would be removed", "in all; without --dry-run it is removed"],
            false => ["removed", "in all"],
        };
        format!(
            "{}\n\n{freed} {end}{left}",
            table(&[header, "number", "size"], &rows, &[1, 2], fits)
        )
    }
}

impl Cleaned {
    /// What was left, for it is not in this database's folder.
    fn left(&self) -> Option<String> {
        let trial = self.elsewhere.first()?.parent()?;
        let (n, folder) = (count(self.elsewhere.len() as f64), trial.parent().unwrap_or(trial));
        Some(format!(
            "{n} checkpoints lie elsewhere, as in {}, and were left with their rows: this database \
             is a copy, or was moved without its files",
            folder.display()
        ))
    }
}

impl Workspace {
    /// Removes what no trial needs any more: folders that were never finished or are not recorded,
    /// of complete trials the optimizer's state and all checkpoints but the last, states that no
    /// trial will begin from, and, if no sweep is named, what belongs to none. What a running trial
    /// has is not touched, nor what lies in no folder of this workspace.
    ///
    /// # Errors
    /// If there is no such sweep or database, another clean is at work, or the disk refuses.
    pub fn clean(&self, options: &CleanOptions) -> Result<Cleaned, Error> {
        runtime()?.block_on(clean(self, options))
    }
}

async fn clean(workspace: &Workspace, options: &CleanOptions) -> Result<Cleaned, Error> {
    let reading = workspace.reading().await?;
    let mut chosen: Option<BTreeSet<String>> = None;
    for wanted in &options.sweeps {
        let sweep = reading.find_sweep(wanted).await?;
        chosen.get_or_insert_default().extend(reading.trials_of(&sweep.id).await?);
    }
    let _alone = if options.dry_run { None } else { lock(workspace)? };
    // First what is there, then what is recorded: what was recorded meanwhile is not taken for a
    // leftover.
    let listed = Listed::read(workspace);
    let files = reading.trial_files().await?;
    let mut survey = Survey::new(workspace, &listed, options.keep_final);
    for trial in &files {
        if chosen.as_ref().is_none_or(|chosen| chosen.contains(&trial.id)) {
            survey.trial(trial);
        }
    }
    if chosen.is_none() {
        survey.tasks.extend(unused::unknown(workspace, &listed, &files));
        survey.tasks.extend(unused::prepared(workspace, &reading.sweeps().await?));
    }
    let elsewhere = survey.elsewhere;
    let done = match options.dry_run {
        true => survey.tasks,
        false => {
            let store = workspace.store().await?;
            let done = carry_out::carry_out(workspace, &store, survey.tasks).await;
            store.close().await;
            done?
        }
    };
    Ok(Cleaned { garbage: summed(&done), dry_run: options.dry_run, elsewhere })
}

/// Two at once would take each other's new folders for leftovers.
fn lock(workspace: &Workspace) -> Result<Option<File>, Error> {
    let folder = workspace.all_checkpoints();
    if !folder.is_dir() {
        return Ok(None);
    }
    let path = folder.join("clean.lock");
    let failed = |error| Error::environment(format!("cannot lock {}", path.display()))(error);
    let file = File::create(&path).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => {
            let path = path.display();
            Err(Error::Environment(format!(
                "another `outgrow clean` is at work on these files (it holds {path}); wait for it"
            )))
        }
        Err(TryLockError::Error(error)) => Err(failed(error)),
    }
}

fn summed(tasks: &[Task]) -> Vec<Garbage> {
    let mut kinds: BTreeMap<&'static str, (u64, u64)> = BTreeMap::new();
    for waste in tasks.iter().flat_map(|task| &task.waste) {
        let (items, bytes) = kinds.entry(waste.what).or_default();
        (*items, *bytes) = (*items + 1, *bytes + waste.bytes);
    }
    kinds.into_iter().map(|(what, (items, bytes))| Garbage { what, items, bytes }).collect()
}
