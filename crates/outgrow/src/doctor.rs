//! A growth, tried before it is paid for.

use std::path::Path;

use outgrow_core::{
    Growth,
    event::{Diagnosis, Preservation},
};
use outgrow_train::doctor::consult;
use serde::Serialize;

use crate::{
    error::Error,
    models::{GrowOptions, tell_notes, try_growth},
    text::text_ids,
};

/// What came of growing a model and training a copy for three steps.
#[derive(Clone, Debug, Serialize)]
pub struct Examined {
    /// What it was grown by.
    pub growths: Vec<Growth>,
    /// Whether all of these claim to preserve the function.
    pub preserving: bool,
    /// Logits and losses before and after, on a probe.
    pub preservation: Preservation,
    /// By how much logits changed, relative to the larger of 1 and the largest.
    pub error: f64,
    /// What the new entries did.
    pub diagnosis: Diagnosis,
    /// Whether new entries can never learn.
    pub dead: bool,
    /// Whether equal units stay equal.
    pub locked: bool,
}

/// The text of the three steps.
#[derive(Clone, Copy, Debug, Default)]
pub struct DoctorText<'a> {
    /// A file of text; random tokens without one.
    pub text: Option<&'a Path>,
    /// Its tokenizer; that in the model's folder, or bytes, if none is named.
    pub tokenizer: Option<&'a Path>,
}

/// Grows the model in `from` in memory and trains a copy for three steps; nothing is written.
/// `tell` hears what is being done.
///
/// # Errors
/// If something can't be read or grown, or the text is refused.
pub fn doctor(
    from: &Path,
    options: &GrowOptions,
    on: DoctorText,
    tell: &dyn Fn(String),
) -> Result<Examined, Error> {
    tell_notes(from)?;
    tell(format!("growing {}", from.display()));
    let (growths, grown) = try_growth(from, options)?;
    let architecture = grown.before.architecture();
    let ids = |path| text_ids(path, on.tokenizer, from, architecture);
    let text = on.text.map(ids).transpose()?.map(|text| text.ids);
    let named = on.text.map_or("the checkpoint".into(), |path| path.display().to_string());
    tell("training a copy for three steps".into());
    let diagnosis = consult(&grown, text.as_deref(), options.seed).map_err(Error::input(named))?;
    Ok(Examined {
        growths,
        preserving: grown.preserving,
        preservation: grown.preservation,
        error: grown.preservation.error(),
        dead: diagnosis.is_dead(),
        locked: diagnosis.is_locked(),
        diagnosis,
    })
}

impl Examined {
    /// Whether this growth should be used.
    ///
    /// # Errors
    /// [`Error::Outcome`] if its new entries can never learn, or it does not preserve the function
    /// and claims that it does.
    pub fn verdict(&self) -> Result<(), Error> {
        if self.dead {
            let dead = self.diagnosis.dead.join(", ");
            return Err(Error::Outcome(format!(
                "this growth can never learn: no new entry of {dead} gets a gradient within three \
                 steps, because what they are multiplied by is zero"
            )));
        }
        if self.preserving && !self.preservation.holds() {
            let (error, tolerance) = (self.preservation.error(), self.preservation.tolerance);
            return Err(Error::Outcome(format!(
                "the function was not preserved: logits moved by {error:.1e}, allowed are \
                 {tolerance:.0e}"
            )));
        }
        Ok(())
    }
}
