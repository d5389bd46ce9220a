//! What a report was made from: enough to make it again, and to see whether it is the same.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use crate::{analysis::Analysis, input::Input};

/// The digest by which `provenance.json` knows a file.
pub fn digest(bytes: &[u8]) -> String {
    blake3::hash(bytes).to_hex().to_string()
}

/// `provenance.json`. It has no date: the same rows give the same bytes.
pub fn file(input: &Input, analysis: &Analysis, files: &[(String, Vec<u8>)]) -> Vec<u8> {
    let rows = serde_json::to_vec(&(&input.trials, &input.curves, &input.growths))
        .expect("rows are plain data");
    let files: BTreeMap<&str, String> =
        files.iter().map(|(path, bytes)| (path.as_str(), digest(bytes))).collect();
    let value = json!({
        "outgrow": env!("CARGO_PKG_VERSION"),
        "sweep": input.sweep,
        "sweep_id": input.id,
        "states": analysis.states,
        "data_digest": input.data,
        "unit_of_losses": input.unit,
        "evaluated": input.evaluated,
        "tokenizer_digest": input.tokenizer,
        "resolved_sweep": input.spec,
        "searches": analysis.confirmed.iter().map(|one| &one.promise.id).collect::<BTreeSet<_>>(),
        "trained_on": input.environments,
        "rows": { "trials": input.trials.len(), "evaluations": input.curves.len(), "growth_events": input.growths.len(),
                  "blake3": digest(&rows) },
        "trials": input.trials.iter().map(|trial| &trial.trial).collect::<BTreeSet<_>>(),
        "files_blake3": files,
    });
    let mut text = serde_json::to_vec_pretty(&value).expect("plain data");
    text.push(b'\n');
    text
}
