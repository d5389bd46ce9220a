//! A torch that is on the machine already.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{error::Error, place::LIBRARY};

/// The folder of a torch of this version: of the Python package, or of libtorch's zip.
///
/// # Errors
/// If there is none, or one of another version.
pub fn check(folder: &Path, version: &str) -> Result<PathBuf, Error> {
    let found = [folder.to_owned(), folder.join("torch")];
    let Some(found) = found.into_iter().find(|found| found.join("lib").join(LIBRARY).is_file())
    else {
        return Err(Error::Said(format!(
            "{} holds no lib/{LIBRARY}; name the folder `torch` of the Python package torch \
             {version}, or `libtorch` of its zip",
            folder.display()
        )));
    };
    let found = fs::canonicalize(&found).map_err(Error::file(&found))?;
    match version_of(&found) {
        Some(own) if own.split('+').next() == Some(version) => Ok(found),
        Some(own) => Err(Error::Said(format!(
            "{} is torch {own}, but this outgrow works with {version} alone: the C++ interface of \
             libtorch changes with every release",
            found.display()
        ))),
        None => Err(Error::Said(format!(
            "{} does not say which version of torch it is (no version.py, no build-version); \
             outgrow works with {version} alone",
            found.display()
        ))),
    }
}

/// `2.11.0+cpu`, as the package or the zip says it.
fn version_of(folder: &Path) -> Option<String> {
    if let Ok(text) = fs::read_to_string(folder.join("build-version")) {
        return Some(text.trim().to_owned());
    }
    let text = fs::read_to_string(folder.join("version.py")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("__version__"))?;
    let quoted = line.split(['\'', '"']).nth(1)?;
    Some(quoted.to_owned())
}

/// The torch that `python3` would import, if there is one.
pub fn of_python() -> Option<PathBuf> {
    let ask = "import importlib.util as u; s = u.find_spec('torch'); \
               print(list(s.submodule_search_locations)[0] if s else '')";
    let output = Command::new("python3").args(["-c", ask]).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let path = text.trim();
    (output.status.success() && !path.is_empty()).then(|| PathBuf::from(path))
}
