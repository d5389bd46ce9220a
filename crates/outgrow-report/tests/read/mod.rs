//! What stands in the files of a report.

use outgrow_report::{Analysis, Report, Strategy};

pub fn strategy<'a>(analysis: &'a Analysis, name: &str) -> &'a Strategy {
    analysis.strategies.iter().find(|strategy| strategy.name == name).expect("the strategy")
}

pub fn text(made: &Report, name: &str) -> String {
    let (_, bytes) =
        made.files.iter().find(|(path, _)| path == name).unwrap_or_else(|| panic!("no {name}"));
    String::from_utf8(bytes.clone()).expect("text")
}

/// A column of a table by the names of its first column.
pub fn column(made: &Report, table: &str, head: &str) -> Vec<(String, String)> {
    let text = text(made, &format!("tables/{table}.csv"));
    let mut rows = csv::Reader::from_reader(text.as_bytes());
    let at = rows.headers().expect("heads").iter().position(|own| own.starts_with(head));
    let at = at.unwrap_or_else(|| panic!("{table} has no {head}: {text}"));
    rows.records().map(|row| row.expect("CSV")).map(|row| (row[0].into(), row[at].into())).collect()
}
