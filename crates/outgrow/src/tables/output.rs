//! Where rows are written.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::Path,
};

use outgrow_data::publish::NewFile;
use outgrow_store::Answer;

use super::rows::Form;
use crate::error::Error;

/// Where a long answer goes: standard output, or a file that has its name when it is whole.
pub struct Output {
    target: Target,
    name: Option<String>,
}

enum Target {
    Standard(io::Stdout),
    /// What has its name already and is no file, as /dev/stdout.
    Device(File),
    File(NewFile),
}

impl Output {
    /// Standard output where no path is given.
    ///
    /// # Errors
    /// If the file can't be made.
    pub fn new(path: Option<&Path>) -> Result<Self, Error> {
        let Some(path) = path else {
            return Ok(Self { target: Target::Standard(io::stdout()), name: None });
        };
        let name = path.display().to_string();
        let target = match fs::metadata(path).map_or(true, |found| found.is_file()) {
            true => NewFile::create(path).map(Target::File),
            false => File::options().write(true).open(path).map(Target::Device),
        };
        let target = target.map_err(Error::environment(format!("cannot write {name}")))?;
        Ok(Self { target, name: Some(name) })
    }

    /// Writes an answer in a form, row by row, to its end.
    ///
    /// # Errors
    /// If the query fails half-way, or the disk refuses; a file does not have its name then.
    pub async fn take(mut self, mut answer: Answer, mut form: Box<dyn Form>) -> Result<(), Error> {
        while let Some(rows) = answer.next().await? {
            let text = form.rows(rows).map_err(|error| self.failed(error))?;
            let written = self.write_all(text.as_bytes()).and_then(|()| self.flush());
            written.map_err(|error| self.failed(error))?;
        }
        let written = form.end(&mut self).and_then(|()| self.flush());
        written.map_err(|error| self.failed(error))?;
        match self.target {
            Target::Standard(mut out) => Ok(out.flush()?),
            Target::Device(_) => Ok(()),
            Target::File(file) => {
                let name = self.name.unwrap_or_default();
                file.finish().map_err(Error::environment(format!("cannot write {name}")))
            }
        }
    }

    /// What a failure to write means here.
    pub fn failed(&self, error: io::Error) -> Error {
        match &self.name {
            Some(name) => Error::Environment(format!("cannot write {name}: {error}")),
            None => error.into(),
        }
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.target {
            Target::Standard(out) => out.write(bytes),
            Target::Device(file) => file.write(bytes),
            Target::File(file) => file.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.target {
            Target::Standard(out) => out.flush(),
            Target::Device(file) => file.flush(),
            Target::File(file) => file.flush(),
        }
    }
}
