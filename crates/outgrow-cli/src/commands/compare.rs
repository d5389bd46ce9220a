//! `outgrow compare`.

use std::path::PathBuf;

use outgrow::{Error, LossUnit, ReportOptions, Workspace};
use serde_json::json;

use crate::{
    output::{print, print_json, say},
    values::loss_unit,
};

/// Put two sweeps beside each other: what differs in their settings, and in the losses of their
/// arms
///
/// Arms of one name are compared over the seeds that both sweeps have. If their tokenizers differ,
/// losses are compared in bits per byte. Figures and tables go into one folder, as those of
/// `report` do.
#[derive(clap::Args)]
pub struct Compare {
    /// Name or identity of the first sweep
    pub a: String,
    /// Name or identity of the second
    pub b: String,
    /// The database of the second sweep, if it is another
    #[arg(long, value_name = "PATH")]
    pub other_db: Option<String>,
    /// Where to [default: reports/A-beside-B]; an older comparison of the same sweeps is replaced
    #[arg(long, short, value_name = "FOLDER")]
    pub output: Option<PathBuf>,
    /// The unit of losses [default: nats-per-token; bits-per-byte if the tokenizers differ]
    #[arg(long, value_parser = loss_unit())]
    pub unit: Option<LossUnit>,
    /// Replace what is there, whatever it is; what outgrow did not write is kept beside it
    #[arg(long)]
    pub force: bool,
    /// Print the comparison as JSON
    #[arg(long)]
    pub json: bool,
}

/// Compares two sweeps.
pub fn compare(workspace: &Workspace, args: &Compare) -> Result<(), Error> {
    let other = args.other_db.clone().map(|db| Workspace::new(db, None));
    let options =
        ReportOptions { folder: args.output.as_deref(), force: args.force, unit: args.unit };
    let made = workspace.compare([&args.a, &args.b], other.as_ref(), options);
    if let Some(other) = other {
        other.close();
    }
    let made = made?;
    if let Some(kept) = &made.kept {
        say(&format!("note: what was in {} is now in {}", made.folder.display(), kept.display()));
    }
    match args.json {
        true => print_json(&json!({ "folder": made.folder, "comparison": made.pair })),
        false => print(&format!("{}\n\nfigures and tables: {}", made.pair, made.folder.display())),
    }
}
