//! Files that were meant by a name that nothing has.

use std::path::{Path, PathBuf};

use crate::{
    disk::{entries, name_of},
    error::Error,
};

/// An error about a sweep file, with the one that was meant if there is none of that name.
pub fn or_meant(error: Error, path: &Path) -> Error {
    match (error, meant(path)) {
        (Error::Input(why), Some(meant)) => {
            Error::Input(format!("{why}; did you mean {}?", meant.display()))
        }
        (error, _) => error,
    }
}

/// The sweep file beside a path where nothing is whose name is the most like its own, with a third
/// of the letters wrong at most.
fn meant(path: &Path) -> Option<PathBuf> {
    let name = name_of(path).filter(|_| path.symlink_metadata().is_err())?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let there = entries(folder.unwrap_or(Path::new("."))).into_iter();
    let there = there.filter(|path| path.extension().is_some_and(|ending| ending == "toml"));
    let rated = there.filter_map(|path| {
        let (full, stem) = (name_of(&path)?, path.file_stem()?.to_str()?.to_owned());
        let wrong = [full, stem].map(|other| strsim::damerau_levenshtein(&name, &other));
        let wrong = wrong.into_iter().min()?;
        (wrong <= (name.len() / 3).max(1)).then_some((wrong, path))
    });
    let (_, meant) = rated.min()?;
    Some(path.with_file_name(meant.file_name()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_that_is_meant_is_told() {
        let folder = tempfile::tempdir().expect("a folder");
        for name in ["axes.toml", "axis.toml", "axes.tm", "other.toml"] {
            std::fs::write(folder.path().join(name), "").expect("written");
        }
        let of = |name: &str| meant(&folder.path().join(name)).and_then(|path| name_of(&path));
        assert_eq!(of("axes.tml").as_deref(), Some("axes.toml"));
        assert_eq!(of("axes").as_deref(), Some("axes.toml"));
        assert_eq!(of("axes.toml"), None, "it is there");
        assert_eq!(of("sweep.toml"), None);
        assert_eq!(meant(Path::new("/nowhere/axes.tml")), None);
    }
}
