//! `outgrow status`.

use outgrow::{
    Error, Workspace,
    status::{describe, with_sizes_as_json},
};

use crate::output::{is_terminal, print, print_json};

/// Show the progress of every sweep in the database
#[derive(clap::Args)]
pub struct Status {
    /// Only the sweep of this name or identity
    pub sweep: Option<String>,
    /// Print it as JSON
    #[arg(long)]
    pub json: bool,
}

/// Shows where every sweep stands.
pub fn status(workspace: &Workspace, args: &Status) -> Result<(), Error> {
    let found = workspace.status(args.sweep.as_deref())?;
    match args.json {
        true => print_json(&found.iter().map(with_sizes_as_json).collect::<Vec<_>>()),
        false if found.is_empty() => print("no sweeps yet; `outgrow run SWEEP.toml` adds one"),
        false => print(&describe(&found, is_terminal())),
    }
}
