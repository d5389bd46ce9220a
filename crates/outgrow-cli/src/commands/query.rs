//! `outgrow query`.

mod cell;
mod form;
mod parquet;

use std::{io::Write, path::Path};

use outgrow_store::{Answer, Store, Table};

pub use self::{cell::value, parquet::write_batch};
use crate::{
    args::{Format, Query},
    failure::Failure,
    output::{Output, told_to_end},
    place::{Place, runtime},
};

/// Answers one query of the user's, row by row.
pub fn query(place: &Place, args: &Query) -> Result<(), Failure> {
    if args.format == Format::Parquet && args.output.is_none() {
        return Err(Failure::Input(
            "parquet is not for terminals; name a file with --output".into(),
        ));
    }
    runtime()?.block_on(async {
        let told = told_to_end(args.output.is_none())?;
        let store = place.reading().await?;
        tokio::select! {
            done = answer(&store, args) => done,
            failure = told => Err(failure),
        }
    })
}

async fn answer(store: &Store, args: &Query) -> Result<(), Failure> {
    // The file comes to be only when there is an answer.
    let answer = store.ask(&args.sql).await?;
    let mut output = Output::new(args.output.as_deref())?;
    write(answer, args, &mut output).await?;
    output.finish()
}

async fn write(mut answer: Answer, args: &Query, output: &mut Output) -> Result<(), Failure> {
    let failed = |error| match &args.output {
        Some(path) => cannot_write(path)(error),
        None => Failure::from(error),
    };
    let mut form = form::of(args.format, &answer.columns).map_err(failed)?;
    while let Some(rows) = answer.next().await? {
        let text = form.rows(rows).map_err(failed)?;
        output.write_all(text.as_bytes()).and_then(|()| output.flush()).map_err(failed)?;
    }
    form.end(output).and_then(|()| output.flush()).map_err(failed)
}

fn cannot_write(path: &Path) -> impl Fn(std::io::Error) -> Failure {
    move |error| Failure::Environment(format!("cannot write {}: {error}", path.display()))
}

/// A whole table as CSV.
pub fn as_csv(table: &Table) -> String {
    form::csv(
        std::iter::once(table.columns.clone()).chain(table.rows.iter().map(|row| form::texts(row))),
    )
}
