//! The texts that a sweep is written in: its file, and the files that this one extends.

use std::{
    fs,
    io::Read,
    path::{Path, PathBuf},
};

use outgrow_core::sweep::Draft;

use crate::error::Error;

/// No sweep file has more bytes.
const LARGEST: u64 = 4 << 20;

/// The text of a regular file, if it can be that of a sweep.
fn text(path: &Path) -> Result<String, Error> {
    let cannot = || format!("cannot read {}", path.display());
    let refused = |why: &str| Err(Error::Input(format!("{}: {why}", cannot())));
    // Asked before it is opened: opening a pipe waits for its writer.
    let found = fs::metadata(path).map_err(Error::input(cannot()))?;
    if found.is_dir() {
        return refused("it is a folder; name the sweep file in it");
    }
    if !found.is_file() {
        return refused("it is no regular file; write the sweep into one");
    }
    if found.len() > LARGEST {
        return refused(&format!(
            "it has {} bytes, and no sweep file has more than {LARGEST}",
            found.len()
        ));
    }
    let mut bytes = vec![];
    let file = fs::File::open(path).map_err(Error::input(cannot()))?;
    file.take(LARGEST).read_to_end(&mut bytes).map_err(Error::input(cannot()))?;
    String::from_utf8(bytes).or_else(|error| {
        let at = error.utf8_error().valid_up_to();
        refused(&format!("it is no text: byte {at} is not UTF-8"))
    })
}

/// A sweep file over what it extends.
///
/// # Errors
/// If one of the files can't be read, or they extend each other in a circle.
pub(super) fn draft(path: &Path) -> Result<Draft, Error> {
    read(path, "", &mut vec![])
}

/// What a sweep is called that does not say: as its file, or as the folder of a `sweep.toml`; none
/// where that has no letter or digit that a name can have.
pub(super) fn usual_name(path: &Path) -> Option<String> {
    let stem = path.file_stem()?.to_str()?;
    let folder = || fs::canonicalize(path).ok()?.parent()?.file_name()?.to_str().map(str::to_owned);
    let name = if stem == "sweep" { folder() } else { Some(stem.to_owned()) };
    name.filter(|name| name.contains(|c: char| c.is_ascii_alphanumeric()))
        .map(|name| allowed_name(&name))
}

/// A text as a sweep can be called.
pub(crate) fn allowed_name(text: &str) -> String {
    let allowed = |c: char| if c.is_ascii_alphanumeric() || "-_".contains(c) { c } else { '-' };
    let name: String = text.chars().map(allowed).take(64).collect();
    let name = name.trim_matches(['-', '_']);
    if name.is_empty() { "mine".into() } else { name.to_owned() }
}

/// `above` are the files that extend this one, each the one behind it.
fn read(path: &Path, origin: &str, above: &mut Vec<(PathBuf, String)>) -> Result<Draft, Error> {
    let text = text(path)?;
    let named =
        |error: &dyn std::fmt::Display| Error::Input(format!("{}: {error}", path.display()));
    let real = fs::canonicalize(path).map_err(Error::input(path.display()))?;
    above.push((real.clone(), path.display().to_string()));
    if above[..above.len() - 1].iter().any(|(other, _)| *other == real) {
        let names: Vec<&str> = above.iter().map(|(_, name)| name.as_str()).collect();
        let circle = format!("`extends` goes round in a circle: {}", names.join(" extends "));
        return Err(Error::Input(circle));
    }
    let own = Draft::parse(origin, &text).map_err(|error| named(&error))?;
    let mut bases = vec![];
    for name in own.extends().map_err(|error| named(&error))? {
        if !name.ends_with(".toml") {
            bases.push(Draft::preset(&name).map_err(|error| named(&error))?);
            continue;
        }
        let mut base = read(&super::beside(path, &name), &name, above)?;
        base.move_paths(Path::new(&name).parent().unwrap_or(Path::new("")));
        bases.push(base);
    }
    above.pop();
    Ok(own.over(bases))
}
