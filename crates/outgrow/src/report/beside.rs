//! Two sweeps in one report, and their settings alone.

use std::path::{Path, PathBuf};

use outgrow_core::sweep::{Difference, differences};
use outgrow_report::{Input, Pair, escape::file_name, pair_files};

use super::{Place, ReportOptions, failed};
use crate::{
    error::Error,
    rows::rows,
    sweep_file::SweepFile,
    workspace::{Workspace, runtime},
};

/// A comparison of two sweeps in its folder.
#[allow(missing_docs)]
pub struct Compared {
    pub folder: PathBuf,
    pub pair: Pair,
    /// Where what was in the folder is now, if it was not a report's alone.
    pub kept: Option<PathBuf>,
}

impl Workspace {
    /// Writes the comparison of two sweeps into a folder, `reports/A-beside-B` if none is given;
    /// the second may be of another database.
    ///
    /// # Errors
    /// If there is no such sweep, nothing of it was trained, both are one, losses can't be compared
    /// in the unit, or something is in the way.
    pub fn compare(
        &self,
        [a, b]: [&str; 2],
        other: Option<&Workspace>,
        options: ReportOptions,
    ) -> Result<Compared, Error> {
        let ReportOptions { folder, force, unit } = options;
        let inputs = self.both([a, b], other)?;
        let [a, b] = &inputs;
        let usual = || {
            let name = |input: &Input| file_name(&input.sweep);
            let (first, second) = (name(a), name(b));
            let ids = [a, b].map(|input| input.id.chars().take(8).collect::<String>());
            PathBuf::from("reports").join(match first == second {
                true => format!("{first}-{}-beside-{}", ids[0], ids[1]),
                false => format!("{first}-beside-{second}"),
            })
        };
        let folder = folder.map_or_else(usual, Path::to_owned);
        let open = inputs.iter().flat_map(|input| &input.trials).filter(|t| t.state.is_open());
        let id = format!("{}+{}", a.id, b.id);
        let place = Place { folder: &folder, id: &id, open: open.count(), force };
        let (pair, kept) = self.publish(&place, || {
            let pair = Pair::new(a, b, unit).map_err(failed)?;
            let files = pair_files(&pair).map_err(failed)?;
            Ok((pair, files))
        })?;
        Ok(Compared { folder, pair, kept })
    }

    fn both(&self, [a, b]: [&str; 2], other: Option<&Workspace>) -> Result<[Input; 2], Error> {
        let runtime = runtime()?;
        let first = runtime.block_on(rows(self, a))?;
        let second = runtime.block_on(rows(other.unwrap_or(self), b))?;
        if first.id == second.id {
            return Err(Error::Input(format!(
                "{a} and {b} are the same sweep, {}: there is nothing to compare; `outgrow report` \
                 draws one sweep",
                &first.id[..12.min(first.id.len())]
            )));
        }
        Ok([first, second])
    }

    /// The settings in which two sweeps differ, each a sweep file or a sweep of the database (the
    /// second perhaps of another one).
    ///
    /// # Errors
    /// If one of them can't be read.
    pub fn diff(
        &self,
        [a, b]: [&str; 2],
        other: Option<&Workspace>,
    ) -> Result<Vec<Difference>, Error> {
        let (first, second) = (self.settings(a)?, other.unwrap_or(self).settings(b)?);
        let mut all = differences(&first.spec, &second.spec);
        if let (Some(here), Some(there)) = (first.data, second.data)
            && here != there
        {
            let short = |digest: String| Some(digest.chars().take(12).collect());
            let values = [short(here), short(there)];
            all.push(Difference { field: "digest of the text".into(), values });
        }
        Ok(all)
    }

    /// Of a sweep file, or else of a sweep of the database.
    fn settings(&self, wanted: &str) -> Result<Settings, Error> {
        let path = Path::new(wanted);
        if path.is_file() || path.extension().is_some_and(|ending| ending == "toml") {
            let spec = SweepFile::read(path)?.sweep().resolved();
            return Ok(Settings { spec, data: None });
        }
        let find = async { Ok::<_, Error>(self.reading().await?.find_sweep(wanted).await?) };
        let sweep = runtime()?.block_on(find)?;
        Ok(Settings { spec: sweep.spec, data: Some(sweep.data_digest) })
    }
}

/// A resolved sweep, and the digest of its text where that is known.
struct Settings {
    spec: String,
    data: Option<String>,
}
