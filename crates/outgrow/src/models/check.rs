//! Function preservation, proven on this machine.

use std::path::PathBuf;

use outgrow_train::{
    CheckKind, CompositionCheck, Compositions, Device, check_checkpoint, check_compositions,
};

use serde_json::{Value, json};

use super::tell_notes;
use crate::{devices::one_device, error::Error, readable::table};

/// What is grown in a check.
pub struct CheckOptions {
    /// A model; none are random models, in float64 and in float32.
    pub model: Option<PathBuf>,
    /// How many compositions; none are 20 of a model and 1000 of random models.
    pub compositions: Option<u64>,
    /// No composition has more transforms.
    pub most: usize,
    /// Of all draws.
    pub seed: u64,
    /// Where to compute; none is the first device there is.
    pub device: Option<Device>,
}

/// How far a check is.
pub enum CheckEvent {
    /// So many compositions begin.
    Begins {
        /// What is being done.
        what: String,
        /// How many.
        compositions: u64,
    },
    /// So many of them are done.
    Done(u64),
}

/// What a check found.
pub struct Checked {
    /// Where it was computed.
    pub device: Device,
    /// A model, or random models in each type.
    pub models: Vec<CheckedModel>,
}

/// What the compositions of one model, or in one type, gave.
pub struct CheckedModel {
    /// Its folder, or the type.
    pub name: String,
    /// What was found.
    pub check: CompositionCheck,
}

impl Checked {
    /// Refuses a check that does not hold.
    ///
    /// # Errors
    /// [`Error::Outcome`] with the worst composition.
    pub fn verdict(&self) -> Result<(), Error> {
        match self.models.iter().find(|model| !model.check.holds()) {
            None => Ok(()),
            Some(CheckedModel { name, check }) => {
                let worst = serde_json::to_string(&check.worst_transforms).expect("plain data");
                Err(Error::Outcome(format!(
                    "{name}: the function was not preserved; the worst composition was {worst}"
                )))
            }
        }
    }
}

impl Checked {
    /// A line for each model, for programs.
    pub fn as_json(&self) -> Value {
        let line = |CheckedModel { name, check }: &CheckedModel| {
            json!({
                "model": name, "compositions": check.compositions, "worst": check.worst,
                "tolerance": check.tolerance, "holds": check.holds(), "applied": check.applied,
                "worst_transforms": check.worst_transforms,
            })
        };
        self.models.iter().map(line).collect()
    }

    /// A line for each model, for people; if it `fits`, as narrow as the terminal.
    pub fn describe(&self, fits: bool) -> String {
        let row = |CheckedModel { name, check }: &CheckedModel| {
            let verdict = if check.holds() { "preserved" } else { "NOT PRESERVED" };
            vec![
                name.clone(),
                check.compositions.to_string(),
                check.applied.values().sum::<u64>().to_string(),
                format!("{:.1e}", check.worst),
                format!("{:.0e}", check.tolerance),
                verdict.to_owned(),
            ]
        };
        let on = format!("on {}", self.device);
        let header = [on.as_str(), "compositions", "transforms", "worst change", "allowed", ""];
        let rows: Vec<_> = self.models.iter().map(row).collect();
        let text = table(&header, &rows, &[1, 2, 3, 4], fits);
        format!("{text}\n\nchange of logits relative to the larger of 1 and the largest logit")
    }
}

/// Grows models by random compositions of the six transforms, and compares their logits before and
/// after; nothing is written.
///
/// # Errors
/// If the model can't be read.
pub fn check(options: &CheckOptions, watch: &mut dyn FnMut(CheckEvent)) -> Result<Checked, Error> {
    let device = one_device(options.device)?;
    let &CheckOptions { compositions, most, seed, .. } = options;
    let models = match &options.model {
        Some(folder) => {
            let (name, n) = (folder.display().to_string(), compositions.unwrap_or(20));
            tell_notes(folder)?;
            watch(CheckEvent::Begins {
                what: format!("growing {name} {n} times"),
                compositions: n,
            });
            let of = Compositions { n, most, seed };
            let check = check_checkpoint(folder, of, device, |n| watch(CheckEvent::Done(n)))?;
            vec![CheckedModel { name, check }]
        }
        None => [("float64", CheckKind::F64), ("float32", CheckKind::F32)]
            .map(|(name, kind)| {
                let n = compositions.unwrap_or(1000);
                let what = format!("growing {n} random models in {name}");
                watch(CheckEvent::Begins { what, compositions: n });
                let of = Compositions { n, most, seed };
                let check = check_compositions(of, kind, device, |n| watch(CheckEvent::Done(n)));
                CheckedModel { name: name.to_owned(), check }
            })
            .into(),
    };
    Ok(Checked { device, models })
}
