//! `outgrow diff`.

use std::path::Path;

use outgrow::{Error, Workspace, setting_lines};
use serde_json::{Value, json};

use crate::output::{print, print_json};

/// Show in which settings two sweeps differ
///
/// Each is a sweep file or a sweep of the database. Fields that a file leaves out have their
/// defaults; what a file says to people (notes, tags) is no setting.
#[derive(clap::Args)]
pub struct Diff {
    /// The first: a sweep file, or the name or identity of a sweep
    pub a: String,
    /// The second
    pub b: String,
    /// The database of the second sweep, if it is another
    #[arg(long, value_name = "PATH")]
    pub other_db: Option<String>,
    /// Print it as JSON
    #[arg(long)]
    pub json: bool,
}

/// Shows what differs.
pub fn diff(workspace: &Workspace, args: &Diff) -> Result<(), Error> {
    if args.other_db.is_some() && Path::new(&args.b).is_file() {
        return Err(Error::Input(format!(
            "--other-db is the database of the second sweep, and {} is a sweep file; leave it out",
            args.b
        )));
    }
    let other = args.other_db.clone().map(|db| Workspace::new(db, None));
    let found = workspace.diff([&args.a, &args.b], other.as_ref());
    if let Some(other) = other {
        other.close();
    }
    let found = found?;
    if args.json {
        let row = |one: &outgrow::Difference| json!({ "field": one.field, "a": one.values[0], "b": one.values[1] });
        return print_json(&found.iter().map(row).collect::<Vec<Value>>());
    }
    match found.is_empty() {
        true => print("no setting differs"),
        false => print(&setting_lines(&found).join("\n")),
    }
}
