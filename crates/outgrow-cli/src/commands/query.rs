//! `outgrow query`.

use std::{fs::File, io::Write, path::Path, sync::Arc};

use arrow::{
    array::{ArrayRef, Float64Array, Int64Array, StringArray},
    record_batch::RecordBatch,
};
use outgrow_store::{Cell, Table};
use parquet::{arrow::ArrowWriter, basic::Compression, file::properties::WriterProperties};

use crate::{
    args::{Format, Query},
    failure::Failure,
    output,
    place::{Place, runtime},
};

/// Answers one query of the user's.
pub fn query(place: &Place, args: &Query) -> Result<(), Failure> {
    if args.format == Format::Parquet && args.output.is_none() {
        return Err(Failure::Input("parquet is not for terminals; name a file with --output".into()));
    }
    let table = runtime()?.block_on(async { Ok::<_, Failure>(place.reading().await?.query(&args.sql).await?) })?;
    let text = match args.format {
        Format::Table => as_table(&table),
        Format::Csv => as_csv(&table),
        Format::Json => as_json(&table),
        Format::Parquet => return write_parquet(&table, args.output.as_deref().expect("checked above")),
    };
    match &args.output {
        None => output::print(&text),
        Some(path) => {
            std::fs::write(path, text).map_err(Failure::environment(format!("cannot write {}", path.display())))
        }
    }
}

fn text(cell: &Cell) -> String {
    match cell {
        Cell::Null => String::new(),
        Cell::Integer(value) => value.to_string(),
        Cell::Big(value) => value.to_string(),
        Cell::Real(value) => value.to_string(),
        Cell::Text(value) => value.clone(),
    }
}

fn as_table(table: &Table) -> String {
    // People read six digits; the other formats carry all of them.
    let short = |cell: &Cell| match cell {
        Cell::Big(value) => format!("{:.4e}", *value as f64),
        Cell::Real(value) if *value != 0.0 && !(1e-3..1e7).contains(&value.abs()) => format!("{value:.4e}"),
        Cell::Real(value) => format!("{value:.5}"),
        other => text(other),
    };
    let header: Vec<&str> = table.columns.iter().map(String::as_str).collect();
    let is_number = |column: &usize| {
        let mut cells = table.rows.iter().map(|row| &row[*column]);
        cells.all(|cell| !matches!(cell, Cell::Text(_)))
    };
    let right: Vec<usize> = (0..header.len()).filter(is_number).collect();
    let rows = table.rows.iter().map(|row| row.iter().map(short).collect()).collect();
    output::table(&header, rows, &right)
}

pub fn as_csv(table: &Table) -> String {
    let mut writer = csv::Writer::from_writer(vec![]);
    let records =
        std::iter::once(table.columns.clone()).chain(table.rows.iter().map(|row| row.iter().map(text).collect()));
    records.for_each(|record| writer.write_record(record).expect("memory takes every record"));
    String::from_utf8(writer.into_inner().expect("memory takes every record")).expect("text in, text out")
}

/// A cell as JSON, which has no infinity: it reads as null there. What is beyond 64 bits is a real number, as JSON's readers take it.
pub fn value(cell: &Cell) -> serde_json::Value {
    match cell {
        Cell::Null => serde_json::Value::Null,
        Cell::Integer(value) => (*value).into(),
        Cell::Big(value) => (*value as f64).into(),
        Cell::Real(value) => (*value).into(),
        Cell::Text(value) => value.clone().into(),
    }
}

fn as_json(table: &Table) -> String {
    let object = |row: &Vec<Cell>| {
        let pairs = table.columns.iter().cloned().zip(row.iter().map(value));
        serde_json::Value::Object(pairs.collect())
    };
    serde_json::to_string_pretty(&table.rows.iter().map(object).collect::<Vec<_>>()).expect("plain data")
}

fn write_parquet(table: &Table, path: &Path) -> Result<(), Failure> {
    let columns = (0..table.columns.len()).map(|column| (table.columns[column].as_str(), array(table, column), true));
    let batch = RecordBatch::try_from_iter_with_nullable(columns)
        .map_err(|error| Failure::Input(format!("the answer makes no parquet file: {error}")))?;
    write_batch(&batch, path)
}

/// Writes rows as a Parquet file.
pub fn write_batch(batch: &RecordBatch, path: &Path) -> Result<(), Failure> {
    let failed =
        |error: &dyn std::fmt::Display| Failure::Environment(format!("cannot write {}: {error}", path.display()));
    let mut file = File::create(path).map_err(|error| failed(&error))?;
    let properties = WriterProperties::builder().set_compression(Compression::ZSTD(Default::default())).build();
    let mut writer =
        ArrowWriter::try_new(&mut file, batch.schema(), Some(properties)).map_err(|error| failed(&error))?;
    writer.write(batch).and_then(|()| writer.close()).map_err(|error| failed(&error))?;
    file.flush().map_err(|error| failed(&error))
}

/// A column is of integers, of reals, or else of text.
fn array(table: &Table, column: usize) -> ArrayRef {
    let cells = || table.rows.iter().map(move |row| &row[column]);
    if cells().all(|cell| matches!(cell, Cell::Null | Cell::Integer(_))) {
        let value = |cell: &Cell| if let Cell::Integer(value) = cell { Some(*value) } else { None };
        return Arc::new(cells().map(value).collect::<Int64Array>());
    }
    if cells().all(|cell| !matches!(cell, Cell::Text(_))) {
        let value = |cell: &Cell| match cell {
            Cell::Integer(value) => Some(*value as f64),
            Cell::Big(value) => Some(*value as f64),
            Cell::Real(value) => Some(*value),
            _ => None,
        };
        return Arc::new(cells().map(value).collect::<Float64Array>());
    }
    let value = |cell: &Cell| if *cell == Cell::Null { None } else { Some(text(cell)) };
    Arc::new(cells().map(value).collect::<StringArray>())
}
