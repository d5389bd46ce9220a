//! Printing: tables for people, JSON for programs.

use std::io::{self, IsTerminal, Write};

pub use outgrow::readable::{count, shown};
use outgrow::{Error, readable};

/// Writes a text to standard output; a closed pipe is no error of ours.
pub fn print(text: &str) -> Result<(), Error> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    if !text.ends_with('\n') {
        out.write_all(b"\n")?;
    }
    Ok(out.flush()?)
}

/// Says a line on standard error. Where nobody can hear it, what is done is done all the same.
pub fn say(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// Writes a value as JSON.
pub fn print_json(value: &impl serde::Serialize) -> Result<(), Error> {
    print(&serde_json::to_string_pretty(value).expect("plain data"))
}

/// Whether standard output is a terminal, whose width tables should fit.
pub fn is_terminal() -> bool {
    io::stdout().is_terminal()
}

/// A table for people, as narrow as the terminal if it goes there.
pub fn table(header: &[&str], rows: Vec<Vec<String>>, right: &[usize]) -> String {
    readable::table(header, &rows, right, is_terminal())
}
