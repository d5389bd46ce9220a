//! `outgrow rm`.

use std::io::{self, IsTerminal, Write};

use outgrow::{Error, Workspace};

use crate::output::{print, print_json, shown};

/// Remove a sweep with its rows and files
///
/// Trials that another sweep has, too, stay. Refused while a worker trains one that would go. If it
/// is stopped half-way, the same command goes on.
#[derive(clap::Args)]
pub struct Rm {
    /// Name or identity of the sweep
    pub sweep: String,
    /// Only say what would go
    #[arg(long)]
    pub dry_run: bool,
    /// Do not ask
    #[arg(long, short)]
    pub yes: bool,
    /// Print it as JSON; asks nothing, so it needs --yes or --dry-run
    #[arg(long)]
    pub json: bool,
}

/// Removes a sweep, if the user is sure.
pub fn rm(workspace: &Workspace, args: &Rm) -> Result<(), Error> {
    let removal = workspace.removal(&args.sweep)?;
    let what = removal.describe();
    if !args.dry_run {
        if !args.yes && (args.json || !is_sure(&what)?) {
            return Err(Error::Input(format!("nothing was removed of {what}; --yes removes it")));
        }
        workspace.remove(&removal)?;
    }
    match (args.json, args.dry_run) {
        (true, _) => print_json(&removal),
        (false, true) => print(&format!("would remove {what}")),
        (false, false) => print(&format!("removed {what}")),
    }
}

/// Asks at a terminal; elsewhere nobody can say yes.
fn is_sure(what: &str) -> Result<bool, Error> {
    if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        return Ok(false);
    }
    write!(io::stderr(), "remove {}? This can't be undone. [y/N] ", shown(what))?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
}
