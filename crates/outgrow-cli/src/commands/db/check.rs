//! `outgrow db check`: what is wrong with a database and its files.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use outgrow_runner::{HEARTBEAT_EVERY, is_dead, this_process};
use outgrow_store::{
    Address, Finding, Held, Holder, Known, RecordedFolder, Report, Store, damage, salvage,
};
use outgrow_train::{Checkpoint, Verified};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::orphans::{Orphan, There, name_of, orphans};
use crate::{
    args::DbCheck,
    failure::Failure,
    output::{count, flops, print, print_json},
    place::{Place, runtime},
};

/// What was found in a database and beside it.
pub(super) struct Survey {
    pub report: Report,
    /// Who is at work.
    pub live: Vec<String>,
    pub orphans: Vec<Orphan>,
    /// Recorded folders that are whole, and their size.
    pub folders: (u64, u64),
}

/// Looks at everything, changes nothing.
pub fn check(place: &Place, args: &DbCheck) -> Result<(), Failure> {
    let place = of(place, args);
    let survey = runtime()?.block_on(survey(&place))?;
    match args.json {
        true => print_json(&as_json(&place, &survey))?,
        false => print(&as_text(&place, &survey))?,
    }
    match survey.report.findings.len() {
        0 => Ok(()),
        n => Err(Failure::Result(format!(
            "{n} things are wrong (see above); `outgrow db repair` mends them{}",
            if survey.live.is_empty() { "" } else { ", once nothing runs" }
        ))),
    }
}

/// The place of the database that was named.
pub(super) fn of(place: &Place, args: &DbCheck) -> Place {
    Place::new(args.database.clone().unwrap_or_else(|| place.db.clone()), place.files.clone())
}

async fn survey(place: &Place) -> Result<Survey, Failure> {
    let mut slow = Slow::new();
    let said = damage_of(place).await?;
    let (mut findings, mut _saved) =
        (said.iter().map(|said| damaged(said)).collect::<Vec<_>>(), None);
    let store = match said.is_empty() {
        true => place.reading().await?,
        // What can be read of it is looked at in a file of its own.
        false => {
            let folder =
                TempDir::new().map_err(Failure::environment("cannot make a temporary folder"))?;
            let to = folder.path().join("saved.db").display().to_string();
            findings.extend(salvage(&path_of(place)?, &to, &mut |at| slow.tell(at)).await?);
            _saved = Some(folder);
            Store::open_read_only(&to).await?
        }
    };
    let mut survey = look(place, &store, false, &mut slow).await?;
    findings.append(&mut survey.report.findings);
    survey.report.findings = findings;
    store.close().await;
    Ok(survey)
}

/// A larger file takes more than a second.
const LARGE: u64 = 64 << 20;

/// What the database itself says is wrong with a file; a server looks after its own.
pub(super) async fn damage_of(place: &Place) -> Result<Vec<String>, Failure> {
    match Address::parse(&place.db)? {
        Address::File(path) => {
            let bytes = std::fs::metadata(&path).map_or(0, |found| found.len());
            if bytes > LARGE {
                eprintln!("looking at the structure of {path}: {bytes} bytes");
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
pub(super) fn path_of(place: &Place) -> Result<String, Failure> {
    match Address::parse(&place.db)? {
        Address::File(path) => Ok(path),
        Address::Server(_) => Err(Failure::Input("that is no file".into())),
    }
}

/// Looks at a database that can be read, and at the files beside its place; mends it, if that is
/// wished.
pub(super) async fn look(
    place: &Place,
    store: &Store,
    mends: bool,
    slow: &mut Slow,
) -> Result<Survey, Failure> {
    let silent = silent(store).await?;
    let is_dead = |holder: &Holder| is_dead(holder) || silent.contains(holder);
    let live: BTreeSet<i64> = store
        .all_held()
        .await?
        .into_iter()
        .filter(|held| !is_dead(&held.holder))
        .map(|held| held.trial)
        .collect();
    let mut files = Files::new(place, &live);
    store.recorded_folders(&mut |folder| files.take(&folder, slow)).await?;
    let Files { checkpoints, snapshots, cleared, due, there, whole, bytes, .. } = files;
    let known = Known { is_dead: &is_dead, checkpoints, snapshots, cleared, due };
    let mut tell = |at: &str| slow.tell(at);
    let report = match mends {
        true => store.mend(&known, &mut tell).await?,
        false => store.examine(&known, &mut tell).await?,
    };
    // While a run goes on, what lies on disk may be recorded a moment later.
    let orphans = match live.is_empty() && report.live.is_empty() {
        true => orphans(place, store, &there).await,
        false => Ok(vec![]),
    };
    // Where a sweep is damaged, it is not known what belongs to it.
    let orphans = if report.findings.is_empty() { orphans? } else { orphans.unwrap_or_default() };
    Ok(Survey { live: words(report.live.iter()), report, orphans, folders: (whole, bytes) })
}

/// Recorded folders, as they are found on disk.
struct Files<'a> {
    place: &'a Place,
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
    fn new(place: &'a Place, live: &'a BTreeSet<i64>) -> Self {
        let (checkpoints, snapshots, cleared, due, there) = Default::default();
        Self {
            place,
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
    fn take(&mut self, recorded: &RecordedFolder, slow: &mut Slow) {
        let RecordedFolder { number, step, snapshot, .. } = *recorded;
        if self.live.contains(&number) || self.cleared.contains_key(&number) && !snapshot {
            return;
        }
        slow.tell(&format!("checkpoints of trial {}", recorded.trial));
        let folder = folder_of(self.place, recorded);
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
fn folder_of(place: &Place, recorded: &RecordedFolder) -> PathBuf {
    let all = match recorded.snapshot {
        true => place.all_checkpoints(),
        false => place.checkpoints(&recorded.trial),
    };
    Place::moved(&all, &recorded.path)
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
async fn silent(store: &Store) -> Result<Vec<Holder>, Failure> {
    let here = this_process().host;
    let far = async || -> Result<Vec<Held>, Failure> {
        Ok(store.all_held().await?.into_iter().filter(|held| held.holder.host != here).collect())
    };
    let before = far().await?;
    if before.is_empty() {
        return Ok(vec![]);
    }
    let wait = HEARTBEAT_EVERY * 5 / 2;
    let who = words(before.iter().map(|held| &held.holder)).join(", ");
    eprintln!("listening for {} s for signs of life from {who}", wait.as_secs());
    tokio::time::sleep(wait).await;
    let after = far().await?;
    let is_silent =
        |then: &Held| after.iter().any(|now| now.attempt == then.attempt && now.beat == then.beat);
    Ok(before.into_iter().filter(is_silent).map(|held| held.holder).collect())
}

/// Who is at work on a database.
pub(super) async fn live(store: &Store) -> Result<Vec<String>, Failure> {
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

pub(super) fn as_json(place: &Place, survey: &Survey) -> Value {
    let Survey { report, live, orphans, folders } = survey;
    let finding = |finding: &Finding| {
        let mut value = serde_json::to_value(finding).expect("plain data");
        value["text"] = finding.to_string().into();
        value["remedy"] = finding.remedy().into();
        value
    };
    json!({
        "database": Address::shown(&place.db), "whole": report.findings.is_empty(), "live": live,
        "sweeps": report.sweeps, "trials": report.trials, "held": report.held, "rows": report.rows, "unsealed_rows": report.unsealed,
        "checkpoints": folders.0, "checkpoint_bytes": folders.1, "findings": report.findings.iter().map(finding).collect::<Vec<_>>(),
        "again": report.again, "orphans": orphans, "unknown_sweeps": report.unknown,
        "again_tokens": report.again.iter().map(|again| again.tokens).sum::<u64>(),
        "orphan_bytes": orphans.iter().map(|orphan| orphan.bytes).sum::<u64>(),
    })
}

pub(super) fn as_text(place: &Place, survey: &Survey) -> String {
    let Survey { report, live, orphans, folders: (folders, bytes) } = survey;
    let states: Vec<String> =
        report.trials.iter().map(|(state, n)| format!("{n} {state}")).collect();
    let mut lines = vec![format!(
        "{}: {} sweeps, {} trials ({}); whole are {} rows and {folders} checkpoints of {bytes} bytes",
        Address::shown(&place.db),
        report.sweeps,
        report.trials.values().sum::<u64>(),
        if states.is_empty() { "none".into() } else { states.join(", ") },
        report.rows,
    )];
    if !live.is_empty() {
        lines.push(format!(
            "a run is live ({}): its {} trials, and what lies on disk beside what is recorded, were not looked at",
            live.join(", "),
            report.held
        ));
    }
    if report.unsealed > 0 {
        lines.push(format!(
            "{} of the rows were written before rows carried checksums: only what follows from their trial was compared",
            report.unsealed
        ));
    }
    for name in &report.unknown {
        lines.push(format!(
            "sweep {name:?}: this version reads its text otherwise, so its places were not compared"
        ));
    }
    for finding in &report.findings {
        lines.push(format!("wrong: {finding}: {}", finding.remedy()));
    }
    for again in &report.again {
        let from = if again.from_step == 0 {
            "its beginning".into()
        } else {
            format!("step {}", again.from_step)
        };
        lines.push(format!(
            "again: {} is trained from {from} to step {}: {} tokens, {}",
            again.trial,
            again.to_step,
            count(again.tokens as f64),
            flops(again.train_flops)
        ));
    }
    for Orphan { path, bytes, what } in orphans {
        lines.push(format!("orphan: {} ({bytes} bytes): {what}", path.display()));
    }
    if !orphans.is_empty() {
        lines.push("orphans do no harm; `outgrow db repair --remove-orphans` removes them".into());
    }
    if report.findings.is_empty() && live.is_empty() {
        lines.push("all is what was written".into());
    }
    lines.join("\n")
}

/// Says where long work is, once it is long.
pub(super) struct Slow {
    last: Instant,
}

impl Slow {
    pub fn new() -> Self {
        Self { last: Instant::now() }
    }

    pub fn tell(&mut self, at: &str) {
        if self.last.elapsed() >= Duration::from_secs(1) {
            self.last = Instant::now();
            eprintln!("looking at {at}");
        }
    }
}

/// Size of a file, or of all in a folder.
pub(super) fn size(path: &Path) -> u64 {
    let Ok(found) = std::fs::symlink_metadata(path) else { return 0 };
    if !found.is_dir() {
        return found.len();
    }
    std::fs::read_dir(path).into_iter().flatten().flatten().map(|entry| size(&entry.path())).sum()
}
