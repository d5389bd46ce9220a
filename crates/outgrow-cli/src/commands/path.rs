//! `outgrow path`.

use outgrow::{Error, Workspace};

use crate::output::print;

/// Print the folder of a trial's last checkpoint
///
/// Alone in a line, as for `outgrow eval "$(outgrow path small/from_scratch/0#0)" --text FILE`.
#[derive(clap::Args)]
pub struct TrialPath {
    /// The trial's identity, the beginning of it, or `sweep/strategy/plan#replicate@learning_rate`,
    /// where the sweep (its name or identity) and the rate may be left out
    pub trial: String,
}

/// Says where a trial's last checkpoint lies.
pub fn path(workspace: &Workspace, args: &TrialPath) -> Result<(), Error> {
    print(&workspace.last_checkpoint(&args.trial)?.display().to_string())
}
