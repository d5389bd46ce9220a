//! A sweep goes, with its rows and files.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

use outgrow_core::Sweep;
use outgrow_runner::is_dead;
use outgrow_store::{Going, Holder, Store, SweepSummary};
use serde::Serialize;

use crate::{
    disk::{entries, name_of, remove, size},
    error::Error,
    readable::{bytes, count},
    repair::silent,
    workspace::{Workspace, runtime},
};

/// What goes with a sweep.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Removal {
    /// Its name.
    pub sweep: String,
    /// Its identity.
    pub id: String,
    /// Trials that no other sweep has.
    pub trials: u64,
    /// Trials that others have: they stay.
    pub shared: u64,
    /// Of the files that go.
    pub bytes: u64,
    #[serde(skip)]
    files: Vec<PathBuf>,
}

impl Removal {
    /// In a line.
    pub fn describe(&self) -> String {
        let Self { sweep, id, trials, shared, .. } = self;
        let (id, size) = (id.get(..12).unwrap_or(id), bytes(self.bytes));
        let stay = match shared {
            0 => String::new(),
            n => format!("; {} trials that other sweeps have, too, stay", count(*n as f64)),
        };
        let trials = count(*trials as f64);
        format!("{sweep} ({id}): {trials} trials with all their rows, and {size} of files{stay}")
    }
}

impl Workspace {
    /// What would go with a sweep of this name or identity.
    ///
    /// # Errors
    /// If there is no such sweep, several of its name, or somebody trains a trial that would go.
    pub fn removal(&self, wanted: &str) -> Result<Removal, Error> {
        runtime()?.block_on(async {
            let store = self.reading().await?;
            let sweep = store.find_sweep(wanted).await?;
            let (going, shared) = store.going(&sweep.id).await?;
            let silent = silent(&store).await?;
            let held = |trial: &&Going| {
                trial.holder.as_ref().is_some_and(|holder| is_at_work(holder, &silent))
            };
            refuse_held(&sweep.name, &going.iter().filter(held).cloned().collect::<Vec<_>>())?;
            // With those whose sweep was half removed: the removal goes on with them.
            let mut trials = store.loose_trials().await?;
            trials.extend(going.into_iter().map(|trial| trial.id));
            let mut files: Vec<PathBuf> = trials.iter().map(|id| self.checkpoints(id)).collect();
            let prefixes = self.prefixes();
            files.extend(trials.iter().filter_map(|id| prefixes.get(id)).flatten().cloned());
            files.extend(self.own_files(&sweep, &store.sweeps().await?));
            files.retain(|path| path.exists());
            Ok(Removal {
                trials: trials.len() as u64,
                bytes: files.iter().map(|path| size(path)).sum(),
                sweep: sweep.name,
                id: sweep.id,
                shared,
                files,
            })
        })
    }

    /// Removes a sweep with the rows and files of the trials that no other has. Whatever ends it
    /// half-way, the sweep is still there, and removing it again goes on.
    ///
    /// # Errors
    /// As of [`Workspace::removal`], and if the database or the disk refuses.
    pub fn remove(&self, removal: &Removal) -> Result<(), Error> {
        runtime()?.block_on(async {
            let store = self.store().await?;
            let removed = self.remove_from(&store, removal).await;
            store.close().await;
            removed
        })
    }

    async fn remove_from(&self, store: &Store, removal: &Removal) -> Result<(), Error> {
        let silent = silent(store).await?;
        let held = store.detach(&removal.id, &|holder| is_at_work(holder, &silent)).await?;
        refuse_held(&removal.sweep, &held)?;
        let prefixes = self.prefixes();
        let mut failed = None;
        let mut files = |id: &str| {
            let folder = self.checkpoints(id);
            let mut all = prefixes.get(id).into_iter().flatten().chain([&folder]);
            let removed = all.try_for_each(|path| self.remove_path(path));
            removed.map_err(|error| failed = Some(error)).is_ok()
        };
        while store.remove_some(&mut files).await? > 0 {}
        if let Some(error) = failed {
            return Err(error);
        }
        let sweeps = store.sweeps().await?;
        if let Some(sweep) = sweeps.iter().find(|sweep| sweep.id == removal.id) {
            self.own_files(sweep, &sweeps).iter().try_for_each(|path| self.remove_path(path))?;
        }
        Ok(store.remove_row(&removal.id).await?)
    }

    fn remove_path(&self, path: &std::path::Path) -> Result<(), Error> {
        remove(path).map_err(Error::environment(format!("cannot remove {}", path.display())))
    }

    /// States that others begin from, by the trial that they are of.
    fn prefixes(&self) -> BTreeMap<String, Vec<PathBuf>> {
        let mut found: BTreeMap<String, Vec<PathBuf>> = BTreeMap::new();
        for path in entries(&self.all_checkpoints()) {
            let Some(name) = name_of(&path) else { continue };
            if let Some((trial, _)) = name.split_once("-at-") {
                found.entry(trial.to_owned()).or_default().push(path);
            }
        }
        found
    }

    /// The text and the model of a sweep, where no other sweep, nor another database, can have
    /// them.
    fn own_files(&self, sweep: &SweepSummary, all: &[SweepSummary]) -> Vec<PathBuf> {
        if !self.has_own_files() {
            return vec![];
        }
        let others = || all.iter().filter(|other| other.id != sweep.id);
        let initial = |sweep: &SweepSummary| {
            let read = Sweep::parse(&sweep.spec).ok()?;
            read.spec().initial.digest.clone()
        };
        let mut own = vec![];
        if others().all(|other| other.data_digest != sweep.data_digest) {
            let start = sweep.data_digest.get(..32).unwrap_or(&sweep.data_digest);
            let is_own = |path: &PathBuf| name_of(path).is_some_and(|name| name.starts_with(start));
            own.extend(entries(&self.text()).into_iter().filter(is_own));
        }
        let models: BTreeSet<_> = others().filter_map(initial).collect();
        let model = initial(sweep).filter(|digest| !models.contains(digest));
        own.extend(model.map(|digest| self.initial(&digest)));
        own
    }
}

fn is_at_work(holder: &Holder, silent: &[Holder]) -> bool {
    !is_dead(holder) && !silent.contains(holder)
}

fn refuse_held(sweep: &str, held: &[Going]) -> Result<(), Error> {
    let [first, ..] = held else { return Ok(()) };
    let Some(Holder { host, pid, job, .. }) = &first.holder else { return Ok(()) };
    let stop = match job {
        Some(job) => format!("`scancel {job}` stops it"),
        None => format!("Ctrl-C where it was started, or `kill {pid}` on {host}, stops it"),
    };
    let more = match held.len() {
        1 => String::new(),
        n => format!(" (and {} more)", n - 1),
    };
    Err(Error::Environment(format!(
        "process {pid} on {host} trains {sweep}/{}{more}: {stop}, and its `outgrow run`, if there \
         is one; then remove the sweep. Nothing was removed",
        first.label
    )))
}
