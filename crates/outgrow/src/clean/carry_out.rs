//! Files go once the database names them no more.

use std::{
    fs::File,
    path::{Path, PathBuf},
    time::UNIX_EPOCH,
};

use outgrow_store::{Change, Store};
use outgrow_train::strip;

use super::survey::{First, Task};
use crate::{disk::remove, error::Error, workspace::Workspace};

/// Tasks for which the file system is synced once: that waits for what everybody has written.
const SYNCED_AT_ONCE: usize = 10_000;

/// Tasks of one transaction, for which workers wait.
const AT_ONCE: usize = 500;

/// Does what is to be done; gives what was.
pub(super) async fn carry_out(
    workspace: &Workspace,
    store: &Store,
    tasks: Vec<Task>,
) -> Result<Vec<Task>, Error> {
    store.forget_snapshots().await?;
    let mut done = vec![];
    for tasks in tasks.chunks(SYNCED_AT_ONCE) {
        let prepared: Vec<Prepared> = tasks.iter().filter_map(prepare).collect();
        if prepared.iter().any(|one| one.new.is_some()) {
            sync(&workspace.all_checkpoints())?;
        }
        for chunk in prepared.chunks(AT_ONCE) {
            done.extend(finish(store, chunk).await?);
        }
    }
    Ok(done)
}

/// Changes the database, then removes files; gives what was done.
async fn finish(store: &Store, prepared: &[Prepared<'_>]) -> Result<Vec<Task>, Error> {
    let changes: Vec<Change> = prepared.iter().filter_map(|one| one.change.clone()).collect();
    let mut changed = match changes.is_empty() {
        true => vec![],
        false => store.change_checkpoints(&changes).await?,
    }
    .into_iter();
    let mut done = vec![];
    for Prepared { task, change, new } in prepared {
        if change.is_none() || changed.next() == Some(true) {
            remove_all(task.waste.iter().map(|waste| waste.path.as_path()))?;
            done.push((*task).clone());
        } else {
            // Somebody trains it again, or was faster.
            remove_all(new.as_deref().into_iter())?;
        }
    }
    Ok(done)
}

struct Prepared<'a> {
    task: &'a Task,
    change: Option<Change>,
    /// The folder that was written for it.
    new: Option<PathBuf>,
}

/// Writes what a task needs; none, and a word about it, if that can't be.
fn prepare(task: &Task) -> Option<Prepared<'_>> {
    let (change, new) = match &task.first {
        First::Nothing => (None, None),
        First::Change(change) => (Some(change.clone()), None),
        First::Strip { trial, old, from } => {
            let new = beside(from);
            let (digest, bytes) = strip(from, &new, &old.digest)
                .map_err(|error| tracing::warn!("{error}; it is left as it is"))
                .ok()?;
            let path = new.display().to_string();
            let (trial, old) = (*trial, old.clone());
            (Some(Change::Replace { trial, old, path, digest, bytes }), Some(new))
        }
    };
    Some(Prepared { task, change, new })
}

/// A name that nobody else gives: `step-0000000100-1.w18c9a2f0b3d4e5f6`. Up to the point it is that
/// of the folder whose weights it has, as those who clear up after an attempt know it.
fn beside(folder: &Path) -> PathBuf {
    let nanoseconds = UNIX_EPOCH.elapsed().map_or(0, |elapsed| elapsed.as_nanos() as u64);
    let own = nanoseconds ^ u64::from(std::process::id()) << 48;
    let mut name = folder.file_name().unwrap_or_default().to_owned();
    name.push(format!(".w{own:016x}"));
    folder.with_file_name(name)
}

/// Everything that was written in the file system is on the disk afterwards: once for all.
fn sync(folder: &Path) -> Result<(), Error> {
    let failed = format!("cannot sync {}", folder.display());
    let synced = File::open(folder).and_then(|file| Ok(nix::unistd::syncfs(file)?));
    synced.map_err(Error::environment(failed))
}

fn remove_all<'a>(paths: impl Iterator<Item = &'a Path>) -> Result<(), Error> {
    for path in paths {
        remove(path).map_err(Error::environment(format!("cannot remove {}", path.display())))?;
    }
    Ok(())
}
