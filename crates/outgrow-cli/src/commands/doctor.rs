//! `outgrow doctor`.

use std::path::PathBuf;

use outgrow::{
    Error,
    doctor::{DoctorText, Examined, doctor as examine},
};
use outgrow_core::event::Diagnosis;

use super::grow::How;
use crate::{
    output::{count, print, print_json, table},
    phases,
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
    let on = DoctorText { text: args.text.as_deref(), tokenizer: args.tokenizer.as_deref() };
    let options = args.how.options(None);
    let found = phases::told(|tell| examine(&args.from, &options, on, tell))?;
    match args.how.json {
        true => print_json(&found)?,
        false => print(&as_text(&found))?,
    }
    found.verdict()
}

fn as_text(found: &Examined) -> String {
    let Examined { preservation, diagnosis, .. } = found;
    let percent = |share: f64| format!("{:.1} %", 100.0 * share);
    let ratio =
        |value: Option<f64>| value.map_or_else(|| "-".into(), |value| format!("{value:.3}"));
    let exactness = match (found.preserving, preservation.holds()) {
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
