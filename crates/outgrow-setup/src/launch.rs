//! Starting the program.

use std::{
    env,
    ffi::{OsStr, OsString},
    os::unix::process::CommandExt,
    path::Path,
    process::Command,
};

use crate::{
    error::Error,
    place::{LIBRARY, Place},
};

const PATH: &str = "LD_LIBRARY_PATH";

/// Becomes the program; comes back only if that is impossible.
pub fn start(place: &Place, args: impl Iterator<Item = OsString>) -> Error {
    let mut command = Command::new(place.program());
    command.arg0("outgrow").args(args);
    let is_told = env::var_os(PATH)
        .is_some_and(|paths| env::split_paths(&paths).any(|path| path.join(LIBRARY).is_file()));
    match place.linked() {
        // Whoever names a libtorch wants that one.
        _ if is_told => {}
        Some(link) if place.is_beside_the_program(&link) => {}
        Some(link) => {
            command.env(PATH, with(&link.join("lib")));
        }
        None => {
            return Error::Said(
                "outgrow needs libtorch, which is not here yet: `outgrow setup` downloads it or \
                 takes a PyTorch that you have (`outgrow setup --help`)"
                    .into(),
            );
        }
    }
    Error::file(&place.program())(command.exec())
}

/// The search path with a folder before all others.
pub fn with(folder: &Path) -> OsString {
    let rest = env::var_os(PATH).filter(|paths| !paths.is_empty());
    let mut all = folder.as_os_str().to_owned();
    if let Some(rest) = rest {
        all.push(OsStr::new(":"));
        all.push(rest);
    }
    all
}

/// Whether the program starts with the libraries of this folder; if not, what it says.
pub fn starts_with(place: &Place, libraries: &Path) -> Result<(), Error> {
    let program = place.program();
    let mut command = Command::new(&program);
    let output = command.arg("--version").env(PATH, with(libraries)).output();
    let output = output.map_err(Error::file(&program))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let why = if said.contains("GLIBC") {
        "; this system's C library or C++ library is older than the one that this archive was built \
         for: take a newer system, or build from source"
    } else {
        ""
    };
    Err(Error::Said(format!(
        "outgrow does not start with {}: {}{why}",
        libraries.display(),
        said.trim()
    )))
}
