//! `outgrow run`.

use outgrow::{Error, Finished, RunOptions, SweepFile, WorkerOptions, Workspace};
use outgrow_core::KeepFinal;
use outgrow_runner::SupervisorEvent;
use outgrow_train::Device;

use crate::{
    commands::this_program,
    output::{print, print_json, say, shown},
    progress::Progress,
    reading::{SweepArgs, Telling},
    values::{keep_final, positive},
};

/// Train every missing trial of a sweep. Rerun to resume
///
/// Every trial trains in a worker process. Ctrl-C lets the workers save and stop; the same command
/// goes on from there, as it does after a crash or a kill. Two runs of one sweep share the work.
/// Results do not depend on the number of workers.
#[derive(clap::Args)]
pub struct Run {
    #[command(flatten)]
    pub sweep: SweepArgs,
    /// Worker processes at once [default: one per CPU core, or four per GPU, as far as memory
    /// allows]
    #[arg(long, short = 'j', value_name = "N", value_parser = positive())]
    pub workers: Option<u16>,
    /// Devices that workers use in turn: cpu, cuda:0, ... [default: all GPUs, or cpu]
    #[arg(long, value_name = "DEVICE", value_delimiter = ',')]
    pub devices: Vec<Device>,
    #[command(flatten)]
    pub training: Training,
    #[command(flatten)]
    pub worker: WorkerArgs,
    /// Print the final state as JSON
    #[arg(long)]
    pub json: bool,
}

/// Which trials are trained, and from where.
#[derive(clap::Args, Clone)]
pub struct Training {
    /// Train every trial from its first step, also where it shares a prefix with another; the
    /// results are the same
    #[arg(long)]
    pub no_shared_prefix: bool,
    /// Train failed trials again
    #[arg(long)]
    pub retry_failed: bool,
}

/// How each worker trains.
#[derive(clap::Args, Clone)]
pub struct WorkerArgs {
    /// CPU threads of each worker; another number may change the last bits of results
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = positive())]
    pub threads: u16,
    /// Replicates of a plan that are trained as one model; results agree up to rounding [default:
    /// on a GPU as many as keep it busy, 1 on a CPU]
    #[arg(long, value_name = "N", value_parser = positive())]
    pub stacked_replicates: Option<u16>,
    /// Checkpoints of each trial that are kept; if the last is damaged, the one before is used
    #[arg(long, default_value_t = 2, value_name = "N", value_parser = positive())]
    pub keep: u16,
    /// What stays of the checkpoints of a trial that is complete
    #[arg(long, default_value = "weights", value_name = "WHAT", value_parser = keep_final())]
    pub keep_final: KeepFinal,
    /// Minutes without a record after which a training counts as hung: its trial goes to another
    /// worker
    #[arg(long, default_value_t = 120, value_name = "MINUTES", value_parser = positive())]
    pub hung_after: u16,
}

impl WorkerArgs {
    /// What a worker is told.
    pub fn options(&self) -> WorkerOptions {
        let program = format!("outgrow {} ({})", env!("CARGO_PKG_VERSION"), env!("OUTGROW_COMMIT"));
        let &Self { threads, stacked_replicates, keep, keep_final, hung_after } = self;
        let rest = WorkerOptions::default();
        WorkerOptions { threads, stacked_replicates, keep, keep_final, hung_after, program, ..rest }
    }
}

/// Plans what is missing, trains it, shows progress.
pub fn run(workspace: &Workspace, args: &Run) -> Result<(), Error> {
    let file = args.sweep.read()?;
    let finished = trained(workspace, args, &file)?;
    conclude(args, &file, &finished)
}

/// Trains a sweep and shows progress.
pub fn trained(workspace: &Workspace, args: &Run, file: &SweepFile) -> Result<Finished, Error> {
    let options = RunOptions {
        program: Some(this_program()?),
        workers: args.workers,
        devices: args.devices.clone(),
        worker: args.worker.options(),
        no_shared_prefix: args.training.no_shared_prefix,
        retry_failed: args.training.retry_failed,
    };
    let mut progress = None;
    let mut tell = |event: SupervisorEvent| {
        let progress = progress.get_or_insert_with(Progress::new);
        match event {
            SupervisorEvent::Status(status) => progress.show(status),
            SupervisorEvent::Line(line) | SupervisorEvent::Note(line) => progress.note(&line),
        }
    };
    let finished = workspace.run(file, &options, &Telling::new(), &mut tell);
    progress.iter().for_each(Progress::end);
    finished
}

/// Says which trials failed, and why.
pub fn tell_failures(finished: &Finished) {
    for (label, error) in &finished.failures {
        say(&shown(&format!("{label}: {error}")));
    }
}

fn conclude(args: &Run, file: &SweepFile, finished: &Finished) -> Result<(), Error> {
    let Finished { status, .. } = finished;
    let name = &file.sweep().spec().name;
    // That nobody reads it changes nothing of how it went.
    let printed = if args.json { print_json(&finished.as_json(name)) } else { Ok(()) };
    tell_failures(finished);
    finished.verdict(file)?;
    if args.json {
        return printed;
    }
    let (ended, total, called) = (status.ended(), status.total(), &finished.called);
    print(&format!(
        "{name}: {ended} of {total} trials are done; `outgrow report {called}` draws them"
    ))
}
