//! Which files an answer may take the place of.

use std::{
    fs::{self, File},
    io::{self, Read},
    path::Path,
};

use super::form::Format;
use crate::error::Error;

/// How much of a file is looked at.
const HEAD: u64 = 1 << 16;

/// Refuses to write over a folder and, unless it is to be done by `force`, over a file that is
/// unlike what an earlier answer in this format, or as a table, left. A new file, an empty one and a
/// device are taken.
///
/// # Errors
/// [`Error::Input`] that says what is there.
pub fn refuse_others(path: &Path, format: Format, force: bool) -> Result<(), Error> {
    let shown = path.display();
    match fs::metadata(path) {
        Ok(found) if found.is_dir() => {
            let inside = path.join("answer.csv");
            let inside = inside.display();
            Err(Error::Input(format!("{shown} is a folder; name a file in it, as {inside}")))
        }
        Ok(found) if found.is_file() && !force => {
            let head = head(path).map_err(Error::environment(format!("cannot read {shown}")))?;
            let is_csv = path.extension().is_some_and(|ending| ending == "csv");
            match foreign(&head, format, is_csv) {
                None => Ok(()),
                Some(what) => Err(Error::Input(format!(
                    "{shown} is {what}; name another file, or replace it by --force"
                ))),
            }
        }
        _ => Ok(()),
    }
}

fn head(path: &Path) -> io::Result<Vec<u8>> {
    let mut head = vec![];
    File::open(path)?.take(HEAD).read_to_end(&mut head)?;
    Ok(head)
}

/// What a file is that begins so, if no answer in that format does.
fn foreign(head: &[u8], format: Format, is_csv: bool) -> Option<&'static str> {
    if head.starts_with(b"SQLite format 3\0") {
        return Some("a SQLite database");
    }
    let text = String::from_utf8_lossy(head);
    let is_ours = head.is_empty()
        || is_table(&text)
        || match format {
            Format::Table => false,
            Format::Csv => is_records(&text, (head.len() as u64) < HEAD, is_csv),
            Format::Json => text.starts_with("[\n  {") || text == "[]\n",
            Format::Jsonl => text.starts_with("{\""),
            Format::Parquet => head.starts_with(b"PAR1"),
        };
    (!is_ours).then_some(match format {
        Format::Table => "there, and no table of an earlier query",
        Format::Csv => "there, and no CSV file of an earlier query",
        Format::Json => "there, and no JSON file of an earlier query",
        Format::Jsonl => "there, and no JSON lines of an earlier query",
        Format::Parquet => "there, and no Parquet file",
    })
}

/// Under the header of a table there is a rule.
fn is_table(text: &str) -> bool {
    let rule = text.lines().nth(1).unwrap_or_default();
    rule.contains('─') && rule.chars().all(|c| c == '─' || c == ' ')
}

/// Whether each line has as many fields as the first. One column is a list like any other: the
/// file's name must say that it is CSV.
fn is_records(text: &str, is_whole: bool, is_csv: bool) -> bool {
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(text.as_bytes());
    let Ok(header) = reader.headers().cloned() else { return false };
    let is_name = |name: &str| !name.starts_with(char::is_whitespace);
    if header.len() < 2 && !is_csv || !header.iter().all(is_name) {
        return false;
    }
    let mut lengths: Vec<usize> =
        reader.records().map(|record| record.map_or(0, |record| record.len())).collect();
    if !is_whole {
        // It was cut off.
        lengths.pop();
    }
    lengths.iter().all(|&length| length == header.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    const FORMATS: [Format; 5] =
        [Format::Table, Format::Csv, Format::Json, Format::Jsonl, Format::Parquet];

    #[test]
    fn an_answer_takes_the_place_of_answers_alone() {
        let answers = [
            "a  b\n─────\n1  2\n",
            "a,b\n1,\"x, y\"\n",
            "[\n  {\n    \"a\": 1\n  }\n]\n",
            "{\"a\":1}\n",
            "PAR1...",
        ];
        for (format, answer) in FORMATS.into_iter().zip(answers) {
            assert_eq!(foreign(answer.as_bytes(), format, false), None, "{answer}");
            assert_eq!(foreign(b"", format, false), None);
            for other in ["Call me Ishmael.\nSome years ago, ...\n", "fn main() {}\n", "\u{0}\u{1}"]
            {
                assert!(foreign(other.as_bytes(), format, false).is_some(), "{format:?}: {other}");
            }
            let database = b"SQLite format 3\0\x10\0";
            assert_eq!(foreign(database, format, true), Some("a SQLite database"));
            let table = foreign(answers[0].as_bytes(), format, false);
            assert_eq!(table, None, "a table is an answer in any format");
        }
        assert_eq!(foreign(b"n\n5\n", Format::Csv, true), None);
        assert!(foreign(b"n\n5\n", Format::Csv, false).is_some());
        assert!(foreign(b"a,b\n1\n", Format::Csv, true).is_some());
    }
}
