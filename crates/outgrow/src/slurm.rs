//! Handing the workers of a sweep to Slurm.

mod paths;
mod sbatch;
mod script;

use std::{
    fs::{self, File},
    io::{BufWriter, Write},
    path::{Path, PathBuf},
};

use outgrow_data::{Listener, publish};
use outgrow_store::Address;

pub use self::sbatch::Job;
use self::{paths::whole, sbatch::submit_all, script::Script};
use crate::{
    error::Error,
    namesake,
    rounds::Rounds,
    sweep_file::SweepFile,
    worker::WorkerOptions,
    workspace::{Workspace, runtime},
};

/// How a sweep is submitted.
#[derive(Clone, Debug)]
pub struct SlurmOptions {
    /// The program whose `worker` command trains.
    pub program: PathBuf,
    /// Workers, each a task of the job array.
    pub workers: u16,
    /// What each worker is told.
    pub worker: WorkerOptions,
    /// Train every trial from its first step, also where it shares a prefix with another.
    pub no_shared_prefix: bool,
    /// Train failed trials again.
    pub retry_failed: bool,
    /// Further options for sbatch, as `--partition=gpu`.
    pub sbatch: Vec<String>,
}

/// What was submitted.
#[derive(Clone, Debug)]
pub struct Submitted {
    /// Trials that are left to train.
    pub open: u64,
    /// The job arrays; none if no trial is left.
    pub jobs: Vec<Job>,
    /// The script that they run.
    pub script: PathBuf,
}

impl Workspace {
    /// The script that [`Workspace::submit`] would submit; nothing is written.
    ///
    /// # Errors
    /// If the sweep or its text is refused, or a path or an option can't be said to Slurm.
    pub fn slurm_script(
        &self,
        file: &SweepFile,
        options: &SlurmOptions,
        listener: &dyn Listener,
    ) -> Result<String, Error> {
        let digest = self.survey(file, listener)?.digest;
        Ok(self.script(file, options, &file.sweep().id(&digest))?.text())
    }

    fn script(&self, file: &SweepFile, options: &SlurmOptions, id: &str) -> Result<Script, Error> {
        Script::new(self, options, &file.sweep().spec().name, id, &whole(&self.jobs())?)
    }

    /// Puts a sweep into the database and hands its workers to Slurm, by sbatch.
    ///
    /// # Errors
    /// As of [`Workspace::slurm_script`], and if the database or sbatch refuses.
    pub fn submit(
        &self,
        file: &SweepFile,
        options: &SlurmOptions,
        listener: &dyn Listener,
    ) -> Result<Submitted, Error> {
        sbatch::check()?;
        let sweep = file.sweep();
        let text = self.prepare(file, listener)?;
        let id = sweep.id(&text.summary.digest);
        let script = self.script(file, options, &id)?;
        let members = file.members(&text.summary.digest)?;
        let open = runtime()?.block_on(async {
            let store = self.store().await?;
            namesake::tell(&store, sweep, &text.summary.digest).await;
            let rounds = Rounds { store: &store, id: &id, sweep, members: &members };
            rounds.enter(text.record(), options.no_shared_prefix, options.retry_failed).await?;
            let status = store.status(&id).await?;
            store.close().await;
            Ok::<_, Error>(status.total() - status.ended())
        })?;
        let jobs = whole(&self.jobs())?;
        if open == 0 {
            return Ok(Submitted { open, jobs: vec![], script: jobs });
        }
        if let Ok(Address::File(path)) = Address::parse(&self.db) {
            tracing::info!(
                "{path} is a SQLite file: that is safe as long as all jobs run on one machine; \
                 use PostgreSQL for more"
            );
        }
        let path = write(&jobs, &id, &script.text())?;
        let jobs = submit_all(self, &script, &path, options.workers)?;
        Ok(Submitted { open, jobs, script: path })
    }
}

/// Writes the script, whole or not at all.
fn write(jobs: &Path, id: &str, text: &str) -> Result<PathBuf, Error> {
    let file = jobs.join(format!("{id}.sh"));
    let script = |out: &mut BufWriter<File>| out.write_all(text.as_bytes());
    let written = fs::create_dir_all(jobs).and_then(|()| publish::file(&file, script));
    written.map_err(Error::environment(format!("cannot write {}", file.display())))?;
    Ok(file)
}
