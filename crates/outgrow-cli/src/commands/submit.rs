//! `outgrow submit`.

use super::run::{Training, WorkerArgs};
use crate::{
    commands::this_program,
    output::print,
    reading::{SweepArgs, Telling},
    values::positive,
};
use outgrow::{Error, SlurmOptions, Workspace, slurm::Submitted};
use outgrow_train::Device;

/// Train a sweep on a Slurm cluster: write a job array of workers and submit it
///
/// The workers take trials from the database as those of `outgrow run` do; their number may change
/// at any time, and jobs may be preempted or lose their node: what they were at goes on elsewhere
/// from its last checkpoint. All machines must reach the database (a PostgreSQL server) and share
/// the folder of --files.
#[derive(clap::Args)]
pub struct Submit {
    #[command(flatten)]
    pub sweep: SweepArgs,
    /// Submit to Slurm, by sbatch
    #[arg(long, required = true)]
    pub slurm: bool,
    /// Workers, each a task of the job array
    #[arg(long, short = 'j', default_value_t = 1, value_name = "N", value_parser = positive())]
    pub workers: u16,
    /// Where each worker computes [default: the first GPU that its job sees, or cpu]
    #[arg(long, value_name = "DEVICE")]
    pub device: Option<Device>,
    #[command(flatten)]
    pub training: Training,
    #[command(flatten)]
    pub worker: WorkerArgs,
    /// A further option for sbatch, as --sbatch=--partition=gpu; may be given more than once
    #[arg(long = "sbatch", value_name = "OPTION", allow_hyphen_values = true)]
    pub options: Vec<String>,
    /// Print the script, submit nothing
    #[arg(long)]
    pub print: bool,
}

/// Puts a sweep into the database and hands its workers to the cluster's scheduler.
pub fn submit(workspace: &Workspace, args: &Submit) -> Result<(), Error> {
    let file = args.sweep.read()?;
    let mut worker = args.worker.options();
    worker.device = args.device;
    let options = SlurmOptions {
        program: this_program()?,
        workers: args.workers,
        worker,
        no_shared_prefix: args.training.no_shared_prefix,
        retry_failed: args.training.retry_failed,
        sbatch: args.options.clone(),
    };
    if args.print {
        return print(&workspace.slurm_script(&file, &options, &Telling::new())?);
    }
    let Submitted { open, jobs, script } = workspace.submit(&file, &options, &Telling::new())?;
    if open == 0 {
        let name = &file.sweep().spec().name;
        return print(&format!("all trials of {name} are done; nothing was submitted"));
    }
    let names: Vec<&str> = jobs.iter().map(|job| job.id.as_str()).collect();
    let cluster = jobs.iter().find_map(|job| job.cluster.as_ref());
    let at = cluster.map_or_else(String::new, |name| format!("--clusters={name} "));
    print(&format!(
        "job {}: {} worker(s) for {open} trials, script {}; `outgrow status` shows who is at \
         what, `scancel {at}{}` stops them, \
         and submitting again goes on",
        names.join(", "),
        args.workers,
        script.display(),
        names.join(" ")
    ))
}
