//! `outgrow query`.

use std::path::PathBuf;

use outgrow::{
    Error, Workspace, runtime,
    tables::{Format, Output, form, refuse_others},
    told_to_end,
};
use outgrow_store::Store;

use crate::{output::is_terminal, phases::Phases, values::one_of};

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
    #[arg(long, default_value = "table", value_parser = one_of(FORMATS))]
    pub format: Format,
    /// Write to this file instead of the terminal
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Write there also where another file is than an earlier query left
    #[arg(long, requires = "output")]
    pub force: bool,
}

const FORMATS: [(&str, &str, Format); 5] = [
    ("table", "", Format::Table),
    ("csv", "", Format::Csv),
    ("json", "", Format::Json),
    ("jsonl", "", Format::Jsonl),
    ("parquet", "", Format::Parquet),
];

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
    if let Some(path) = &args.output {
        refuse_others(path, args.format, args.force)?;
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
    let answer = answer.map_err(|error| error.hinted(&args.sql))?;
    let output = Output::new(args.output.as_deref())?;
    let form =
        form(args.format, &answer.columns, is_terminal()).map_err(|error| output.failed(error))?;
    output.take(answer, form).await
}
