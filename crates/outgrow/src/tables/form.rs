//! Formats of an answer, each written as its rows come.

use std::{
    collections::BTreeSet,
    io::{self, Write},
};

use outgrow_store::{Batch, Cell, Table as Rows};

use super::{cell, parquet::Parquet, rows::Form, table::Table};

/// How rows are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// A table for people.
    Table,
    /// Comma-separated values, with a header.
    Csv,
    /// An array of objects.
    Json,
    /// An object on each line.
    Jsonl,
    /// Parquet.
    Parquet,
}

/// The form of a format; a table that `fits` is as narrow as the terminal.
///
/// # Errors
/// If no temporary file can be made.
pub fn form(format: Format, columns: &[String], fits: bool) -> io::Result<Box<dyn Form>> {
    Ok(match format {
        Format::Table => Box::new(Table::new(columns, fits)),
        Format::Csv => Box::new(Csv { header: Some(distinct(columns)) }),
        Format::Json => Box::new(Json { keys: keys(columns), is_first: true }),
        Format::Jsonl => Box::new(Lines(keys(columns))),
        Format::Parquet => Box::new(Parquet::new(distinct(columns))?),
    })
}

/// Names of columns, each of which is there once: a second `a` is `a_2`, or the first number that
/// is free.
fn distinct(columns: &[String]) -> Vec<String> {
    let mut taken: BTreeSet<String> = columns.iter().cloned().collect();
    let mut seen = BTreeSet::new();
    let mut name = |column: &String| {
        if seen.insert(column.clone()) {
            return column.clone();
        }
        let mut names = (2..).map(|n| format!("{column}_{n}"));
        let free = names.find(|name| !taken.contains(name)).expect("numbers do not end");
        taken.insert(free.clone());
        free
    };
    columns.iter().map(&mut name).collect()
}

/// Records as CSV.
fn csv(records: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut writer = csv::Writer::from_writer(vec![]);
    records
        .into_iter()
        .for_each(|record| writer.write_record(record).expect("memory takes every record"));
    String::from_utf8(writer.into_inner().expect("memory takes every record"))
        .expect("text in, text out")
}

/// The values of a row as text.
fn texts(row: &[Cell]) -> Vec<String> {
    row.iter().map(cell::text).collect()
}

/// A whole table as CSV.
pub fn as_csv(table: &Rows) -> String {
    csv(std::iter::once(table.columns.clone()).chain(table.rows.iter().map(|row| texts(row))))
}

struct Csv {
    header: Option<Vec<String>>,
}

impl Form for Csv {
    fn rows(&mut self, rows: Batch) -> io::Result<String> {
        Ok(csv(self.header.take().into_iter().chain(rows.iter().map(|row| texts(row)))))
    }

    fn end(&mut self, output: &mut (dyn Write + Send)) -> io::Result<()> {
        output.write_all(csv(self.header.take()).as_bytes())
    }
}

/// An array of objects, indented as people read it.
struct Json {
    keys: Vec<String>,
    is_first: bool,
}

impl Form for Json {
    fn rows(&mut self, rows: Batch) -> io::Result<String> {
        let mut text = String::new();
        for row in &rows {
            text += if std::mem::take(&mut self.is_first) { "[\n  {" } else { ",\n  {" };
            text += &pairs(&self.keys, row, "\n    ", ": ");
            text += "\n  }";
        }
        Ok(text)
    }

    fn end(&mut self, output: &mut (dyn Write + Send)) -> io::Result<()> {
        output.write_all(if self.is_first { b"[]\n" } else { b"\n]\n" })
    }
}

/// An object on each line.
struct Lines(Vec<String>);

impl Form for Lines {
    fn rows(&mut self, rows: Batch) -> io::Result<String> {
        Ok(rows.iter().map(|row| format!("{{{}}}\n", pairs(&self.0, row, "", ":"))).collect())
    }

    fn end(&mut self, _: &mut (dyn Write + Send)) -> io::Result<()> {
        Ok(())
    }
}

/// Names of columns as JSON's strings.
fn keys(columns: &[String]) -> Vec<String> {
    distinct(columns).into_iter().map(|name| serde_json::Value::from(name).to_string()).collect()
}

fn pairs(keys: &[String], row: &[Cell], before: &str, between: &str) -> String {
    let pairs = keys
        .iter()
        .zip(row)
        .map(|(key, cell)| format!("{before}{key}{between}{}", cell::json(cell)));
    pairs.collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(format: Format, columns: &[&str], batches: Vec<Batch>) -> String {
        let columns: Vec<String> = columns.iter().map(ToString::to_string).collect();
        let mut form = form(format, &columns, false).expect("a form");
        let mut output = vec![];
        for batch in batches {
            output.extend(form.rows(batch).expect("written").into_bytes());
        }
        form.end(&mut output).expect("written");
        String::from_utf8(output).expect("text")
    }

    #[test]
    fn names_are_there_once() {
        let names =
            |names: &[&str]| distinct(&names.iter().map(ToString::to_string).collect::<Vec<_>>());
        assert_eq!(names(&["a", "a", "b", "a"]), ["a", "a_2", "b", "a_3"]);
        assert_eq!(names(&["a", "a", "a_2", "", ""]), ["a", "a_3", "a_2", "", "_2"]);
        // Of all short lists of names that can get into each other's way.
        let words = ["a", "a_2", "a_3", "a_2_2"];
        for list in 0..4_usize.pow(6) {
            let list: Vec<&str> =
                (0..6).map(|place| words[list / 4_usize.pow(place) % 4]).collect();
            let found = names(&list);
            assert_eq!(found.iter().collect::<BTreeSet<_>>().len(), 6, "{list:?}: {found:?}");
        }
    }

    #[test]
    fn equal_names_and_batches_keep_all_values() {
        let row = |a, b| vec![Cell::Integer(a), Cell::Integer(b)];
        let batches = || vec![vec![row(1, 2)], vec![], vec![row(3, 4)]];
        let names = ["a", "a"];
        assert_eq!(written(Format::Csv, &names, batches()), "a,a_2\n1,2\n3,4\n");
        assert_eq!(
            written(Format::Jsonl, &names, batches()),
            "{\"a\":1,\"a_2\":2}\n{\"a\":3,\"a_2\":4}\n"
        );
        let json: serde_json::Value =
            serde_json::from_str(&written(Format::Json, &names, batches())).expect("JSON");
        assert_eq!(json, serde_json::json!([{ "a": 1, "a_2": 2 }, { "a": 3, "a_2": 4 }]));
        for (format, expected) in
            [(Format::Csv, "a,a_2\n"), (Format::Jsonl, ""), (Format::Json, "[]\n")]
        {
            assert_eq!(written(format, &names, vec![]), expected);
        }
    }
}
