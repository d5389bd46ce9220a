//! Mends what a check finds, and keeps what there was.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use outgrow_failpoint::Point;
use outgrow_store::{Address, Finding, Store, back_up, salvage};

use super::{
    orphans::ASIDE,
    survey::{Survey, damage_of, damaged, live, look, path_of},
};
use crate::{
    disk::{entries, name_of},
    error::Error,
    workspace::{Workspace, runtime},
};

/// A database that was mended.
pub struct Mended {
    /// What was found, and mended.
    pub survey: Survey,
    /// Where the old state is kept, in words.
    pub kept: Option<String>,
}

impl Workspace {
    /// Mends what [`Workspace::check`] finds. The old file of SQLite is kept. `tell` hears where it
    /// is, often.
    ///
    /// # Errors
    /// If a run is live, or the database or the disk refuses.
    pub fn repair(&self, tell: &mut (dyn FnMut(&str) + Send)) -> Result<Mended, Error> {
        let (survey, kept) = runtime()?.block_on(mend(self, tell))?;
        Ok(Mended { survey, kept })
    }
}

/// Mends; gives what was found, and where the old state is kept.
async fn mend(
    workspace: &Workspace,
    tell: &mut (dyn FnMut(&str) + Send),
) -> Result<(Survey, Option<String>), Error> {
    let said = damage_of(workspace).await?;
    match said.is_empty() {
        true => mend_whole(workspace, tell).await,
        false => mend_damaged(workspace, &said, tell).await,
    }
}

/// A database whose structure is whole is mended where it is, in one transaction.
async fn mend_whole(
    workspace: &Workspace,
    tell: &mut (dyn FnMut(&str) + Send),
) -> Result<(Survey, Option<String>), Error> {
    let store = workspace.reading().await?;
    refuse_live(&store).await?;
    let found = look(workspace, &store, false, tell).await?;
    store.close().await;
    if found.report.findings.is_empty() {
        return Ok((found, None));
    }
    let kept = match Address::parse(&workspace.db)? {
        Address::File(path) => {
            let kept = beside(&path, "before-repair");
            back_up(&path, &kept).await?;
            Some(format!("the old file is kept as {kept}"))
        }
        Address::Server(_) => None,
    };
    set_aside_spools(workspace, &found)?;
    let store = workspace.store().await?;
    let mended = mend_all(workspace, &store, tell).await?;
    store.close().await;
    Ok((mended.after(vec![]), kept))
}

/// What can be read of a damaged file goes into a new one, which is mended and takes its workspace.
async fn mend_damaged(
    workspace: &Workspace,
    said: &[String],
    tell: &mut (dyn FnMut(&str) + Send),
) -> Result<(Survey, Option<String>), Error> {
    let path = path_of(workspace)?;
    let aside = format!("{path}.repairing-{}", std::process::id());
    remove_database(&aside).map_err(Error::environment(format!("cannot remove {aside}")))?;
    let mut findings: Vec<Finding> = said.iter().map(|said| damaged(said)).collect();
    let saved = salvage(&path, &aside, &mut |at: &str| tell(at)).await;
    if saved.is_err() {
        let _ = remove_database(&aside);
    }
    findings.extend(saved?);
    let store = Store::open(&aside).await?;
    if let Err(failure) = refuse_live(&store).await {
        store.close().await;
        let _ = remove_database(&aside);
        return Err(failure);
    }
    let mended = mend_all(workspace, &store, tell).await?.after(findings);
    store.close().await;
    set_aside_spools(workspace, &mended)?;
    let kept = beside(&path, "damaged");
    exchange(&path, &aside, &kept).map_err(Error::environment(format!(
        "cannot put the repaired file in the place of {path}"
    )))?;
    Ok((mended, Some(format!("the damaged file is kept as {kept}"))))
}

/// Mends until nothing is found any more: a trial that is known again may have more that is wrong.
async fn mend_all(
    workspace: &Workspace,
    store: &Store,
    tell: &mut (dyn FnMut(&str) + Send),
) -> Result<Survey, Error> {
    let (mut findings, mut again) = (vec![], vec![]);
    for _ in 0..MOST_TIMES {
        let mut survey = look(workspace, store, true, tell).await?;
        let is_whole = survey.report.findings.is_empty();
        findings.append(&mut survey.report.findings);
        again.append(&mut survey.report.again);
        if is_whole {
            (survey.report.findings, survey.report.again) = (findings, again);
            return Ok(survey);
        }
    }
    let last = findings.last().map(Finding::to_string).unwrap_or_default();
    Err(Error::Environment(format!("it could not be mended: {last}")))
}

/// Twice is enough; the last time nothing is found.
const MOST_TIMES: usize = 4;

async fn refuse_live(store: &Store) -> Result<(), Error> {
    let live = live(store).await?;
    match live.is_empty() {
        true => Ok(()),
        false => {
            let who = live.join(", ");
            Err(Error::Environment(format!(
                "a run is live ({who}); stop it first, then repair: nothing was changed"
            )))
        }
    }
}

/// Events that wait on disk for a trial that goes on from before them would skip what is trained
/// again. Done before the database is mended: what ends between the two leaves something to mend,
/// and so this to be done again.
fn set_aside_spools(workspace: &Workspace, survey: &Survey) -> Result<(), Error> {
    for again in &survey.report.again {
        for path in entries(&workspace.checkpoints(&again.trial.trial)) {
            let number =
                name_of(&path).and_then(|name| name.strip_prefix("spool-").map(str::to_owned));
            if let Some(number) = number {
                let aside = path.with_file_name(format!("{ASIDE}{number}"));
                fs::rename(&path, aside)
                    .map_err(Error::environment(format!("cannot rename {}", path.display())))?;
            }
        }
    }
    Ok(())
}

/// A name beside a file, with the date in UTC, that nothing has:
/// `outgrow.db.damaged-2026-11-25-194500`.
fn beside(path: &str, what: &str) -> String {
    let now = chrono::DateTime::from(std::time::SystemTime::now());
    let second = |n| now + chrono::TimeDelta::seconds(n);
    let named = |at: chrono::DateTime<chrono::Utc>| {
        format!("{path}.{what}-{}", at.format("%Y-%m-%d-%H%M%S"))
    };
    (0..)
        .map(|n| named(second(n)))
        .find(|name| !Path::new(name).exists())
        .expect("there are many seconds")
}

/// The files of a SQLite database.
fn files_of(path: &str) -> [PathBuf; 3] {
    ["", "-wal", "-shm"].map(|ending| PathBuf::from(format!("{path}{ending}")))
}

fn remove_database(path: &str) -> io::Result<()> {
    for file in files_of(path).iter().filter(|file| file.exists()) {
        fs::remove_file(file)?;
    }
    Ok(())
}

/// Keeps a damaged file under another name, its log with it, and puts the new one in its workspace.
/// Whatever ends this half-way, the kept one is whole first.
fn exchange(path: &str, new: &str, kept: &str) -> io::Result<()> {
    for (from, to) in
        files_of(path).iter().zip(files_of(kept)).take(2).filter(|(from, _)| from.exists())
    {
        fs::copy(from, &to)?;
        Point::RepairKeepSync.around(|| File::open(&to)?.sync_all())?;
    }
    Point::RepairSync.around(|| File::open(new)?.sync_all())?;
    // The old log must not be taken for the new file's.
    for log in files_of(path).iter().skip(1).filter(|log| log.exists()) {
        fs::remove_file(log)?;
    }
    Point::RepairRename.around(|| fs::rename(new, path))?;
    let folder = Path::new(path).parent().filter(|folder| !folder.as_os_str().is_empty());
    Point::RepairPlaceSync.around(|| File::open(folder.unwrap_or(Path::new(".")))?.sync_all())
}
