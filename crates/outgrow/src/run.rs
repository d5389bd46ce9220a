//! Training what a sweep file means and the database does not have yet.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use outgrow_core::{
    TrialState,
    sweep::{Member, memory},
};
use outgrow_data::Listener;
use outgrow_runner::{Ended, SupervisorEvent, WorkerPool, supervise};
use outgrow_store::{Store, SweepStatus};
use outgrow_train::{Device, backward};
use serde_json::{Value, json};

use crate::{
    devices::devices,
    error::Error,
    estimates, namesake,
    rounds::Rounds,
    status::states,
    sweep_file::SweepFile,
    worker::{WorkerOptions, work_on},
    workspace::{DB, FILES, Workspace, runtime},
};

/// How a sweep is run.
#[derive(Clone, Debug, Default)]
pub struct RunOptions {
    /// The program whose `worker` command trains, as many processes of it as `workers` says.
    /// Without one, this process trains one trial after another.
    pub program: Option<PathBuf>,
    /// Worker processes at once; if none is given one for each core, or a few for each GPU, as far
    /// as memory is predicted to allow.
    pub workers: Option<u16>,
    /// Devices that workers use in turn: all GPUs, or the processor, if none is named.
    pub devices: Vec<Device>,
    /// What each worker is told; its device and share follow from the above.
    pub worker: WorkerOptions,
    /// Train every trial from its first step, also where it shares a prefix with another.
    pub no_shared_prefix: bool,
    /// Train failed trials again.
    pub retry_failed: bool,
}

/// A sweep that was run.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct Finished {
    pub sweep: String,
    /// What `outgrow report` knows it by: its name, or the beginning of its identity where the
    /// database has several of that name.
    pub called: String,
    pub status: SweepStatus,
    /// Labels of trials that failed, and why.
    pub failures: Vec<(String, String)>,
    /// How the run ended.
    pub ended: Ended,
}

impl Finished {
    /// How the run of the sweep of this name ended, for programs.
    pub fn as_json(&self, name: &str) -> Value {
        let ended = format!("{:?}", self.ended).to_lowercase();
        let trials = states(&self.status);
        json!({ "sweep": name, "ended": ended, "trials": trials, "failures": self.failures })
    }

    /// Whether all trials of the sweep, which was read from `file`, came to their end.
    ///
    /// # Errors
    /// [`Error::Interrupted`] if it was stopped, [`Error::Environment`] if the workers gave up,
    /// [`Error::Outcome`] if trials failed.
    pub fn verdict(&self, file: &SweepFile) -> Result<(), Error> {
        let (status, failed) = (&self.status, self.status.count(TrialState::Failed));
        let again = format!("`outgrow run {}` goes on from there", file.arguments());
        match self.ended {
            Ended::Interrupted => Err(Error::Interrupted(format!(
                "stopped with {} of {} trials done; {again}",
                status.ended(),
                status.total()
            ))),
            Ended::Broken => Err(Error::Environment(format!(
                "the workers gave up (see above); what was recorded stays, and {again}"
            ))),
            Ended::Done if failed > 0 => Err(Error::Outcome(format!(
                "{failed} of {} trials failed (see above); --retry-failed trains them again",
                status.total()
            ))),
            Ended::Done => Ok(()),
        }
    }
}

impl Workspace {
    /// Puts a sweep into the database, and trains those of its trials that are not there yet. What
    /// can be refused is refused before anything is written: the sweep, then the database, then the
    /// text. `listener` hears of text that is read, `tell` of the training.
    ///
    /// # Errors
    /// If the sweep, its text, a device or the database is refused.
    pub fn run(
        &self,
        file: &SweepFile,
        options: &RunOptions,
        listener: &dyn Listener,
        tell: &mut dyn FnMut(SupervisorEvent),
    ) -> Result<Finished, Error> {
        let devices = devices(&options.devices)?;
        let members = file.members("")?;
        let runtime = runtime()?;
        let existing = runtime.block_on(self.existing())?;
        let text = self.prepare(file, listener)?;
        let members = trained_on(members, &text.summary.digest);
        let (store, sweep) = runtime.block_on(async {
            let store = match existing {
                Some(store) => store,
                None => self.store().await?,
            };
            namesake::tell(&store, file.sweep(), &text.summary.digest).await;
            let id = file.sweep().id(&text.summary.digest);
            let rounds = Rounds { store: &store, id: &id, sweep: file.sweep(), members: &members };
            rounds.enter(text.record(), options.no_shared_prefix, options.retry_failed).await?;
            Ok::<_, Error>((store, id))
        })?;
        let ended = match &options.program {
            Some(program) => {
                let search = file.sweep().search().map(|search| search.spec.batch);
                let tunes = file.sweep().has_rounds();
                let expected = file.sweep().expected(members.clone());
                let following = search.unwrap_or(if tunes { expected.len() } else { 0 });
                let workers =
                    Workers { program, options, devices: &devices, members: &expected, following };
                let rounds =
                    Rounds { store: &store, id: &sweep, sweep: file.sweep(), members: &members };
                runtime.block_on(self.supervised(&rounds, &workers, tell))
            }
            None => self.alone(&sweep, options, devices[0]),
        };
        // The same connection all along: it notices if its file is another one now.
        runtime.block_on(async {
            // Workers do so, too; a run that had none left to start makes good what they could not.
            if matches!(ended, Ok(Ended::Done)) {
                estimates::keep_up(&store, &sweep).await;
            }
            let finished = finished(&store, file, sweep, ended).await;
            store.close().await;
            finished
        })
    }

    /// Trains in this process.
    fn alone(&self, sweep: &str, options: &RunOptions, device: Device) -> Result<Ended, Error> {
        let options = WorkerOptions { device: Some(device), ..options.worker.clone() };
        match work_on(self, sweep, &options) {
            Ok(()) => Ok(Ended::Done),
            Err(Error::Interrupted(_)) => Ok(Ended::Interrupted),
            Err(error) => Err(error),
        }
    }

    /// Trains in worker processes.
    async fn supervised(
        &self,
        rounds: &Rounds<'_>,
        workers: &Workers<'_>,
        tell: &mut dyn FnMut(SupervisorEvent<'_>),
    ) -> Result<Ended, Error> {
        let Rounds { store, id, .. } = *rounds;
        loop {
            let status = store.status(id).await?;
            let open = (status.total() - status.ended()) as usize;
            if open == 0 {
                return Ok(Ended::Done);
            }
            let size = workers.number().min(open.max(workers.following));
            let command = |number: usize| workers.command(self, id, size, number);
            let pool = WorkerPool { size, command: &command };
            let ended = supervise(store, id, &pool, &mut |event| tell(event)).await?;
            if ended != Ended::Done {
                return Ok(ended);
            }
            // Workers do so; this makes good what they could not.
            rounds.advance().await?;
        }
    }
}

/// Worker processes of a run.
struct Workers<'a> {
    program: &'a Path,
    options: &'a RunOptions,
    devices: &'a [Device],
    members: &'a [Member],
    /// How many trials a round that follows may have.
    following: usize,
}

/// Small models leave a GPU idle most of the time, so a few share it.
const WORKERS_PER_GPU: usize = 4;

impl Workers<'_> {
    /// The command of one worker of `size`.
    fn command(&self, workspace: &Workspace, sweep: &str, size: usize, number: usize) -> Command {
        let mut command = Command::new(self.program);
        // In the environment: the command line of a process is for everybody to read.
        command.env(DB, &workspace.db);
        if let Some(files) = &workspace.files {
            command.env(FILES, files);
        }
        command.args(["worker", sweep]).args(self.options.worker.arguments());
        command.args(["--device", &self.devices[number % self.devices.len()].to_string()]);
        command.args(["--share", &size.div_ceil(self.devices.len()).to_string()]);
        command
    }

    /// How many there are: one for each core, or a few for each GPU, as far as memory is predicted
    /// to allow.
    fn number(&self) -> usize {
        if let Some(workers) = self.options.workers {
            return usize::from(workers);
        }
        // Devices are used in turn, so all get as many as the smallest can take.
        let least = self.devices.iter().map(|device| self.on(device)).min().unwrap_or(1);
        self.devices.len() * least
    }

    fn on(&self, device: &Device) -> usize {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let most = match device {
            Device::Cpu => cores / usize::from(self.options.worker.threads),
            Device::Cuda(_) => WORKERS_PER_GPU.min(cores / self.devices.len()),
        };
        let needed = self.members.iter().map(|Member { trial, .. }| {
            device.base_bytes() + memory::training_bytes(trial, 1, backward(trial, *device, 1))
        });
        let bytes = needed.max().unwrap_or(1);
        let fit = device.free_bytes().map_or(1, |free| (free / bytes) as usize);
        if fit < most {
            let each = bytes as f64 / 1e9;
            tracing::info!(
                "{device} has memory for {fit} worker(s) of {each:.2} GB each, as predicted, and \
                 not for {most}"
            );
        }
        most.min(fit).max(1)
    }
}

async fn finished(
    store: &Store,
    file: &SweepFile,
    sweep: String,
    ended: Result<Ended, Error>,
) -> Result<Finished, Error> {
    let status = match (store.status(&sweep).await, &ended) {
        // Whoever wants to stop does not want to wait.
        (Err(error), Ok(Ended::Interrupted)) if error.is_passing() => {
            let again = file.arguments();
            return Err(Error::Interrupted(format!(
                "stopped ({error}); `outgrow run {again}` goes on from there"
            )));
        }
        (status, _) => status?,
    };
    let failures = store.failures(&sweep).await?;
    let name = &file.sweep().spec().name;
    let is_alone = store.namesakes(name, &sweep).await?.is_empty();
    let called = if is_alone { name.clone() } else { sweep.chars().take(12).collect() };
    Ok(Finished { sweep, called, status, failures, ended: ended? })
}

/// Members that were planned before the digest of their text was known.
fn trained_on(mut members: Vec<Member>, digest: &str) -> Vec<Member> {
    members.iter_mut().for_each(|member| member.trial.settings.data = digest.into());
    members
}
