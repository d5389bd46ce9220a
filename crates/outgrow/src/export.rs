//! Results in the forms that other programs read.

mod tensorboard;

use std::{io, path::Path, sync::Arc};

use arrow_array::{ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray};
use outgrow_data::publish::{Destination, NewFolder};
use outgrow_store::{Cell, Kind, SWEEP_VIEWS, Store, Table, VIEWS, View};
use serde_json::{Map, Value};

use crate::{
    error::Error,
    tables::{as_csv, value, write_batch, write_rows},
    workspace::{Workspace, runtime},
};

/// Forms of exported results.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExportFormat {
    /// A Parquet file for each view.
    Parquet,
    /// A CSV file for each view.
    Csv,
    /// A file of JSON lines for each view.
    Jsonl,
    /// TensorBoard's event files, against tokens.
    Tensorboard,
    /// A Parquet file for each table, which [`import`](crate::Workspace::import) reads back.
    Tables,
}

impl Workspace {
    /// Writes results, of one sweep or of all, into a folder that does not exist yet; gives names
    /// of the files and how many rows or points each has.
    ///
    /// # Errors
    /// If there is no such sweep, the folder exists, or it can't be written.
    pub fn export(
        &self,
        sweep: Option<&str>,
        to: &Path,
        format: ExportFormat,
    ) -> Result<Files, Error> {
        if Destination::of(to)? != Destination::Free {
            return Err(Error::Input(format!(
                "{} exists already; name a folder that does not",
                to.display()
            )));
        }
        runtime()?.block_on(write(self, sweep, to, format))
    }
}

/// Names of the files, and of rows or points in each.
pub type Files = Map<String, Value>;

async fn write(
    workspace: &Workspace,
    sweep: Option<&str>,
    to: &Path,
    format: ExportFormat,
) -> Result<Files, Error> {
    let store = workspace.reading().await?;
    let sweep = match sweep {
        Some(name) => Some(store.find_sweep(name).await?.id),
        None => None,
    };
    store.refuse_incomplete(sweep.as_deref()).await?;
    let new = NewFolder::create(to)?;
    let files = match format {
        ExportFormat::Tensorboard => tensorboard::write(&store, sweep.as_deref(), &new).await?,
        ExportFormat::Tables => tables(&store, sweep.as_deref(), &new).await?,
        format => views(&store, sweep.as_deref(), format, &new).await?,
    };
    new.finish()?;
    Ok(files)
}

/// A file for each table.
async fn tables(store: &Store, sweep: Option<&str>, to: &NewFolder) -> Result<Files, Error> {
    let mut files = Map::new();
    for (name, table) in store.tables(sweep).await? {
        let name = format!("{name}.parquet");
        write_rows(&table, &to.file(&name)?)?;
        files.insert(name, table.rows.len().into());
    }
    Ok(files)
}

/// A file for each view.
async fn views(
    store: &Store,
    sweep: Option<&str>,
    format: ExportFormat,
    to: &NewFolder,
) -> Result<Files, Error> {
    let mut files = Map::new();
    for view in VIEWS.iter().chain(SWEEP_VIEWS.iter().filter(|view| view.name != "tuned")) {
        let table = store.view(view, sweep).await?;
        // Sweeps without a frontier have no estimates.
        if table.rows.is_empty() && SWEEP_VIEWS.iter().any(|other| other.name == view.name) {
            continue;
        }
        let name = match format {
            ExportFormat::Parquet => format!("{}.parquet", view.name),
            ExportFormat::Csv => format!("{}.csv", view.name),
            _ => format!("{}.jsonl", view.name),
        };
        match format {
            ExportFormat::Parquet => write_parquet(view, &table, to, &name)?,
            ExportFormat::Csv => to.write(&name, as_csv(&table).as_bytes())?,
            _ => to.write(&name, json_lines(view, &table).as_bytes())?,
        }
        files.insert(name, table.rows.len().into());
    }
    Ok(files)
}

/// A line for each row; what is true or false is so, and what JSON has no number for is null.
fn json_lines(view: &View, table: &Table) -> String {
    let value = |(cell, (_, kind)): (&Cell, (&str, Kind))| match cell {
        Cell::Integer(flag) if kind == Kind::Flag => (*flag != 0).into(),
        cell => value(cell),
    };
    // By hand, for the columns to keep their order.
    let line = |row: &Vec<Cell>| {
        let pair = |(name, cell)| format!("{}:{}", Value::from(name), value(cell));
        let names = view.all_columns().map(|(name, _)| name);
        let pairs: Vec<String> = names.zip(row.iter().zip(view.all_columns())).map(pair).collect();
        format!("{{{}}}\n", pairs.join(","))
    };
    table.rows.iter().map(line).collect()
}

fn write_parquet(view: &View, table: &Table, to: &NewFolder, name: &str) -> Result<(), Error> {
    let columns = view
        .all_columns()
        .enumerate()
        .map(|(number, (name, kind))| (name, array(table, number, kind), true));
    let batch = RecordBatch::try_from_iter_with_nullable(columns).map_err(io::Error::other)?;
    write_batch(&batch, &to.file(name)?)
}

/// A column in the type that the view says, whatever is in it; FLOPs beyond 64 bits make theirs one
/// of doubles.
fn array(table: &Table, column: usize, kind: Kind) -> ArrayRef {
    let cells = table.rows.iter().map(|row| &row[column]);
    let integer = |cell: &Cell| if let Cell::Integer(value) = cell { Some(*value) } else { None };
    let real = |cell: &Cell| match cell {
        Cell::Integer(value) => Some(*value as f64),
        Cell::Big(value) => Some(*value as f64),
        Cell::Real(value) => Some(*value),
        _ => None,
    };
    let fits = |cell: &Cell| matches!(cell, Cell::Null | Cell::Integer(_));
    let text = |cell: &Cell| if let Cell::Text(value) = cell { Some(value.clone()) } else { None };
    match kind {
        Kind::Flops if !cells.clone().all(fits) => {
            Arc::new(cells.map(real).collect::<Float64Array>())
        }
        Kind::Integer | Kind::Flops => Arc::new(cells.map(integer).collect::<Int64Array>()),
        Kind::Real => Arc::new(cells.map(real).collect::<Float64Array>()),
        Kind::Text => Arc::new(cells.map(text).collect::<StringArray>()),
        Kind::Flag => Arc::new(
            cells.map(|cell| integer(cell).map(|value| value != 0)).collect::<BooleanArray>(),
        ),
    }
}

/// The view of a name.
fn view(name: &str) -> &'static View {
    VIEWS.iter().find(|view| view.name == name).expect("there is such a view")
}

/// A cell of a row, by the name of its column.
fn cell<'t>(table: &Table, row: &'t [Cell], name: &str) -> &'t Cell {
    &row[table.columns.iter().position(|column| column == name).expect("the view has this column")]
}

/// Rows of a view, one run of them for each trial of a sweep.
async fn by_trial(
    store: &Store,
    name: &str,
    sweep: Option<&str>,
) -> Result<(Table, Vec<std::ops::Range<usize>>), Error> {
    let table = store.view(view(name), sweep).await?;
    let key = |row: &Vec<Cell>| {
        ["sweep_id", "strategy", "plan", "replicate", "trial"]
            .map(|name| cell(&table, row, name).clone())
    };
    let mut runs: Vec<std::ops::Range<usize>> = vec![];
    for number in 0..table.rows.len() {
        match runs.last_mut() {
            Some(run) if key(&table.rows[run.start]) == key(&table.rows[number]) => {
                run.end = number + 1
            }
            _ => runs.push(number..number + 1),
        }
    }
    Ok((table, runs))
}
