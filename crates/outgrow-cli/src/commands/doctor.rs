//! `outgrow doctor`.

use std::path::PathBuf;

use outgrow::{
    Error,
    models::{tell_notes, try_growth},
    text::text_ids,
};
use outgrow_core::{Growth, event::Diagnosis};
use outgrow_train::{GrownCheckpoint, doctor::consult};
use serde_json::json;

use super::grow::How;
use crate::{
    output::{count, print, print_json, table},
    phases::Phases,
};

/// Dry-run a growth: is the function preserved, do new weights get gradients?
///
/// Grows as `outgrow grow` would, writes nothing, and trains a copy for three steps. Exit code 1 if
/// nothing new can ever learn, or if a claim to preserve the function is broken.
#[derive(clap::Args)]
pub struct Doctor {
    /// The checkpoint to grow (a folder)
    pub from: PathBuf,
    /// Text for the three steps [default: random tokens]
    #[arg(long, value_name = "FILE")]
    pub text: Option<PathBuf>,
    /// The tokenizer of the text: a tokenizer.json, or a folder with one [default: that in the
    /// model's folder, or bytes]
    #[arg(long, value_name = "PATH", requires = "text")]
    pub tokenizer: Option<PathBuf>,
    #[command(flatten)]
    pub how: How,
}

/// Examines a growth.
pub fn doctor(args: &Doctor) -> Result<(), Error> {
    tell_notes(&args.from)?;
    let phases = Phases::new(format!("growing {}", args.from.display()));
    let (growths, grown) = try_growth(&args.from, &args.how.options(None))?;
    let ids = |path: &PathBuf| {
        text_ids(path, args.tokenizer.as_deref(), &args.from, grown.before.architecture())
    };
    let text = args.text.as_ref().map(ids).transpose()?.map(|text| text.ids);
    let named = Error::input(
        args.text.as_ref().map_or("the checkpoint".into(), |path| path.display().to_string()),
    );
    phases.next("training a copy for three steps".into());
    let diagnosis = consult(&grown, text.as_deref(), args.how.seed).map_err(named)?;
    drop(phases);
    match args.how.json {
        true => print_json(&as_json(&growths, &grown, &diagnosis))?,
        false => print(&as_text(&grown, &diagnosis))?,
    }
    verdict(&grown, &diagnosis)
}

fn verdict(grown: &GrownCheckpoint, diagnosis: &Diagnosis) -> Result<(), Error> {
    if diagnosis.is_dead() {
        let dead = diagnosis.dead.join(", ");
        return Err(Error::Outcome(format!(
            "this growth can never learn: no new entry of {dead} gets a gradient within three steps, because what they are multiplied by is zero"
        )));
    }
    if grown.preserving && !grown.preservation.holds() {
        let (error, tolerance) = (grown.preservation.error(), grown.preservation.tolerance);
        return Err(Error::Outcome(format!(
            "the function was not preserved: logits moved by {error:.1e}, allowed are {tolerance:.0e}"
        )));
    }
    Ok(())
}

fn as_json(
    growths: &[Growth],
    grown: &GrownCheckpoint,
    diagnosis: &Diagnosis,
) -> serde_json::Value {
    json!({ "growths": growths, "preserving": grown.preserving, "preservation": grown.preservation,
            "error": grown.preservation.error(), "diagnosis": diagnosis, "dead": diagnosis.is_dead(), "locked": diagnosis.is_locked() })
}

fn as_text(grown: &GrownCheckpoint, diagnosis: &Diagnosis) -> String {
    let preservation = grown.preservation;
    let percent = |share: f64| format!("{:.1} %", 100.0 * share);
    let ratio =
        |value: Option<f64>| value.map_or_else(|| "-".into(), |value| format!("{value:.3}"));
    let exactness = match (grown.preserving, preservation.holds()) {
        (true, true) => "preserved, as claimed",
        (true, false) => "NOT PRESERVED, against the claim",
        (false, true) => "preserved, though it is not claimed",
        (false, false) => "not preserved, and not claimed to be",
    };
    let symmetry = match diagnosis.symmetry {
        None => "no unit equals another".into(),
        Some([first, last]) => {
            let lock = if diagnosis.is_locked() { ": LOCKED, they stay equal" } else { "" };
            format!("cosine of equal units' gradients {first:.6}, at step 3 {last:.6}{lock}")
        }
    };
    let [one, two, three] = diagnosis.reached.map(percent);
    let rows = vec![
        (
            "function",
            format!(
                "{exactness}: logits moved by {:.1e} (tolerance {:.0e})",
                preservation.error(),
                preservation.tolerance
            ),
        ),
        (
            "loss on the probe",
            format!("{:.4} before, {:.4} after", preservation.loss_before, preservation.loss_after),
        ),
        ("new entries", count(diagnosis.new_entries as f64)),
        ("with a gradient", format!("{one} at step 1, {two} by step 2, {three} by step 3")),
        (
            "without any",
            if diagnosis.dead.is_empty() {
                "no parameter".into()
            } else {
                diagnosis.dead.join(", ")
            },
        ),
        ("gradient, new / old", ratio(diagnosis.gradient_ratio)),
        ("update, new / old", ratio(diagnosis.update_ratio)),
        ("first update / rate", ratio(diagnosis.first_update)),
        ("symmetry", symmetry),
    ];
    let rows = rows.into_iter().map(|(name, value)| vec![name.to_owned(), value]).collect();
    format!("{}\n\n{}", table(&["growth", ""], rows, &[]), sublayers(diagnosis))
}

/// What the layers add to the stream, before and after.
fn sublayers(diagnosis: &Diagnosis) -> String {
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
    let text =
        table(&header, (0..after.len().max(before.len())).map(row).collect(), &[0, 1, 2, 3, 4]);
    format!("{text}\n\nroot mean square of what each layer adds to the stream")
}
