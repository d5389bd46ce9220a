//! What is wrong with a database and its files.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use outgrow_runner::{HEARTBEAT_EVERY, is_dead, this_process};
use outgrow_store::{
    Address, Finding, Held, Holder, Known, RecordedFolder, Report, Store, damage, is_missing_table,
    salvage,
};
use outgrow_train::{Checkpoint, Verified};
use tempfile::TempDir;

use super::orphans::{Orphan, There, orphans};
use crate::{
    disk::name_of,
    error::Error,
    workspace::{Workspace, runtime},
};

/// What was found in a database and beside it.
pub struct Survey {
    /// The database, as it may be shown.
    pub database: String,
    /// What is in the database, and what is wrong with it.
    pub report: Report,
    /// Who is at work.
    pub live: Vec<String>,
    /// Files that belong to nothing; none where that can't be told.
    pub orphans: Vec<Orphan>,
    /// Whether the database has lost some of what says which files belong to it.
    pub is_forgetful: bool,
    /// Recorded folders that are whole, and their size.
    pub folders: (u64, u64),
}

impl Survey {
    /// With what was found before. Where rows that name files are lost, no file is an orphan.
    pub(super) fn after(mut self, mut findings: Vec<Finding>) -> Self {
        findings.append(&mut self.report.findings);
        self.report.findings = findings;
        self.is_forgetful = self.report.findings.iter().any(Finding::hides_files);
        if self.is_forgetful {
            self.orphans.clear();
        }
        self
    }
}

impl Workspace {
    /// Looks at everything in the database and beside it, and changes nothing. `tell` hears where
    /// it is, often.
    ///
    /// # Errors
    /// If the database can't be read at all.
    pub fn check(&self, tell: &mut (dyn FnMut(&str) + Send)) -> Result<Survey, Error> {
        runtime()?.block_on(survey(self, tell))
    }
}

async fn survey(
    workspace: &Workspace,
    tell: &mut (dyn FnMut(&str) + Send),
) -> Result<Survey, Error> {
    let said = damage_of(workspace).await?;
    let (mut findings, mut _saved) =
        (said.iter().map(|said| damaged(said)).collect::<Vec<_>>(), None);
    let store = match said.is_empty() {
        true => workspace.reading().await?,
        // What can be read of it is looked at in a file of its own.
        false => {
            let folder =
                TempDir::new().map_err(Error::environment("cannot make a temporary folder"))?;
            let to = folder.path().join("saved.db").display().to_string();
            findings.extend(salvage(&path_of(workspace)?, &to, &mut |at: &str| tell(at)).await?);
            _saved = Some(folder);
            Store::open_read_only(&to).await?
        }
    };
    let survey = look(workspace, &store, false, tell).await?;
    store.close().await;
    Ok(survey.after(findings))
}

/// A larger file takes more than a second.
const LARGE: u64 = 64 << 20;

/// What the database itself says is wrong with a file; a server looks after its own.
pub(super) async fn damage_of(workspace: &Workspace) -> Result<Vec<String>, Error> {
    match Address::parse(&workspace.db)? {
        Address::File(path) => {
            let bytes = std::fs::metadata(&path).map_or(0, |found| found.len());
            if bytes > LARGE {
                tracing::info!("looking at the structure of {path}: {bytes} bytes");
            }
            Ok(damage(&path).await?)
        }
        Address::Server(_) => Ok(vec![]),
    }
}

pub(super) fn damaged(said: &str) -> Finding {
    Finding::Damage { said: said.to_owned() }
}

/// The path of a database that is a file.
pub(super) fn path_of(workspace: &Workspace) -> Result<String, Error> {
    match Address::parse(&workspace.db)? {
        Address::File(path) => Ok(path),
        Address::Server(_) => Err(Error::Input("that is no file".into())),
    }
}

/// Looks at a database that can be read, and at the files beside its workspace; mends it, if that
/// is wished.
pub(super) async fn look(
    workspace: &Workspace,
    store: &Store,
    mends: bool,
    tell: &mut (dyn FnMut(&str) + Send),
) -> Result<Survey, Error> {
    let database = Address::shown(&workspace.db);
    let mut missing = store.missing_tables().await?;
    if !missing.is_empty() && !mends {
        let report = Report { findings: missing, ..Report::default() };
        let (live, orphans, folders) = Default::default();
        return Ok(Survey { database, report, live, orphans, is_forgetful: false, folders });
    }
    if !missing.is_empty() {
        store.make_tables().await?;
        // The rest is found again.
        missing.retain(is_missing_table);
    }
    let silent = silent(store).await?;
    let is_dead = |holder: &Holder| is_dead(holder) || silent.contains(holder);
    let live: BTreeSet<i64> = store
        .all_held()
        .await?
        .into_iter()
        .filter(|held| !is_dead(&held.holder))
        .map(|held| held.trial)
        .collect();
    let mut files = Files::new(workspace, &live);
    store.recorded_folders(&mut |folder| files.take(&folder, tell)).await?;
    let Files { checkpoints, snapshots, cleared, due, there, whole, bytes, .. } = files;
    let known = Known { is_dead: &is_dead, checkpoints, snapshots, cleared, due };
    let mut report = match mends {
        true => store.mend(&known, &mut |at: &str| tell(at)).await?,
        false => store.examine(&known, &mut |at: &str| tell(at)).await?,
    };
    report.findings.splice(0..0, missing);
    // While a run goes on, what lies on disk may be recorded a moment later.
    let orphans = match live.is_empty() && report.live.is_empty() {
        true => orphans(workspace, store, &there).await,
        false => Ok(vec![]),
    };
    // Where a sweep is damaged, it is not known what belongs to it.
    let orphans = if report.findings.is_empty() { orphans? } else { orphans.unwrap_or_default() };
    let live = words(report.live.iter());
    Ok(Survey { database, report, live, orphans, is_forgetful: false, folders: (whole, bytes) })
}

/// Recorded folders, as they are found on disk.
struct Files<'a> {
    workspace: &'a Workspace,
    live: &'a BTreeSet<i64>,
    checkpoints: BTreeMap<(i64, u64), String>,
    snapshots: BTreeMap<(i64, u64), String>,
    cleared: BTreeMap<i64, u64>,
    due: BTreeSet<(i64, u64)>,
    there: There,
    whole: u64,
    bytes: u64,
    /// The trial whose newest checkpoint was the last to be looked at.
    seen: Option<i64>,
}

impl<'a> Files<'a> {
    fn new(workspace: &'a Workspace, live: &'a BTreeSet<i64>) -> Self {
        let (checkpoints, snapshots, cleared, due, there) = Default::default();
        Self {
            workspace,
            live,
            checkpoints,
            snapshots,
            cleared,
            due,
            there,
            whole: 0,
            bytes: 0,
            seen: None,
        }
    }

    /// Of a trial's checkpoints the newest first: those before it may have been removed when it was
    /// recorded.
    fn take(&mut self, recorded: &RecordedFolder, tell: &mut (dyn FnMut(&str) + Send)) {
        let RecordedFolder { number, step, snapshot, .. } = *recorded;
        if self.live.contains(&number) || self.cleared.contains_key(&number) && !snapshot {
            return;
        }
        tell(&format!("checkpoints of trial {}", recorded.trial));
        let folder = folder_of(self.workspace, recorded);
        let is_newest = self.seen.replace(number) != Some(number);
        if !folder.exists() && !is_newest && !snapshot {
            self.cleared.insert(number, step);
            return;
        }
        if let Some(name) = name_of(&folder) {
            self.there.entry(recorded.trial.clone()).or_default().insert(name);
        }
        match verify(&folder, recorded) {
            Ok(found) => {
                (self.whole, self.bytes) = (self.whole + 1, self.bytes + found.bytes);
                self.due.extend(
                    found
                        .progress
                        .filter(|progress| progress.evaluation_due)
                        .map(|_| (number, step)),
                );
            }
            Err(why) if snapshot => drop(self.snapshots.insert((number, step), why)),
            Err(why) => drop(self.checkpoints.insert((number, step), why)),
        }
    }
}

/// Where a recorded folder lies now.
fn folder_of(workspace: &Workspace, recorded: &RecordedFolder) -> PathBuf {
    let all = match recorded.snapshot {
        true => workspace.all_checkpoints(),
        false => workspace.checkpoints(&recorded.trial),
    };
    Workspace::moved(&all, &recorded.path)
}

/// A recorded folder that is as it was written.
fn verify(folder: &Path, recorded: &RecordedFolder) -> Result<Verified, String> {
    if !folder.exists() {
        return Err(format!("{} is not there", folder.display()));
    }
    let found = Checkpoint::verify(folder, recorded.digest.as_deref())
        .map_err(|error| error.to_string())?;
    match &found.progress {
        Some(progress) if progress.trial == recorded.trial && progress.at.step == recorded.step => {
            Ok(found)
        }
        _ => Err(format!("{} is of another trial or step", folder.display())),
    }
}

/// Holders on other machines that give no sign of life. Of those on this one it is known.
pub(crate) async fn silent(store: &Store) -> Result<Vec<Holder>, Error> {
    let here = this_process().host;
    let far = async || -> Result<Vec<Held>, Error> {
        Ok(store.all_held().await?.into_iter().filter(|held| held.holder.host != here).collect())
    };
    let before = far().await?;
    if before.is_empty() {
        return Ok(vec![]);
    }
    let wait = HEARTBEAT_EVERY * 5 / 2;
    let who = words(before.iter().map(|held| &held.holder)).join(", ");
    tracing::info!("listening for {} s for signs of life from {who}", wait.as_secs());
    tokio::time::sleep(wait).await;
    let after = far().await?;
    let is_silent =
        |then: &Held| after.iter().any(|now| now.attempt == then.attempt && now.beat == then.beat);
    Ok(before.into_iter().filter(is_silent).map(|held| held.holder).collect())
}

/// Who is at work on a database.
pub(super) async fn live(store: &Store) -> Result<Vec<String>, Error> {
    if !store.missing_tables().await?.is_empty() {
        // Nobody works at what has lost its tables.
        return Ok(vec![]);
    }
    let silent = silent(store).await?;
    let held = store.all_held().await?.into_iter().map(|held| held.holder);
    let live: Vec<Holder> =
        held.filter(|holder| !is_dead(holder) && !silent.contains(holder)).collect();
    Ok(words(live.iter()))
}

/// Holders, each once.
pub(super) fn words<'a>(holders: impl Iterator<Item = &'a Holder>) -> Vec<String> {
    let each: BTreeSet<String> =
        holders.map(|holder| format!("process {} on {}", holder.pid, holder.host)).collect();
    each.into_iter().collect()
}
