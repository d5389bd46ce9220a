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
    /// one trial alone answers, and whose sweep is a name or an identity.
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
    let is_twice = |label: &str| places.iter().filter(|place| place.label() == label).count() > 1;
    let line = |place: &Place| {
        let start = |id: &str| id.get(..12).unwrap_or(id).to_owned();
        let (id, label) = (start(&place.trial), place.label());
        // Sweeps of one name are told apart by their identities.
        let sweep = match is_twice(&label) {
            true => format!("  of sweep {}", start(&place.sweep_id)),
            false => String::new(),
        };
        format!("\n  {id}  {label}{sweep}  {}", place.state)
    };
    let lines: String = places.iter().take(NAMED).map(line).collect();
    let more = match places.len() {
        n if n > NAMED => format!("\n  and {} more", n - NAMED),
        _ => String::new(),
    };
    let n = places.len();
    format!(
        "{n} trials answer to `{wanted}`; say which by its identity, or by its label with its \
         sweep's name or identity before it:{lines}{more}"
    )
}

fn none_of(place: &Place) -> String {
    let label = place.label();
    match place.state {
        TrialState::Complete => format!(
            "nothing is kept of the checkpoints of {label}, which is complete; `outgrow run` with \
             `--keep-final weights` keeps the last one of trials that are trained from now on"
        ),
        TrialState::Diverged => format!(
            "{label} diverged at step {} and has no checkpoint; no run goes on with it",
            place.last_step.unwrap_or(0)
        ),
        TrialState::Failed => format!(
            "{label} failed and has no checkpoint ({}); `outgrow run --retry-failed` tries again",
            place.error.as_deref().unwrap_or("no reason is recorded")
        ),
        state => format!("{label} is {state} and has no checkpoint yet; `outgrow run` trains it"),
    }
}
