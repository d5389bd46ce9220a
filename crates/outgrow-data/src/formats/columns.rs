//! Documents in Parquet, a few rows at a time.

use std::{fs::File, path::Path, sync::Arc};

use arrow_array::{Array, ArrayRef, RecordBatch, cast::AsArray};
use arrow_cast::cast;
use arrow_schema::DataType;
use parquet::{
    arrow::{ProjectionMask, arrow_reader::ParquetRecordBatchReaderBuilder},
    basic::{Compression, Type},
    column::page::{Page, PageReader},
    file::{metadata::RowGroupMetaData, serialized_reader::SerializedPageReader},
    schema::types::SchemaDescriptor,
};

use super::skipped::Skipped;
use crate::{
    error::{CorpusError, read_error},
    guard::guarded,
    listener::Listener,
};

/// Rows that are in memory at a time: some hold books.
const ROWS: usize = 64;

/// Hands over the text of each row of a file; what has none is counted in `skipped`.
pub(crate) fn each(
    path: &Path,
    field: &str,
    listener: &dyn Listener,
    skipped: &mut Skipped,
    take: &mut dyn FnMut(&[u8]) -> Result<(), CorpusError>,
) -> Result<(), CorpusError> {
    let file = File::open(path).map_err(read_error(path))?;
    let bytes = file.metadata().map_err(read_error(path))?.len();
    let pages = Arc::new(file.try_clone().map_err(read_error(path))?);
    let builder = whole(path, || ParquetRecordBatchReaderBuilder::try_new(file))?;
    let column = Column::find(path, field, builder.parquet_schema())?;
    for group in builder.metadata().row_groups() {
        readable(path, group.column(column.leaf).compression())?;
        check_dictionaries(path, &pages, group, column.leaf)?;
    }
    let rows = builder.metadata().file_metadata().num_rows().max(1) as u64;
    let mask = ProjectionMask::leaves(builder.parquet_schema(), [column.leaf]);
    let mut batches = whole(path, || builder.with_projection(mask).with_batch_size(ROWS).build())?;
    while let Some(batch) = whole(path, || batches.next().transpose())? {
        column.each(path, &batch, skipped, take)?;
        listener.read((u128::from(bytes) * batch.num_rows() as u128 / u128::from(rows)) as u64);
    }
    Ok(())
}

/// Refuses a dictionary that says it has more values than its bytes can hold: the library lays out
/// memory for as many, before it reads them.
fn check_dictionaries(
    path: &Path,
    file: &Arc<File>,
    group: &RowGroupMetaData,
    leaf: usize,
) -> Result<(), CorpusError> {
    let column = group.column(leaf);
    if column.column_type() != Type::BYTE_ARRAY {
        return Ok(());
    }
    let rows = usize::try_from(group.num_rows()).unwrap_or(0);
    let mut pages = whole(path, || SerializedPageReader::new(file.clone(), column, rows, None))?;
    while let Some(next) = whole(path, || pages.peek_next_page())? {
        if !next.is_dict {
            whole(path, || pages.skip_next_page())?;
            continue;
        }
        if let Some(Page::DictionaryPage { buf, num_values, .. }) =
            whole(path, || pages.get_next_page())?
            // Each value has its length before it, in four bytes.
            && num_values as usize > buf.len() / 4
        {
            let why = format!("its dictionary has {} bytes for {num_values} values", buf.len());
            return Err(CorpusError::document(path, format!("it is no whole Parquet file: {why}")));
        }
    }
    Ok(())
}

/// Calls the library, whose errors and panics are those of the file.
fn whole<T, E: std::fmt::Display>(
    path: &Path,
    call: impl FnOnce() -> Result<T, E>,
) -> Result<T, CorpusError> {
    let why = match guarded(call) {
        Ok(Ok(value)) => return Ok(value),
        Ok(Err(error)) => error.to_string(),
        Err(panic) => panic,
    };
    Err(CorpusError::document(path, format!("it is no whole Parquet file: {why}")))
}

/// Refuses what this build does not unpack, by name.
fn readable(path: &Path, codec: Compression) -> Result<(), CorpusError> {
    let name = match codec {
        Compression::UNCOMPRESSED
        | Compression::SNAPPY
        | Compression::GZIP(_)
        | Compression::ZSTD(_) => return Ok(()),
        Compression::BROTLI(_) => "brotli",
        Compression::LZ4 | Compression::LZ4_RAW => "lz4",
        Compression::LZO => "lzo",
    };
    Err(CorpusError::document(
        path,
        format!(
            "its columns are compressed by {name}; read are snappy, gzip and zstd: write it anew, \
             for example in Python by \
             pyarrow.parquet.write_table(pyarrow.parquet.read_table(FILE), NEW, \
             compression=\"zstd\")"
        ),
    ))
}

/// The column of the text.
struct Column {
    name: String,
    /// Its number among the leaves of the schema.
    leaf: usize,
    /// The fields that lead to it.
    parts: Vec<String>,
}

impl Column {
    /// The column of this very name, or, where the name has dots, the field within structs.
    fn find(path: &Path, name: &str, schema: &SchemaDescriptor) -> Result<Self, CorpusError> {
        let leaves: Vec<&[String]> =
            schema.columns().iter().map(|leaf| leaf.path().parts()).collect();
        let whole = leaves.iter().position(|parts| *parts == [name]);
        let Some(leaf) = whole.or_else(|| leaves.iter().position(|parts| parts.join(".") == name))
        else {
            let is_group =
                leaves.iter().any(|parts| parts.first().is_some_and(|first| first == name));
            let why = match is_group {
                true => format!("its column `{name}` is a list or a struct, not text"),
                false => format!("it has no column `{name}`"),
            };
            let there: Vec<String> = leaves.iter().map(|parts| parts.join(".")).collect();
            let why =
                format!("{why}, but {}; name that of the text (data.field)", there.join(", "));
            return Err(CorpusError::document(path, why));
        };
        if schema.column(leaf).max_rep_level() > 0 {
            return Err(CorpusError::document(
                path,
                format!("its column `{name}` is a list, not text"),
            ));
        }
        Ok(Self { name: name.to_owned(), leaf, parts: leaves[leaf].to_vec() })
    }

    fn each(
        &self,
        path: &Path,
        batch: &RecordBatch,
        skipped: &mut Skipped,
        take: &mut dyn FnMut(&[u8]) -> Result<(), CorpusError>,
    ) -> Result<(), CorpusError> {
        let mut array = batch.column(0).clone();
        let mut is_null = vec![false; batch.num_rows()];
        for part in &self.parts[1..] {
            is_null.iter_mut().enumerate().for_each(|(row, null)| *null |= array.is_null(row));
            let inner =
                array.as_struct_opt().and_then(|fields| fields.column_by_name(part).cloned());
            array = inner.ok_or_else(|| self.no_text(path, array.data_type()))?;
        }
        let array = spelled_out(path, array)?;
        for (row, text) in self.texts(path, &array)?.enumerate() {
            match text.filter(|_| !is_null[row]) {
                None => skipped.null += 1,
                Some([]) => skipped.empty += 1,
                Some(text) => {
                    let valid = std::str::from_utf8(text);
                    valid.map_err(|_| {
                        CorpusError::document(
                            path,
                            format!("its column `{}` holds bytes that are no UTF-8", self.name),
                        )
                    })?;
                    take(text)?;
                }
            }
        }
        Ok(())
    }

    fn texts<'a>(
        &self,
        path: &Path,
        array: &'a ArrayRef,
    ) -> Result<Box<dyn Iterator<Item = Option<&'a [u8]>> + 'a>, CorpusError> {
        Ok(match array.data_type() {
            DataType::Utf8 => {
                Box::new(array.as_string::<i32>().iter().map(|text| text.map(str::as_bytes)))
            }
            DataType::LargeUtf8 => {
                Box::new(array.as_string::<i64>().iter().map(|text| text.map(str::as_bytes)))
            }
            DataType::Utf8View => {
                Box::new(array.as_string_view().iter().map(|text| text.map(str::as_bytes)))
            }
            DataType::Binary => Box::new(array.as_binary::<i32>().iter()),
            DataType::LargeBinary => Box::new(array.as_binary::<i64>().iter()),
            DataType::BinaryView => Box::new(array.as_binary_view().iter()),
            other => return Err(self.no_text(path, other)),
        })
    }

    fn no_text(&self, path: &Path, what: &DataType) -> CorpusError {
        CorpusError::document(
            path,
            format!(
                "its column `{}` is {what}, not text; name that of the text (data.field)",
                self.name
            ),
        )
    }
}

/// A dictionary's values, one for each row; other arrays as they are.
fn spelled_out(path: &Path, array: ArrayRef) -> Result<ArrayRef, CorpusError> {
    match array.data_type() {
        DataType::Dictionary(_, values) => whole(path, || cast(&array, values)),
        _ => Ok(array),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codecs_that_are_not_unpacked_are_named() {
        let cases = [
            (Compression::UNCOMPRESSED, None),
            (Compression::SNAPPY, None),
            (Compression::GZIP(Default::default()), None),
            (Compression::ZSTD(Default::default()), None),
            (Compression::BROTLI(Default::default()), Some("brotli")),
            (Compression::LZ4, Some("lz4")),
            (Compression::LZ4_RAW, Some("lz4")),
            (Compression::LZO, Some("lzo")),
        ];
        for (codec, name) in cases {
            let refused =
                readable(Path::new("x.parquet"), codec).err().map(|error| error.to_string());
            assert_eq!(refused.is_some(), name.is_some(), "{codec:?}");
            let words = |name: &str| {
                refused.iter().any(|why| {
                    why.contains(name) && why.contains("x.parquet") && why.contains("zstd")
                })
            };
            assert!(name.is_none_or(words), "{refused:?}");
        }
    }
}
