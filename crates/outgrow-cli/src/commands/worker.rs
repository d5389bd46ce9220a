//! `outgrow worker`.

use super::run::WorkerArgs;
use outgrow::{Error, WorkerOptions, Workspace, work_on};
use outgrow_train::Device;

/// Train trials of a sweep until none is left; started by `outgrow run` and `outgrow submit`
#[derive(clap::Args)]
pub struct Worker {
    /// The sweep's name or identity; `outgrow run` or `outgrow submit` must have put it into the
    /// database
    pub sweep: String,
    /// Where to compute [default: the first GPU, or cpu]
    #[arg(long)]
    pub device: Option<Device>,
    /// How many workers share the device
    #[arg(long, default_value_t = 1)]
    pub share: usize,
    #[command(flatten)]
    pub worker: WorkerArgs,
}

/// Trains until nothing is left, or until told to stop.
pub fn worker(workspace: &Workspace, args: &Worker) -> Result<(), Error> {
    let options = WorkerOptions { device: args.device, share: args.share, ..args.worker.options() };
    work_on(workspace, &args.sweep, &options)
}
