//! Where a trial's last checkpoint lies.

use std::path::{Path, PathBuf};

use outgrow_core::TrialState;
use outgrow_store::Place;

use crate::{
    error::Error,
    workspace::{Workspace, runtime},
};

/// Trials that a message names.
const NAMED: usize = 10;

impl Workspace {
    /// The folder of the last checkpoint of a trial: by its identity, the beginning of it, or its
    /// label `sweep/strategy/plan#replicate@rate`, whose first and last part may be left out where
    /// one trial alone answers.
    ///
    /// # Errors
    /// If no trial or more than one answers, or it has no checkpoint.
    pub fn last_checkpoint(&self, trial: &str) -> Result<PathBuf, Error> {
        let places = runtime()?.block_on(async {
            let store = self.reading().await?;
            Ok::<_, Error>(store.places(trial).await?)
        })?;
        let place = match &places[..] {
            [] => return Err(Error::Input(unknown(trial))),
            [place] => place,
            several => return Err(Error::Input(ambiguous(trial, several))),
        };
        let path = place.path.as_deref().ok_or_else(|| Error::Input(none_of(place)))?;
        let folder = Self::moved(&self.checkpoints(&place.trial), path);
        match folder.is_dir() {
            true => Ok(folder),
            false => Err(Error::Environment(format!(
                "the last checkpoint of {} was written to {}, which is not there; --files names \
                 the folder that its files are in now",
                place.label(),
                folder.display()
            ))),
        }
    }

    /// A model: a folder, or else what [`Workspace::last_checkpoint`] takes.
    ///
    /// # Errors
    /// As of that.
    pub fn model(&self, named: &str) -> Result<PathBuf, Error> {
        let folder = Path::new(named);
        match folder.is_dir() {
            true => Ok(folder.to_owned()),
            false => self.last_checkpoint(named).map_err(|error| match error {
                Error::Input(why) => Error::Input(format!("there is no folder {named}, and {why}")),
                other => other,
            }),
        }
    }
}

fn unknown(wanted: &str) -> String {
    format!(
        "no trial answers to `{wanted}`; a trial is named by its identity, by the first 4 or more \
         characters of it, or as sweep/strategy/plan#replicate@learning_rate (the sweep and the \
         rate may be left out; a point of a grid goes behind it, as in ` [batch_size=8]`): `outgrow query \"SELECT trial, sweep, strategy, plan, replicate, \
         learning_rate FROM finals\"` lists all"
    )
}

fn ambiguous(wanted: &str, places: &[Place]) -> String {
    let line = |place: &Place| {
        let id = place.trial.get(..12).unwrap_or(&place.trial);
        format!("\n  {id}  {}  {}", place.label(), place.state)
    };
    let lines: String = places.iter().take(NAMED).map(line).collect();
    let more = match places.len() {
        n if n > NAMED => format!("\n  and {} more", n - NAMED),
        _ => String::new(),
    };
    let n = places.len();
    format!("{n} trials answer to `{wanted}`; say which by its identity or label:{lines}{more}")
}

fn none_of(place: &Place) -> String {
    let label = place.label();
    match place.state {
        TrialState::Complete => format!(
            "nothing is kept of the checkpoints of {label}, which is complete; `outgrow run` with \
             `--keep-final weights` keeps the last one of trials that are trained from now on"
        ),
        state => format!("{label} is {state} and has no checkpoint yet; `outgrow run` trains it"),
    }
}
