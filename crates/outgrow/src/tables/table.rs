//! An answer as a table for people, written as its rows come.

use std::io::{self, Write};

use outgrow_store::{Batch, Cell};

use super::{
    cell::{printable, short},
    rows::Form,
};
use crate::readable;

/// Rows that are laid out together: a longer table goes on below another header, with widths of its
/// own.
const TABLE_ROWS: usize = 1000;

/// A table.
pub struct Table {
    columns: Vec<String>,
    rows: Batch,
    is_first: bool,
    fits: bool,
}

impl Table {
    /// A table of these columns; if it `fits`, as narrow as the terminal.
    pub fn new(columns: &[String], fits: bool) -> Self {
        Self { columns: columns.to_vec(), rows: vec![], is_first: true, fits }
    }

    /// The rows that are there, as a table.
    fn laid_out(&mut self) -> String {
        let rows = std::mem::take(&mut self.rows);
        self.is_first = false;
        let header: Vec<String> = self.columns.iter().map(|name| printable(name)).collect();
        let header: Vec<&str> = header.iter().map(String::as_str).collect();
        let is_number = |column: &usize| {
            rows.iter().all(|row| !matches!(row[*column], Cell::Text(_) | Cell::Blob(_)))
        };
        let right: Vec<usize> = (0..header.len()).filter(is_number).collect();
        let rows: Vec<Vec<String>> =
            rows.iter().map(|row| row.iter().map(short).collect()).collect();
        readable::table(&header, &rows, &right, self.fits) + "\n"
    }
}

impl Form for Table {
    fn rows(&mut self, rows: Batch) -> io::Result<String> {
        self.rows.extend(rows);
        Ok(if self.rows.len() >= TABLE_ROWS { self.laid_out() } else { String::new() })
    }

    fn end(&mut self, output: &mut (dyn Write + Send)) -> io::Result<()> {
        let is_empty = self.rows.is_empty() && !self.is_first;
        let rest = if is_empty { String::new() } else { self.laid_out() };
        output.write_all(rest.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(batches: Vec<Batch>) -> String {
        let mut table = Table::new(&["a".into(), "a".into()], false);
        let mut output = vec![];
        for batch in batches {
            output.extend(table.rows(batch).expect("written").into_bytes());
        }
        table.end(&mut output).expect("written");
        String::from_utf8(output).expect("text")
    }

    #[test]
    fn long_tables_keep_all_rows() {
        let row = |n| vec![Cell::Integer(n), Cell::Integer(n)];
        let text = written(vec![(0..2500).map(row).collect()]);
        let rows = text.lines().filter(|line| !line.contains('a') && !line.contains('─'));
        assert_eq!(rows.count(), 2500);
        assert!(written(vec![]).contains('a'));
    }
}
