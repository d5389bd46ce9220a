//! A sweep's report: rows of the database, drawn into a folder.

mod beside;
mod previous;

use std::path::{Path, PathBuf};

use outgrow_core::sweep::ContrastSpec;
use outgrow_data::publish::{Destination, NewFolder};
use outgrow_report::{
    Input, LossUnit, Report, ReportError,
    escape::{file_name, visible},
    report as make,
};

use self::previous::Previous;

pub use self::beside::Compared;
use crate::{
    error::Error,
    rows::rows,
    search::{Search, promised},
    workspace::{Workspace, runtime},
};

/// How a report or a comparison is made, and where it goes.
#[derive(Clone, Copy, Default)]
pub struct ReportOptions<'a> {
    /// The folder; one below `reports/` if none is given.
    pub folder: Option<&'a Path>,
    /// Whether whatever is there gives way, not an older report of the same alone.
    pub force: bool,
    /// Of losses; nats per token if none is given, or bits per byte where tokens differ.
    pub unit: Option<LossUnit>,
}

/// A report in its folder.
#[allow(missing_docs)]
pub struct Written {
    pub folder: PathBuf,
    /// What was written there.
    pub report: Report,
    /// Where what was in the folder is now, if it was not a report's alone.
    pub kept: Option<PathBuf>,
}

impl Workspace {
    /// Writes the report of a sweep into a folder, `reports/NAME` if none is given. An older report
    /// of the same sweep gives way. `versus` names an arm that all others are contrasted with,
    /// instead of the contrasts of the sweep file.
    ///
    /// # Errors
    /// If there is no such sweep or arm, nothing of it was trained, losses can't be told in the
    /// unit, or something is in the way.
    pub fn report(
        &self,
        sweep: &str,
        versus: Option<&str>,
        options: ReportOptions,
    ) -> Result<Written, Error> {
        let mut input = runtime()?.block_on(rows(self, sweep))?;
        if let Some(search) = Search::of_spec(&input.spec) {
            input = search.tell(input);
        }
        input = runtime()?.block_on(promised(self, input))?;
        let mut input = input.in_unit(options.unit.unwrap_or_default()).map_err(failed)?;
        if let Some(versus) = versus {
            input.words.contrasts = against(&input, versus)?;
        }
        self.write(&input, options.folder, options.force)
    }

    /// Writes the report of some rows into a folder.
    fn write(&self, input: &Input, folder: Option<&Path>, force: bool) -> Result<Written, Error> {
        let usual = || PathBuf::from("reports").join(file_name(&input.sweep));
        let folder = folder.map_or_else(usual, Path::to_owned);
        let open = input.trials.iter().filter(|trial| trial.state.is_open()).count();
        let place = Place { folder: &folder, id: &input.id, open, force };
        let (report, kept) = self.publish(&place, || {
            let report = make(input).map_err(failed)?;
            let files = report.files.clone();
            Ok((report, files))
        })?;
        Ok(Written { folder, report, kept })
    }

    /// Makes files, and moves them to their place in one step.
    fn publish<T>(
        &self,
        place: &Place,
        make: impl FnOnce() -> Result<(T, Vec<(String, Vec<u8>)>), Error>,
    ) -> Result<(T, Option<PathBuf>), Error> {
        let folder = place.folder;
        if self.owns(folder) {
            return Err(Error::Input(format!(
                "{} holds the database or its files; name another folder",
                folder.display()
            )));
        }
        // Before the work is done, and again after it.
        may_replace(place)?;
        let (made, files) = make()?;
        let replaced = may_replace(place)?;
        let new = match replaced {
            Some(_) => NewFolder::instead_of(folder)?,
            None => NewFolder::create(folder)?,
        };
        files.iter().try_for_each(|(name, bytes)| new.write(name, bytes))?;
        let kept = match replaced {
            Some(Replaced { is_kept }) => new.replace(is_kept)?,
            None => new.finish().map(|()| None)?,
        };
        Ok((made, kept))
    }
}

/// Where a report goes.
struct Place<'a> {
    folder: &'a Path,
    /// The identity of what it is the report of, and its trials that are not done.
    id: &'a str,
    open: usize,
    force: bool,
}

fn failed(error: ReportError) -> Error {
    match error {
        ReportError::Render(..) => Error::Environment(error.to_string()),
        _ => Error::Input(error.to_string()),
    }
}

/// Every arm of a sweep against one of them.
fn against(input: &Input, versus: &str) -> Result<Vec<ContrastSpec>, Error> {
    let mut arms: Vec<&str> = vec![];
    for trial in &input.trials {
        if !arms.contains(&trial.strategy.as_str()) {
            arms.push(&trial.strategy);
        }
    }
    if !arms.contains(&versus) {
        let arms: Vec<String> = arms.iter().map(|arm| visible(arm)).collect();
        return Err(Error::Input(format!(
            "--versus is {:?}: the sweep {} has no strategy or control of that name; it has {}",
            visible(versus),
            visible(&input.sweep),
            arms.join(", ")
        )));
    }
    let others = arms.into_iter().filter(|arm| *arm != versus);
    Ok(others.map(|arm| ContrastSpec { a: arm.to_owned(), b: versus.to_owned() }).collect())
}

/// A folder that gives way to the report.
struct Replaced {
    /// Whether it holds what no report of ours was made of.
    is_kept: bool,
}

/// Whether something is at the report's workspace, and may give way.
fn may_replace(place: &Place) -> Result<Option<Replaced>, Error> {
    let folder = place.folder;
    if Destination::of(folder)? != Destination::Occupied {
        return Ok(None);
    }
    if !folder.is_dir() {
        return Err(Error::Input(format!(
            "{} is no folder; name another place with -o",
            folder.display()
        )));
    }
    let previous = Previous::read(folder)?;
    match previous.hinders(place.id, place.open) {
        Some(why) if !place.force => {
            let way = "name another folder with -o, or replace it by --force (what outgrow did \
                       not write there is kept beside it)";
            Err(Error::Input(format!("{} {why}; {way}", folder.display())))
        }
        _ => Ok(Some(Replaced { is_kept: !previous.is_ours_alone() })),
    }
}
