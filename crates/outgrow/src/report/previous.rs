//! What is at a report's place already: an older report of the same sweep gives way, anything else
//! does not.

use outgrow_core::TrialState;
use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use outgrow_report::{digest, escape::visible};
use serde::Deserialize;

use crate::error::Error;

/// The mark of a report.
const MARK: &str = "provenance.json";

/// A folder with something in it.
pub struct Previous {
    report: Option<Provenance>,
    /// Files that the report did not write, or that were changed since.
    others: Vec<String>,
}

/// What a report says of itself.
#[derive(Deserialize)]
struct Provenance {
    sweep: String,
    sweep_id: String,
    /// Reports did not always say it.
    states: Option<BTreeMap<TrialState, usize>>,
    files_blake3: BTreeMap<String, String>,
}

impl Previous {
    /// Looks at a folder.
    pub fn read(folder: &Path) -> Result<Self, Error> {
        let report: Option<Provenance> =
            fs::read(folder.join(MARK)).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
        let mut others = vec![];
        let files = report.as_ref().map(|report| &report.files_blake3);
        let failed = Error::environment(format!("cannot read {}", folder.display()));
        other_files(folder, Path::new(""), files, &mut others).map_err(failed)?;
        Ok(Self { report, others })
    }

    /// Whether all of it was written by a report, and is as it was then.
    pub fn is_ours_alone(&self) -> bool {
        self.report.is_some() && self.others.is_empty()
    }

    /// Why the report of what has this identity, with so many trials that are not done, must not
    /// take its place, as what the folder is.
    pub fn hinders(&self, id: &str, open: usize) -> Option<String> {
        let Some(report) = &self.report else { return Some("is not empty, and no report".into()) };
        if report.sweep_id != id {
            let other: String = report.sweep_id.chars().take(12).collect();
            return Some(format!(
                "has the report of another sweep, {} ({other})",
                visible(&report.sweep)
            ));
        }
        let is_open =
            |states: &BTreeMap<TrialState, usize>| states.keys().any(|state| state.is_open());
        let is_complete = !report.states.as_ref().is_some_and(is_open);
        if is_complete && open > 0 {
            return Some(format!(
                "has the complete report, and this one would be preliminary ({open} trials are \
                 open)"
            ));
        }
        let some: Vec<&str> = self.others.iter().take(3).map(String::as_str).collect();
        let more = if self.others.len() > some.len() { ", …" } else { "" };
        (!some.is_empty()).then(|| {
            format!("has files that are not as a report wrote them: {}{more}", some.join(", "))
        })
    }
}

/// Files below a folder that are not of these digests. Links are followed nowhere, and are no files
/// of a report.
fn other_files(
    root: &Path,
    within: &Path,
    files: Option<&BTreeMap<String, String>>,
    others: &mut Vec<String>,
) -> io::Result<()> {
    let mut names: Vec<PathBuf> = fs::read_dir(root.join(within))?
        .map(|entry| Ok(within.join(entry?.file_name())))
        .collect::<io::Result<_>>()?;
    names.sort();
    for name in names {
        let kind = fs::symlink_metadata(root.join(&name))?.file_type();
        let digest = name.to_str().and_then(|name| files?.get(name));
        match files {
            Some(_) if kind.is_dir() => other_files(root, &name, files, others)?,
            Some(_) if kind.is_file() && name == Path::new(MARK) => {}
            Some(_)
                if kind.is_file()
                    && digest.is_some_and(|known| is_of(&root.join(&name), known)) => {}
            _ => others.push(visible(&name.to_string_lossy())),
        }
    }
    Ok(())
}

fn is_of(path: &Path, known: &str) -> bool {
    fs::read(path).is_ok_and(|bytes| digest(&bytes) == known)
}
