//! `outgrow query`.

use std::{
    io::{self, IsTerminal},
    path::PathBuf,
};

use clap::ValueEnum;
use outgrow::{
    Error, Workspace, runtime,
    tables::{self, Form, Output, Table},
};
use outgrow_store::Store;

use crate::{output::told_to_end, phases::Phases};

/// Run one SQL query on the results; begin with the views curves, finals, growth and speedups
///
/// docs/database.md describes the views, and how values look in each format. The database is opened
/// for reading only, and what does more than read is refused. Rows are printed as they come; the
/// query ends when its output is closed, or with Ctrl-C.
#[derive(clap::Args)]
pub struct Query {
    /// The query
    pub sql: String,
    /// How to print the answer; parquet needs --output
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub format: Format,
    /// Write to this file instead of the terminal
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// How to print a table.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
#[allow(missing_docs)]
pub enum Format {
    Table,
    Csv,
    Json,
    Jsonl,
    Parquet,
}

/// Answers one query of the user's, row by row.
pub fn query(workspace: &Workspace, args: &Query) -> Result<(), Error> {
    if args.format == Format::Parquet && args.output.is_none() {
        return Err(Error::Input("parquet is not for terminals; name a file with --output".into()));
    }
    if let Some(path) = args.output.as_deref().filter(|path| workspace.owns(path)) {
        return Err(Error::Input(format!(
            "{} belongs to the database that is asked; name another file",
            path.display()
        )));
    }
    runtime()?.block_on(async {
        let told = told_to_end(args.output.is_none())?;
        let store = workspace.reading().await?;
        tokio::select! {
            done = answer(&store, args) => done,
            failure = told => Err(failure),
        }
    })
}

async fn answer(store: &Store, args: &Query) -> Result<(), Error> {
    // The file comes to be only when there is an answer.
    let slow = Phases::new("waiting for the first rows".into());
    let answer = store.ask(&args.sql).await;
    drop(slow);
    let answer = answer?;
    let output = Output::new(args.output.as_deref())?;
    let form = form(args.format, &answer.columns).map_err(|error| output.failed(error))?;
    output.take(answer, form).await
}

/// The form that the user wants.
fn form(format: Format, columns: &[String]) -> io::Result<Box<dyn Form>> {
    let format = match format {
        Format::Table => return Ok(Box::new(Table::new(columns, io::stdout().is_terminal()))),
        Format::Csv => tables::Format::Csv,
        Format::Json => tables::Format::Json,
        Format::Jsonl => tables::Format::Jsonl,
        Format::Parquet => tables::Format::Parquet,
    };
    tables::form(format, columns)
}
