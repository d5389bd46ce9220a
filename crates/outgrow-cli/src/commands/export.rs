//! `outgrow export`.

use outgrow::{Error, ExportFormat, Workspace};
use serde_json::json;
use std::path::PathBuf;

use crate::{
    output::{print, print_json},
    values::one_of,
};

/// Export results: tables for pandas, polars and DuckDB, or curves for TensorBoard
///
/// One file for each view of docs/database.md, whose columns keep their names and types; for
/// TensorBoard one folder for each trial; with `--format tables` what `outgrow db import` reads back
/// into a database, on this machine or another.
#[derive(clap::Args)]
pub struct Export {
    /// Name or identity of a sweep [default: all]
    pub sweep: Option<String>,
    /// The folder to write (it must not exist yet)
    #[arg(long, value_name = "FOLDER")]
    pub to: PathBuf,
    /// What to write
    #[arg(long, default_value = "parquet", value_parser = one_of(FORMATS))]
    pub format: ExportFormat,
    /// Print it as JSON
    #[arg(long)]
    pub json: bool,
}

const FORMATS: [(&str, &str, ExportFormat); 5] = [
    ("parquet", "A Parquet file for each view", ExportFormat::Parquet),
    ("csv", "A CSV file for each view", ExportFormat::Csv),
    ("jsonl", "A file of JSON lines for each view", ExportFormat::Jsonl),
    ("tables", "A Parquet file for each table, for `outgrow db import`", ExportFormat::Tables),
    ("tensorboard", "TensorBoard's event files, against tokens", ExportFormat::Tensorboard),
];

/// Writes results in the forms that other programs read.
pub fn export(workspace: &Workspace, args: &Export) -> Result<(), Error> {
    let files = workspace.export(args.sweep.as_deref(), &args.to, args.format)?;
    match args.json {
        true => print_json(&json!({ "to": args.to, "files": files })),
        false => print(&format!("{} files are in {}", files.len(), args.to.display())),
    }
}
