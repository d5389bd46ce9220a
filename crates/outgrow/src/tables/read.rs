//! A Parquet file read back as rows.

use std::{fs::File, path::Path};

use arrow_array::{
    Array, RecordBatch,
    cast::AsArray,
    types::{Decimal128Type, Float64Type, Int64Type},
};
use arrow_cast::cast;
use arrow_schema::DataType;
use outgrow_data::guarded;
use outgrow_store::{Cell, Table};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::error::Error;

/// The rows of a Parquet file, whoever wrote it: whole numbers, real ones and texts.
///
/// # Errors
/// If it is no whole Parquet file, or has a column of another kind.
pub fn read_parquet(path: &Path) -> Result<Table, Error> {
    let refused = |error: String| Error::Input(format!("cannot read {}: {error}", path.display()));
    let file = File::open(path).map_err(|error| refused(error.to_string()))?;
    let read = guarded(|| {
        let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(|e| e.to_string())?;
        let columns = builder.schema().fields().iter().map(|field| field.name().clone()).collect();
        let mut table = Table { columns, rows: vec![] };
        for batch in builder.build().map_err(|error| error.to_string())? {
            table.rows.extend(rows(&batch.map_err(|error| error.to_string())?)?);
        }
        Ok(table)
    });
    read.flatten().map_err(refused)
}

fn rows(batch: &RecordBatch) -> Result<Vec<Vec<Cell>>, String> {
    let schema = batch.schema();
    let columns = batch.columns().iter().zip(schema.fields());
    let columns = columns
        .map(|(column, field)| {
            cells(column).map_err(|error| format!("column {}: {error}", field.name()))
        })
        .collect::<Result<Vec<_>, String>>()?;
    Ok((0..batch.num_rows())
        .map(|row| columns.iter().map(|column| column[row].clone()).collect())
        .collect())
}

fn cells(column: &dyn Array) -> Result<Vec<Cell>, String> {
    let kind = column.data_type();
    let canonical = match kind {
        DataType::Decimal128(_, 0) => kind.clone(),
        kind if kind.is_integer() || *kind == DataType::Boolean => DataType::Int64,
        kind if kind.is_numeric() => DataType::Float64,
        DataType::Null => DataType::Int64,
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Dictionary(..) => {
            DataType::Utf8
        }
        other => return Err(format!("it holds {other}: write numbers or texts")),
    };
    let column = cast(column, &canonical).map_err(|error| error.to_string())?;
    Ok(match canonical {
        DataType::Utf8 => column
            .as_string::<i32>()
            .iter()
            .map(|text| or_null(text.map(str::to_owned), Cell::Text))
            .collect(),
        DataType::Float64 => column
            .as_primitive::<Float64Type>()
            .iter()
            .map(|real| or_null(real, Cell::Real))
            .collect(),
        DataType::Int64 => column
            .as_primitive::<Int64Type>()
            .iter()
            .map(|whole| or_null(whole, Cell::Integer))
            .collect(),
        _ => {
            let cell = |whole: i128| i64::try_from(whole).map_or(Cell::Big(whole), Cell::Integer);
            column
                .as_primitive::<Decimal128Type>()
                .iter()
                .map(|whole| or_null(whole, cell))
                .collect()
        }
    })
}

fn or_null<T>(value: Option<T>, cell: impl FnOnce(T) -> Cell) -> Cell {
    value.map_or(Cell::Null, cell)
}
