//! A sweep's report: rows of the database, drawn into a folder.

mod previous;

use std::path::{Path, PathBuf};

use outgrow_data::publish::{Destination, NewFolder};
use outgrow_report::{Input, Report, ReportError, escape::file_name, report as make};
use outgrow_store::{Store, StoreError, SweepSummary};

use self::previous::Previous;
use crate::{
    error::Error,
    workspace::{Workspace, runtime},
};

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
    /// of the same sweep gives way; with `force`, whatever is there.
    ///
    /// # Errors
    /// If there is no such sweep, nothing of it was trained, or something is in the way.
    pub fn report(
        &self,
        sweep: &str,
        folder: Option<&Path>,
        force: bool,
    ) -> Result<Written, Error> {
        let input = runtime()?.block_on(rows(self, sweep))?;
        let usual = || PathBuf::from("reports").join(file_name(&input.sweep));
        let folder = folder.map_or_else(usual, Path::to_owned);
        if self.owns(&folder) {
            return Err(Error::Input(format!(
                "{} holds the database or its files; name another folder",
                folder.display()
            )));
        }
        // Before the work is done, and again after it.
        let may_replace = || may_replace(&folder, &input, force);
        may_replace()?;
        let report = make(&input).map_err(|error| match error {
            ReportError::Render(..) => Error::Environment(error.to_string()),
            _ => Error::Input(error.to_string()),
        })?;
        let replaced = may_replace()?;
        let new = if replaced.is_some() {
            NewFolder::instead_of(&folder)?
        } else {
            NewFolder::create(&folder)?
        };
        report.files.iter().try_for_each(|(name, bytes)| new.write(name, bytes))?;
        let kept = match replaced {
            Some(Replaced { is_kept }) => new.replace(is_kept)?,
            None => new.finish().map(|()| None)?,
        };
        Ok(Written { folder, report, kept })
    }
}

/// A folder that gives way to the report.
struct Replaced {
    /// Whether it holds what no report of ours was made of.
    is_kept: bool,
}

/// Whether something is at the report's workspace, and may give way.
fn may_replace(folder: &Path, input: &Input, is_forced: bool) -> Result<Option<Replaced>, Error> {
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
    match previous.hinders(input) {
        Some(why) if !is_forced => {
            let way = "name another folder with -o, or replace it by --force (what outgrow did \
                       not write there is kept beside it)";
            Err(Error::Input(format!("{} {why}; {way}", folder.display())))
        }
        _ => Ok(Some(Replaced { is_kept: !previous.is_ours_alone() })),
    }
}

async fn rows(workspace: &Workspace, wanted: &str) -> Result<Input, Error> {
    let store = workspace.reading().await?;
    let sweep = store.find_sweep(wanted).await?;
    store.refuse_incomplete(Some(&sweep.id)).await?;
    Ok(input(&store, sweep).await?)
}

/// The rows that a sweep's report is made of.
pub(crate) async fn input(store: &Store, sweep: SweepSummary) -> Result<Input, StoreError> {
    let (trials, curves, growths) = store.report_rows(&sweep.id).await?;
    let environments = store.environments(&sweep.id).await?;
    let (id, data) = (sweep.id, sweep.data_digest);
    Ok(Input {
        sweep: sweep.name,
        id,
        spec: sweep.spec,
        words: sweep.words,
        data,
        environments,
        trials,
        curves,
        growths,
    })
}
