//! Folders that are written aside and moved into their place.

use std::path::{Path, PathBuf};

/// Where this process writes what is going to be `folder`: a checkpoint, and a model of
/// transformers. Both are removed if it does not get there.
pub fn asides(folder: &Path) -> [PathBuf; 2] {
    let ending = format!("tmp-{}", std::process::id());
    let mut name = folder.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{ending}"));
    [folder.with_extension(ending), folder.with_file_name(name)]
}
