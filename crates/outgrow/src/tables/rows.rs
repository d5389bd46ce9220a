//! What a format of rows is.

use std::io::{self, Write};

use outgrow_store::Batch;

/// How an answer is written.
pub trait Form {
    /// What is to be written when these rows have come.
    ///
    /// # Errors
    /// If a temporary file can't be written.
    fn rows(&mut self, rows: Batch) -> io::Result<String>;
    /// Writes what is left after the last.
    ///
    /// # Errors
    /// If the output can't be written.
    fn end(&mut self, output: &mut (dyn Write + Send)) -> io::Result<()>;
}
