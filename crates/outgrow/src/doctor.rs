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
    readable::{count, table},
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
                "no gradient reaches the new weights of {dead} within 3 steps, because they are \
                 multiplied by zero"
            )));
        }
        if self.preserving && !self.preservation.holds() {
            let (error, tolerance) = (self.preservation.error(), self.preservation.tolerance);
            return Err(Error::Outcome(format!(
                "the function was not preserved: logits changed by {error:.1e} (tolerance \
                 {tolerance:.0e})"
            )));
        }
        Ok(())
    }

    /// All of it, for people; if it `fits`, as narrow as the terminal.
    pub fn describe(&self, fits: bool) -> String {
        let Self { preservation, diagnosis, .. } = self;
        let ratio =
            |value: Option<f64>| value.map_or_else(|| "-".into(), |value| format!("{value:.3}"));
        let [one, two, three] = diagnosis.reached.map(|share| format!("{:.1} %", 100.0 * share));
        let dead = match &*diagnosis.dead {
            [] => "no parameter".into(),
            dead => dead.join(", "),
        };
        let Preservation { loss_before, loss_after, tolerance, .. } = preservation;
        let (exactness, error) = (self.exactness(), self.error);
        let rows = [
            (
                "function",
                format!("{exactness}: logits changed by {error:.1e} (tolerance {tolerance:.0e})"),
            ),
            ("loss on the probe", format!("{loss_before:.4} before, {loss_after:.4} after")),
            ("new entries", count(diagnosis.new_entries as f64)),
            ("with a gradient", format!("{one} at step 1, {two} by step 2, {three} by step 3")),
            ("without any", dead),
            ("gradient, new / old", ratio(diagnosis.gradient_ratio)),
            ("update, new / old", ratio(diagnosis.update_ratio)),
            ("first update / rate", ratio(diagnosis.first_update)),
            ("symmetry", self.symmetry()),
        ];
        let rows = rows.map(|(name, value)| vec![name.to_owned(), value]);
        format!("{}\n\n{}", table(&["growth", ""], &rows, &[], fits), sublayers(diagnosis, fits))
    }

    fn exactness(&self) -> &'static str {
        match (self.preserving, self.preservation.holds()) {
            (true, true) => "preserved, as claimed",
            (true, false) => "NOT PRESERVED, against the claim",
            (false, true) => "preserved, though it is not claimed",
            (false, false) => "not preserved, and not claimed to be",
        }
    }

    fn symmetry(&self) -> String {
        match self.diagnosis.symmetry {
            None => "no unit equals another".into(),
            Some([first, last]) => {
                let lock = if self.locked { ": LOCKED, they stay equal" } else { "" };
                format!("cosine of equal units' gradients {first:.6}, at step 3 {last:.6}{lock}")
            }
        }
    }
}

/// What the layers add to the stream, before and after.
fn sublayers(diagnosis: &Diagnosis, fits: bool) -> String {
    let (before, after) = (&diagnosis.rms_before, &diagnosis.rms_after);
    let number = |layers: &[[f64; 2]], layer: usize, part: usize| {
        layers.get(layer).map_or_else(|| "-".into(), |rms| format!("{:.4}", rms[part]))
    };
    let row = |layer: usize| {
        let parts = [(before, 0), (after, 0), (before, 1), (after, 1)]
            .map(|(layers, part)| number(layers, layer, part));
        [layer.to_string()].into_iter().chain(parts).collect()
    };
    let header = ["layer", "attention before", "after", "MLP before", "after"];
    let rows: Vec<_> = (0..after.len().max(before.len())).map(row).collect();
    let text = table(&header, &rows, &[0, 1, 2, 3, 4], fits);
    format!("{text}\n\nroot mean square of what each layer adds to the stream")
}
