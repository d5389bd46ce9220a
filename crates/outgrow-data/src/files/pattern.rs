//! Paths with `*`, `?` and `[…]`, as shells have them.

use std::path::Path;

use glob::{MatchOptions, glob_with};

use crate::error::CorpusError;

/// As in a shell, `*` leaves out hidden entries and does not go into folders; `**` does.
const OPTIONS: MatchOptions = MatchOptions {
    case_sensitive: true,
    require_literal_separator: true,
    require_literal_leading_dot: true,
};

/// The paths that a pattern matches, in the order of their names; a path that is there is itself.
///
/// # Errors
/// If it matches nothing, or a folder on its way can't be read.
pub(super) fn expand(path: &str) -> Result<Vec<String>, CorpusError> {
    if !path.contains(['*', '?', '[']) || Path::new(path).symlink_metadata().is_ok() {
        return Ok(vec![path.to_owned()]);
    }
    let refused = |why: String| CorpusError::Document { place: path.into(), why };
    let matches = glob_with(path, OPTIONS)
        .map_err(|error| refused(format!("neither a file nor a pattern: {error}")))?;
    let mut found = vec![];
    for entry in matches {
        let entry = entry.map_err(|error| refused(error.to_string()))?;
        let name = entry.to_str().map(str::to_owned);
        found.push(name.ok_or_else(|| refused(format!("{entry:?} is no name in UTF-8")))?);
    }
    if found.is_empty() {
        return Err(refused("no file or folder matches this pattern".into()));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn patterns_are_those_of_shells() {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name).display().to_string();
        fs::create_dir(at("in")).expect("a folder");
        for name in ["b.txt", "a.txt", ".c.txt", "d.json", "e[1].txt", "in/f.txt"] {
            fs::write(at(name), "text").expect("written");
        }
        let names = |pattern: &str| expand(&at(pattern)).map_err(|error| error.to_string());
        assert_eq!(names("*.txt").expect("three"), ["a.txt", "b.txt", "e[1].txt"].map(at));
        assert_eq!(names("[ab].txt").expect("two"), ["a.txt", "b.txt"].map(at));
        assert_eq!(names("**/f.txt").expect("one"), ["in/f.txt"].map(at));
        assert_eq!(names("e[1].txt").expect("itself"), [at("e[1].txt")]);
        assert_eq!(names("nowhere").expect("for others to refuse"), [at("nowhere")]);
        assert!(names("*.parquet").expect_err("nothing").contains("no file or folder matches"));
        assert!(names("[.txt").expect_err("no pattern").contains("neither a file nor a pattern"));
    }
}
