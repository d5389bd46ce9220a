//! `outgrow export`.

use clap::ValueEnum;
use outgrow::{Error, Workspace};
use serde_json::json;
use std::path::PathBuf;

use crate::output::{print, print_json};

/// Export results: tables for pandas, polars and DuckDB, or curves for TensorBoard
///
/// One file for each view of docs/database.md, whose columns keep their names and types; for
/// TensorBoard one folder for each trial.
#[derive(clap::Args)]
pub struct Export {
    /// Name or identity of a sweep [default: all]
    pub sweep: Option<String>,
    /// The folder to write (it must not exist yet)
    #[arg(long, value_name = "FOLDER")]
    pub to: PathBuf,
    /// What to write
    #[arg(long, value_enum, default_value_t = ExportFormat::Parquet)]
    pub format: ExportFormat,
    /// Print it as JSON
    #[arg(long)]
    pub json: bool,
}

/// Forms of exported results.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ExportFormat {
    /// A Parquet file for each view.
    Parquet,
    /// A CSV file for each view.
    Csv,
    /// A file of JSON lines for each view.
    Jsonl,
    /// TensorBoard's event files, against tokens.
    Tensorboard,
}

impl From<ExportFormat> for outgrow::ExportFormat {
    fn from(format: ExportFormat) -> Self {
        match format {
            ExportFormat::Parquet => Self::Parquet,
            ExportFormat::Csv => Self::Csv,
            ExportFormat::Jsonl => Self::Jsonl,
            ExportFormat::Tensorboard => Self::Tensorboard,
        }
    }
}

/// Writes results in the forms that other programs read.
pub fn export(workspace: &Workspace, args: &Export) -> Result<(), Error> {
    let files = workspace.export(args.sweep.as_deref(), &args.to, args.format.into())?;
    match args.json {
        true => print_json(&json!({ "to": args.to, "files": files })),
        false => print(&format!("{} files are in {}", files.len(), args.to.display())),
    }
}
