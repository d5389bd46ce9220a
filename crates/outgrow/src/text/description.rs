//! A text in words.

use outgrow_data::{Files, LeftOut, Summary};

use crate::readable::count;

/// So many of what was left out are named.
const NAMED: usize = 5;

/// What a text is, which files it is in, what was left out and what a user should know of it: a
/// line each.
pub fn describe(summary: &Summary) -> String {
    let both = |values: [u64; 2], unit: &str| match values.map(|value| count(value as f64)) {
        [all, _] if values[1] == 0 => format!("{all}{unit}"),
        [train, validation] => format!("{train}{unit} (and {validation}{unit} of validation)"),
    };
    let counts = &summary.counts;
    let end = match &summary.end_of_text {
        Some(end) => format!(", {end} behind each document"),
        None => String::new(),
    };
    let bytes = if summary.is_bytes { ", which are bytes" } else { "" };
    let own = match &summary.corpus {
        Some(name) => format!("text: {name}"),
        None => {
            format!("text: {}, {}", both(counts.documents, " documents"), both(counts.bytes, "B"))
        }
    };
    let tokens = both(counts.tokens, " tokens");
    format!("{own}: {tokens}{bytes}{end}\n{}", describe_files(summary)).trim_end().to_owned()
}

/// Which files a text is in, what was left out and what a user should know of it: a line each.
pub fn describe_files(summary: &Summary) -> String {
    let mut lines: Vec<String> = vec![];
    lines.extend(summary.files.iter().map(|files| files_line("read", files)));
    lines.extend(summary.validation_files.iter().map(|files| files_line("validation", files)));
    lines.extend(left_out_line(&summary.left_out));
    lines.extend(summary.warnings().iter().map(|warning| format!("  warning: {warning}")));
    lines.join("\n")
}

fn files_line(what: &str, files: &Files) -> String {
    let more = files.files - files.first.len() as u64;
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let (n, bytes, first) = (files.files, count(files.bytes as f64), files.first.join(", "));
    let unit = if n == 1 { "file" } else { "files" };
    format!("  {what}: {n} {unit} of {}, {bytes}B: {first}{more}", files.kind)
}

fn left_out_line(left_out: &[LeftOut]) -> Option<String> {
    let first = left_out.iter().take(NAMED).map(|LeftOut { path, why }| format!("{path} ({why})"));
    let first = first.collect::<Vec<_>>().join(", ");
    let more = match left_out.len() {
        0 => return None,
        n if n > NAMED => format!(" and {} more", n - NAMED),
        _ => String::new(),
    };
    Some(format!("  left out: {first}{more}"))
}
