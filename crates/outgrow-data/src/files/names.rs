//! What the names of files say of them.

use std::path::Path;

/// A file's name in small letters.
pub(super) fn name(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().to_lowercase()).unwrap_or_default()
}

/// Whether a name says that a file is data or text, so that it is never left out beside others.
pub(super) fn is_named_data(path: &Path) -> bool {
    let name = name(path);
    let endings =
        [".txt", ".text", ".jsonl", ".ndjson", ".parquet", ".arrow", ".csv", ".tsv", ".json."];
    endings.iter().any(|ending| name.contains(ending))
}

/// Whether a name says that a file is text, whatever it holds.
pub(super) fn is_named_text(path: &Path) -> bool {
    let name = name(path);
    [".txt", ".text"].iter().any(|ending| name.contains(ending))
}

/// Whether a name says that a file is about the data beside it.
pub(super) fn is_about(path: &Path) -> bool {
    let name = name(path);
    let stem = name.split('.').next().unwrap_or_default();
    const STEMS: [&str; 14] = [
        "readme",
        "license",
        "licence",
        "copying",
        "notice",
        "citation",
        "changelog",
        "contributing",
        "authors",
        "requirements",
        "cmakelists",
        "sha256sums",
        "md5sums",
        "checksums",
    ];
    const NAMES: [&str; 9] = [
        "dataset_infos.json",
        "dataset_info.json",
        "dataset_dict.json",
        "state.json",
        "metadata.json",
        "croissant.json",
        "_success",
        "_metadata",
        "_common_metadata",
    ];
    STEMS.contains(&stem) || NAMES.contains(&&*name)
}
