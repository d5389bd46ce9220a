//! An answer as a Parquet file. What a column holds is known after the last row alone, so that rows
//! wait in a file without a name.

use std::{
    fs::File,
    io::{self, BufReader, BufWriter, Seek, Write},
    path::Path,
    sync::Arc,
};

use arrow_array::{
    ArrayRef, BinaryArray, Decimal128Array, Float64Array, Int64Array, RecordBatch, StringArray,
};
use arrow_schema::{ArrowError, DataType, Field, Schema};
use outgrow_store::{Batch, Cell, Table};
use parquet::{arrow::ArrowWriter, basic::Compression, file::properties::WriterProperties};

use super::{
    cell::{self, text},
    rows::Form,
};
use crate::error::Error;

/// Rows that are held while they are written.
const CHUNK: usize = 4096;

/// Writes rows as a Parquet file.
pub fn write_batch(batch: &RecordBatch, path: &Path) -> Result<(), Error> {
    let failed = |error| Error::Environment(format!("cannot write {}: {error}", path.display()));
    let written = File::create(path).and_then(|mut file| {
        let mut writer = writer(&mut file, batch.schema())?;
        writer.write(batch).and_then(|()| writer.close()).map_err(io::Error::other)?;
        file.flush()
    });
    written.map_err(failed)
}

/// Writes rows whose columns get the types that hold all of them.
pub fn write_rows(table: &Table, path: &Path) -> Result<(), Error> {
    let written = Parquet::new(table.columns.clone()).and_then(|mut form| {
        form.rows(table.rows.clone())?;
        let mut file = File::create(path)?;
        form.end(&mut file)?;
        file.flush()
    });
    written.map_err(Error::environment(format!("cannot write {}", path.display())))
}

fn writer<W: Write + Send>(to: W, schema: Arc<Schema>) -> io::Result<ArrowWriter<W>> {
    let properties =
        WriterProperties::builder().set_compression(Compression::ZSTD(Default::default())).build();
    ArrowWriter::try_new(to, schema, Some(properties)).map_err(io::Error::other)
}

/// Rows that wait, and what their columns have held so far.
pub struct Parquet {
    names: Vec<String>,
    columns: Vec<Column>,
    waiting: BufWriter<File>,
    rows: usize,
}

impl Parquet {
    pub fn new(names: Vec<String>) -> io::Result<Self> {
        let columns = names.iter().map(|_| Column::default()).collect();
        Ok(Self { names, columns, waiting: BufWriter::new(nameless()?), rows: 0 })
    }

    fn schema(&self) -> Arc<Schema> {
        let field = |(name, column): (&String, &Column)| Field::new(name, column.kind(), true);
        Arc::new(Schema::new(self.names.iter().zip(&self.columns).map(field).collect::<Vec<_>>()))
    }

    fn chunk(&self, rows: &[Vec<Cell>]) -> Result<RecordBatch, ArrowError> {
        let array =
            |(number, column): (usize, &Column)| column.array(rows.iter().map(|row| &row[number]));
        RecordBatch::try_new(self.schema(), self.columns.iter().enumerate().map(array).collect())
    }
}

impl Form for Parquet {
    fn rows(&mut self, rows: Batch) -> io::Result<String> {
        for row in rows {
            row.iter().zip(&mut self.columns).for_each(|(cell, column)| column.add(cell));
            ciborium::into_writer(&row, &mut self.waiting).map_err(io::Error::other)?;
            self.rows += 1;
        }
        Ok(String::new())
    }

    fn end(&mut self, output: &mut (dyn Write + Send)) -> io::Result<()> {
        self.waiting.flush()?;
        self.waiting.rewind()?;
        let mut waiting = BufReader::new(self.waiting.get_ref());
        let mut writer = writer(output, self.schema())?;
        let mut left = self.rows;
        while left > 0 {
            let next = (0..left.min(CHUNK)).map(|_| ciborium::from_reader(&mut waiting));
            let rows = next.collect::<Result<Vec<Vec<Cell>>, _>>().map_err(io::Error::other)?;
            left -= rows.len();
            writer
                .write(&self.chunk(&rows).map_err(io::Error::other)?)
                .map_err(io::Error::other)?;
        }
        writer.close().map(drop).map_err(io::Error::other)
    }
}

/// A file that is gone when it is closed, however this process ends.
fn nameless() -> io::Result<File> {
    let path = std::env::temp_dir().join(format!("outgrow-{}-query", std::process::id()));
    let file = File::options().read(true).write(true).create_new(true).open(&path)?;
    std::fs::remove_file(path)?;
    Ok(file)
}

/// What a column has held.
#[derive(Clone, Copy, Default)]
struct Column {
    integers: bool,
    /// Whole numbers that float64 does not hold.
    large: bool,
    reals: bool,
    /// Numbers of more digits than float64 holds; digits before and behind the point at most.
    decimals: bool,
    whole: usize,
    fraction: usize,
    texts: bool,
    blobs: bool,
}

impl Column {
    fn add(&mut self, cell: &Cell) {
        match cell {
            Cell::Null => {}
            Cell::Integer(value) => {
                self.integers = true;
                self.large |= value.unsigned_abs() > 1 << f64::MANTISSA_DIGITS;
                self.digits(&text(cell));
            }
            Cell::Big(_) | Cell::Decimal(_) => {
                self.decimals = true;
                self.digits(&text(cell));
            }
            Cell::Real(value) => {
                self.reals = true;
                self.digits(&value.to_string());
            }
            Cell::Text(_) => self.texts = true,
            Cell::Blob(_) => self.blobs = true,
        }
    }

    fn digits(&mut self, number: &str) {
        let (whole, fraction) = number
            .trim_start_matches('-')
            .split_once('.')
            .unwrap_or((number.trim_start_matches('-'), ""));
        // What is no number has no digits that would fit.
        let is_finite = whole.bytes().all(|b| b.is_ascii_digit());
        self.whole = self.whole.max(if is_finite { whole.len() } else { usize::MAX / 2 });
        self.fraction = self.fraction.max(fraction.len());
    }

    /// The type that holds all of it: whole numbers, float64, decimals, bytes, or else text.
    fn kind(&self) -> DataType {
        let numbers = self.integers || self.reals || self.decimals;
        match (self.texts, self.blobs) {
            (false, true) if !numbers => DataType::Binary,
            (true, _) | (_, true) => DataType::Utf8,
            _ if !self.reals && !self.decimals => DataType::Int64,
            _ if !self.large && !self.decimals => DataType::Float64,
            _ if self.whole + self.fraction <= 38 => DataType::Decimal128(38, self.fraction as i8),
            _ => DataType::Utf8,
        }
    }

    fn array<'c>(&self, cells: impl Iterator<Item = &'c Cell>) -> ArrayRef {
        match self.kind() {
            DataType::Int64 => Arc::new(cells.map(integer).collect::<Int64Array>()),
            DataType::Float64 => Arc::new(cells.map(real).collect::<Float64Array>()),
            DataType::Binary => Arc::new(cells.map(bytes).collect::<BinaryArray>()),
            DataType::Decimal128(digits, scale) => {
                let scaled =
                    cells.map(|cell| scaled(cell, scale as usize)).collect::<Decimal128Array>();
                Arc::new(
                    scaled
                        .with_precision_and_scale(digits, scale)
                        .expect("its digits were counted"),
                )
            }
            _ => Arc::new(
                cells
                    .map(|cell| (*cell != Cell::Null).then(|| text(cell)))
                    .collect::<StringArray>(),
            ),
        }
    }
}

fn integer(cell: &Cell) -> Option<i64> {
    if let Cell::Integer(value) = cell { Some(*value) } else { None }
}

fn real(cell: &Cell) -> Option<f64> {
    match cell {
        Cell::Integer(value) => Some(*value as f64),
        Cell::Real(value) => Some(*value),
        _ => None,
    }
}

fn bytes(cell: &Cell) -> Option<&[u8]> {
    if let Cell::Blob(bytes) = cell { Some(bytes) } else { None }
}

/// A number times a power of ten that makes it whole.
fn scaled(cell: &Cell, scale: usize) -> Option<i128> {
    let number = match cell {
        Cell::Real(value) => value.to_string(),
        other => cell::text(other),
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((&number, ""));
    format!("{whole}{fraction:0<scale$}").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_cast::display::array_value_to_string;
    use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

    /// The type of a column with these values, and how they read again.
    fn read_again(cells: &[Cell]) -> (DataType, Vec<String>) {
        let mut form = Parquet::new(vec!["a".into()]).expect("a file");
        for cell in cells {
            form.rows(vec![vec![cell.clone()]]).expect("it waits");
        }
        let mut written = vec![];
        form.end(&mut written).expect("written");
        let path = std::env::temp_dir().join(format!(
            "outgrow-test-{}-{:?}",
            std::process::id(),
            std::thread::current().id()
        ));
        std::fs::write(&path, written).expect("written");
        let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(&path).expect("there"))
            .expect("parquet");
        std::fs::remove_file(path).expect("removed");
        let kind = reader.schema().field(0).data_type().clone();
        let batches: Vec<RecordBatch> =
            reader.build().expect("readable").collect::<Result<_, _>>().expect("read");
        let value = |batch: &RecordBatch, row| {
            array_value_to_string(batch.column(0), row).expect("a value")
        };
        let values = batches
            .iter()
            .flat_map(|batch| (0..batch.num_rows()).map(|row| value(batch, row)))
            .collect();
        (kind, values)
    }

    #[test]
    fn a_column_gets_the_type_that_holds_all_of_it() {
        let (big, decimal) =
            (Cell::Big(10_i128.pow(22)), Cell::Decimal("0.12345678901234567890".into()));
        let (one, half, text, blob) =
            (Cell::Integer(1), Cell::Real(0.5), Cell::Text("é".into()), Cell::Blob(vec![0, 255]));
        let large = Cell::Integer((1 << 53) + 1);
        for (cells, kind, values) in [
            (&[][..], DataType::Int64, &[][..]),
            (&[Cell::Null], DataType::Int64, &[""]),
            (
                &[one.clone(), Cell::Null, large.clone()],
                DataType::Int64,
                &["1", "", "9007199254740993"],
            ),
            (&[one.clone(), half.clone()], DataType::Float64, &["1.0", "0.5"]),
            (
                &[Cell::Real(f64::INFINITY), Cell::Real(f64::NAN)],
                DataType::Float64,
                &["inf", "NaN"],
            ),
            (&[large, half.clone()], DataType::Decimal128(38, 1), &["9007199254740993.0", "0.5"]),
            (
                &[one.clone(), big.clone()],
                DataType::Decimal128(38, 0),
                &["1", "10000000000000000000000"],
            ),
            (
                &[half.clone(), decimal],
                DataType::Decimal128(38, 20),
                &["0.50000000000000000000", "0.12345678901234567890"],
            ),
            (&[big, Cell::Real(f64::NAN)], DataType::Utf8, &["10000000000000000000000", "NaN"]),
            (
                &[Cell::Decimal("9".repeat(60))],
                DataType::Utf8,
                &["999999999999999999999999999999999999999999999999999999999999"],
            ),
            (&[blob.clone(), Cell::Null], DataType::Binary, &["00ff", ""]),
            (&[text, one, half, blob], DataType::Utf8, &["é", "1", "0.5", "x'00ff'"]),
        ] {
            assert_eq!(
                read_again(cells),
                (kind, values.iter().map(ToString::to_string).collect()),
                "{cells:?}"
            );
        }
    }
}
