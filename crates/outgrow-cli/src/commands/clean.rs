//! `outgrow clean`.

use outgrow::{CleanOptions, Error, Workspace};
use outgrow_core::KeepFinal;

use crate::{
    output::{is_terminal, print, print_json},
    values::keep_final,
};

/// Remove files that no trial needs any more
///
/// Of complete trials the optimizer's state and all checkpoints but the last; folders that were
/// never finished; states that no trial will begin from; and, unless sweeps are named, the files of
/// trials, texts and models that no sweep has. A run may go on meanwhile: what a running trial has
/// is not touched.
#[derive(clap::Args, Clone)]
pub struct Clean {
    /// Names or identities of sweeps: only files of their trials [default: all files]
    pub sweeps: Vec<String>,
    /// Only say what would go
    #[arg(long)]
    pub dry_run: bool,
    /// What stays of the checkpoints of a trial that is complete
    #[arg(long, default_value = "weights", value_name = "WHAT", value_parser = keep_final())]
    pub keep_final: KeepFinal,
    /// Print it as JSON
    #[arg(long)]
    pub json: bool,
}

/// Removes what is needed no more, and says what.
pub fn clean(workspace: &Workspace, args: &Clean) -> Result<(), Error> {
    let Clean { sweeps, dry_run, keep_final, json } = args.clone();
    let cleaned = workspace.clean(&CleanOptions { sweeps, keep_final, dry_run })?;
    match json {
        true => print_json(&cleaned.as_json()),
        false => print(&cleaned.describe(is_terminal())),
    }
}
