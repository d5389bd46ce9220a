//! `outgrow plan`.

use outgrow::{Error, Workspace, readable::positive_number};

use crate::{
    output::{is_terminal, print, print_json},
    phases,
    reading::{SweepArgs, Telling, warn},
};

/// Show a sweep's trials and their cost, without training
#[derive(clap::Args)]
pub struct Plan {
    #[command(flatten)]
    pub sweep: SweepArgs,
    /// Training speed of this machine in GFLOP/s, for the hours [default: as measured by trials in
    /// the database]
    #[arg(long, value_name = "N", value_parser = positive_number)]
    pub gflops: Option<f64>,
    /// Also show which trials share a prefix, and where they part
    #[arg(long)]
    pub tree: bool,
    /// Show the growths of all plans, however many there are
    #[arg(long)]
    pub stages: bool,
    /// Print everything, each plan with its stages, as JSON
    #[arg(long)]
    pub json: bool,
}

/// Shows what a sweep means and what it would cost.
pub fn plan(workspace: &Workspace, args: &Plan) -> Result<(), Error> {
    let file = args.sweep.read()?;
    let plan = phases::told(|tell| workspace.plan(&file, &Telling::new(), tell))?;
    let speed = args.gflops.map(|gflops| gflops * 1e9).or(plan.flops_per_second());
    if args.json {
        warn(plan.text());
        return print_json(&plan);
    }
    let (tree, fits) =
        (if args.tree { plan.describe_tree() } else { String::new() }, is_terminal());
    print(&format!("{}{tree}", plan.describe(speed, fits, args.stages)))
}
