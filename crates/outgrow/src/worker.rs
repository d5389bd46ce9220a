//! One process that trains trials.

use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use outgrow_core::{
    KeepFinal, Sweep, Trial,
    event::Receiver,
    sweep::{Member, memory},
};
use outgrow_data::Corpus;
use outgrow_failpoint::Point;
use outgrow_runner::{Tidy, Trained, Work, work};
use outgrow_store::{
    Claim, Environment, Memory, Recorded, Snapshot, Store, StoreError, SweepSummary,
};
use outgrow_train::{
    Device, Job, Options, Prefix, Saved, TrainError, backward,
    device::{self, MemoryGauge},
    train_together,
};
use signal_hook::consts::{SIGINT, SIGTERM, SIGUSR1};

use crate::{
    devices::check_device,
    error::Error,
    estimates,
    rounds::Rounds,
    workspace::{Workspace, runtime},
};

/// How a worker trains.
#[derive(Clone, Debug)]
pub struct WorkerOptions {
    /// Where; the first GPU, or the processor, if none is named.
    pub device: Option<Device>,
    /// CPU threads; another number may change the last bits of results.
    pub threads: u16,
    /// How many replicates are trained as one model; as many as keep the device busy if none is
    /// named.
    pub stacked_replicates: Option<u16>,
    /// How many workers share the device.
    pub share: usize,
    /// Checkpoints of each trial that are kept.
    pub keep: u16,
    /// What stays of them once it is complete.
    pub keep_final: KeepFinal,
    /// Minutes without a record after which a training is taken for hung.
    pub hung_after: u16,
    /// Name and version of the program that trains, for the records.
    pub program: String,
}

impl Default for WorkerOptions {
    fn default() -> Self {
        Self {
            device: None,
            threads: 1,
            stacked_replicates: None,
            share: 1,
            keep: 2,
            keep_final: KeepFinal::Weights,
            hung_after: 120,
            program: concat!("outgrow ", env!("CARGO_PKG_VERSION")).into(),
        }
    }
}

impl WorkerOptions {
    /// As arguments of `outgrow worker`, without the device and how many share it.
    pub fn arguments(&self) -> Vec<String> {
        let mut arguments = vec![];
        let mut option = |name: &str, value: u16| {
            arguments.extend([format!("--{name}"), value.to_string()]);
        };
        option("threads", self.threads);
        option("keep", self.keep);
        option("hung-after", self.hung_after);
        if let Some(stacked) = self.stacked_replicates {
            option("stacked-replicates", stacked);
        }
        arguments.extend(["--keep-final".into(), self.keep_final.to_string()]);
        arguments
    }
}

/// Trains trials of a sweep that is in the database until none is left, or until told to stop.
///
/// # Errors
/// If there is no such sweep or device, its text is not there, or the database refuses;
/// [`Error::Interrupted`] if it was stopped.
pub fn work_on(workspace: &Workspace, sweep: &str, options: &WorkerOptions) -> Result<(), Error> {
    let stop = told_to_stop()?;
    say_nothing_of_memory();
    device::initialise(usize::from(options.threads));
    let there = Device::all();
    let device = options.device.unwrap_or(there[0]);
    check_device(device, &there)?;
    let summary = runtime()?.block_on(find(workspace, sweep, &stop))?;
    let sweep = Sweep::parse(&summary.spec).map_err(corrupt_sweep(&summary))?;
    let corpus =
        Corpus::prepared(&summary.data_digest, &workspace.text(), sweep.spec().data.seq_len)
            .map_err(Error::environment("training text"))?;
    let attempts = Attempts {
        workspace,
        options,
        device,
        sweep: &summary.name,
        corpus: &corpus,
        checkpoint_every_tokens: sweep.spec().checkpoints.every_tokens,
        gauge: MemoryGauge::new(device),
    };
    let job = Work {
        database: &workspace.db,
        sweep: &summary.id,
        environment: attempts.environment(),
        stacked: &|trial| attempts.stacked(trial),
        folder: &|trial| workspace.checkpoints(&trial.id()),
        tidy: Tidy {
            keep: options.keep_final,
            remove_others: &|claim, left| remove_others(workspace, claim, left),
            remove_snapshot: &|recorded| remove_snapshot(workspace, recorded),
        },
        hung_after: Duration::from_secs(60 * u64::from(options.hung_after)),
        stop: &stop,
    };
    let members = match sweep.has_rounds() {
        true => sweep.members(&summary.data_digest).map_err(corrupt_sweep(&summary))?,
        false => vec![],
    };
    loop {
        if work(&job, &mut |claims, receiver| attempts.train(claims, receiver))? {
            return Err(Error::Interrupted("saved its trials and stopped".into()));
        }
        match runtime()?.block_on(follow_up(workspace, &summary.id, (&sweep, &members))) {
            Ok(true) => {}
            // Whoever works waits for a database that is away.
            Err(error) if error.is_passing() && sweep.has_rounds() => {}
            Err(error) if sweep.has_rounds() => return Err(error.into()),
            Err(error) => {
                tracing::debug!("no estimates: {error}");
                return Ok(());
            }
            Ok(false) => return Ok(()),
        }
    }
}

/// Set by whoever asks to stop.
fn told_to_stop() -> Result<Arc<AtomicBool>, Error> {
    let stop = Arc::new(AtomicBool::new(false));
    // Whoever asks at a terminal a second time does not want to wait. (Schedulers may send more
    // than one signal of the other kinds.)
    let at_once = signal_hook::flag::register_conditional_shutdown(SIGINT, 130, stop.clone());
    at_once.map_err(Error::environment("cannot listen to signals"))?;
    // The last is what Slurm sends before a job's time is up.
    for signal in [SIGINT, SIGTERM, SIGUSR1] {
        let flag = signal_hook::flag::register(signal, stop.clone());
        flag.map_err(Error::environment("cannot listen to signals"))?;
    }
    Ok(stop)
}

/// After the last trial of a sweep that there was to train: enters those that follow, and says
/// whether there are any; otherwise writes its estimates.
async fn follow_up(
    workspace: &Workspace,
    id: &str,
    (sweep, members): (&Sweep, &[Member]),
) -> Result<bool, StoreError> {
    if !sweep.has_rounds() && sweep.spec().frontier.is_none() {
        return Ok(false);
    }
    let store = Store::open_existing(&workspace.db).await?;
    Rounds { store: &store, id, sweep, members }.advance().await?;
    let follow = sweep.has_rounds() && store.has_open_trials(id).await?;
    if !follow && sweep.spec().frontier.is_some() {
        estimates::keep_up(&store, id).await;
    }
    store.close().await;
    Ok(follow)
}

/// Removes the checkpoints of a complete trial that its database has forgotten.
fn remove_others(workspace: &Workspace, claim: &Claim, left: &[Recorded]) {
    let folder = workspace.checkpoints(&claim.trial.id());
    let left: Vec<PathBuf> = left.iter().map(|recorded| recorded.path.clone().into()).collect();
    outgrow_train::remove_others(&folder, &left, claim.epoch.0 as u64);
    // Only if it is empty.
    let _ = std::fs::remove_dir(folder);
}

/// Removes a state that its database has forgotten, if it lies in this workspace: that of a copied
/// database is the other's.
fn remove_snapshot(workspace: &Workspace, recorded: &str) {
    let all = workspace.all_checkpoints();
    let folder = Workspace::moved(&all, recorded);
    if folder.parent() == Some(&all) {
        // What can't be removed costs disk, no more.
        let _ = Point::SnapshotRemove.around(|| std::fs::remove_dir_all(folder));
    }
}

/// For `map_err`: a sweep that this version does not understand.
fn corrupt_sweep<E: std::fmt::Display>(summary: &SweepSummary) -> impl FnOnce(E) -> Error {
    Error::environment(format!("sweep {} in the database", summary.name))
}

/// The sweep in the database. A server that was just started is waited for: whoever started this
/// worker talks to it already.
async fn find(
    workspace: &Workspace,
    sweep: &str,
    stop: &AtomicBool,
) -> Result<SweepSummary, StoreError> {
    let began = Instant::now();
    loop {
        let found = async {
            let store = Store::open_read_only(&workspace.db).await?;
            let found = store.find_sweep(sweep).await;
            store.close().await;
            found
        };
        match found.await {
            Err(error)
                if error.is_starting_up()
                    && began.elapsed() < STARTING_UP
                    && !stop.load(Ordering::Relaxed) =>
            {
                tokio::time::sleep(Duration::from_millis(250)).await;
            }
            found => return found,
        }
    }
}

/// No server takes longer to start.
const STARTING_UP: Duration = Duration::from_secs(60);

/// What all attempts of a worker have in common.
struct Attempts<'a> {
    workspace: &'a Workspace,
    options: &'a WorkerOptions,
    device: Device,
    sweep: &'a str,
    corpus: &'a Corpus,
    checkpoint_every_tokens: u64,
    gauge: MemoryGauge,
}

impl Attempts<'_> {
    fn environment(&self) -> Environment {
        Environment {
            host: outgrow_runner::this_process().host,
            device: self.device.describe(),
            threads: usize::from(self.options.threads),
            versions: format!("{}, libtorch {}", self.options.program, device::LIBTORCH_VERSION),
        }
    }

    fn train(&self, claims: &[Claim], receiver: &mut dyn Receiver) -> Trained {
        let options = Options {
            device: self.device,
            checkpoint_every_tokens: self.checkpoint_every_tokens,
            micro_batches: self.micro_batches(claims),
            keep: usize::from(self.options.keep),
            keep_final: self.options.keep_final,
        };
        let jobs: Vec<Job> = claims.iter().map(|claim| self.job(claim)).collect();
        self.gauge.reset();
        // libtorch's complaints come as panics. What was recorded is safe, and nothing of the
        // attempt is used afterwards.
        let caught = catch_unwind(AssertUnwindSafe(|| {
            train_together(&jobs, self.corpus, &options, receiver)
        }));
        let ended = caught.unwrap_or_else(|panic| match out_of_memory(&*panic) {
            true => jobs
                .iter()
                .map(|_| Err(TrainError::Memory { micro_batches: options.micro_batches }))
                .collect(),
            false => resume_unwind(panic),
        });
        let ended = jobs
            .iter()
            .zip(ended)
            .map(|(job, ended)| ended.map_err(|error| self.failure(&job.trial, error)));
        let ended = ended.collect();
        let predicted = predicted(self.device, &jobs[0].trial, jobs.len(), options.micro_batches);
        Trained { ended, memory: self.gauge.peak().map(|peak| Memory { predicted, peak }) }
    }

    fn job(&self, claim: &Claim) -> Job {
        let id = claim.trial.id();
        let (checkpoints, all) =
            (self.workspace.checkpoints(&id), self.workspace.all_checkpoints());
        let saved = |recorded: &Recorded| Saved {
            folder: Workspace::moved(&checkpoints, &recorded.path),
            digest: recorded.digest.clone(),
        };
        let snapshot = |&step: &u64| (step, self.workspace.snapshot(&id, step, claim.epoch));
        Job {
            trial: claim.trial.clone(),
            epoch: claim.epoch.0 as u64,
            resume: claim.checkpoints.iter().map(saved).collect(),
            initial: claim
                .trial
                .settings
                .initial
                .as_ref()
                .map(|digest| self.workspace.initial(digest)),
            prefix: claim.begin.as_ref().map(|Snapshot { path, digest }| Prefix {
                folder: Workspace::moved(&all, path),
                digest: digest.clone(),
            }),
            snapshots: claim.snapshots.iter().map(snapshot).collect(),
            checkpoints,
        }
    }

    /// How many replicates of a trial are trained as one model: as many as the user says, or as pay
    /// on this device and fit into its memory, as predicted. On a CPU, where a fused step is
    /// faster than any stacked one, each is trained alone.
    fn stacked(&self, trial: &Trial) -> usize {
        let automatic = || match self.device {
            Device::Cpu => 1,
            Device::Cuda(_) => {
                let fits = |&stacked: &usize| {
                    let share = self.device.share_bytes(self.options.share);
                    share.is_some_and(|share| predicted(self.device, trial, stacked, 1) <= share)
                };
                (1..=memory::replicates_that_pay(trial)).rev().find(fits).unwrap_or(1)
            }
        };
        self.options.stacked_replicates.map_or_else(automatic, usize::from)
    }

    /// How many micro-batches each batch must be cut into here, as it is predicted. Where not even
    /// one sequence is predicted to fit, one at a time is tried all the same: predictions err on
    /// the safe side.
    fn micro_batches(&self, claims: &[Claim]) -> usize {
        let (trial, device) = (&claims[0].trial, self.device);
        let (most, least) = (
            trial.settings.training.batch_size,
            claims.iter().map(|claim| claim.micro_batches).max().unwrap_or(1),
        );
        let each = device.share_bytes(self.options.share);
        let each =
            each.map(|share| share.saturating_sub(device.base_bytes()) / claims.len() as u64);
        let backward = backward(trial, device, claims.len());
        let micro_batches = each.map_or(least, |each| {
            memory::micro_batches_that_fit(trial, each, least, backward).unwrap_or(most)
        });
        if micro_batches > least {
            tracing::info!(
                "trial {}: its batch is trained in {micro_batches} micro-batches to fit into the \
                 memory of {device}",
                trial.id()
            );
        }
        micro_batches
    }

    fn failure(&self, trial: &Trial, error: TrainError) -> outgrow_runner::Failure {
        let text = format!("{} trial {}: {error}", self.sweep, trial.id());
        match error {
            TrainError::Memory { .. } => {
                tracing::info!("{text}; the next attempt takes less");
                outgrow_runner::Failure::Memory(error.to_string())
            }
            // The disk is full, or a folder is read-only: not the trial's fault.
            TrainError::Checkpoint(_) => outgrow_runner::Failure::Environment(text),
            _ => outgrow_runner::Failure::Trial(error.to_string()),
        }
    }
}

/// Bytes that so many replicates of a trial take as one model.
fn predicted(device: Device, trial: &Trial, stacked: usize, micro_batches: usize) -> u64 {
    let each = memory::training_bytes(trial, micro_batches, backward(trial, device, stacked));
    device.base_bytes() + each.saturating_mul(stacked as u64)
}

/// Running out of memory is an outcome, told in a line; a panic's long message would hide it.
fn say_nothing_of_memory() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if !out_of_memory(panic.payload()) {
            usual(panic);
        }
    }));
}

/// Whether that is what libtorch panicked about, on a processor or on a GPU.
fn out_of_memory(panic: &(dyn Any + Send)) -> bool {
    let text = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied());
    text.is_some_and(|text| MEMORY.iter().any(|said| text.contains(said)))
}

/// What libtorch says when there is not enough.
const MEMORY: [&str; 4] =
    ["out of memory", "not enough memory", "can't allocate memory", "ALLOC_FAILED"];
