//! The sweep file on disk, and the work of finding out what it means.

use std::{fs, io::Read, path::Path};

use outgrow_core::{
    Sweep,
    sweep::{Member, SweepError, SweepSpec},
};

use crate::{failure::Failure, phases::Phases};

/// No sweep file has more bytes.
const LARGEST: u64 = 4 << 20;

/// The text of a regular file, if it can be that of a sweep.
pub fn text(path: &Path) -> Result<String, Failure> {
    let cannot = || format!("cannot read {}", path.display());
    let refused = |why: &str| Err(Failure::Input(format!("{}: {why}", cannot())));
    // Asked before it is opened: opening a pipe waits for its writer.
    let found = fs::metadata(path).map_err(Failure::input(cannot()))?;
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
    let file = fs::File::open(path).map_err(Failure::input(cannot()))?;
    file.take(LARGEST).read_to_end(&mut bytes).map_err(Failure::input(cannot()))?;
    String::from_utf8(bytes).or_else(|error| {
        let at = error.utf8_error().valid_up_to();
        refused(&format!("it is no text: byte {at} is not UTF-8"))
    })
}

/// The sweep that a specification means.
pub fn sweep(spec: SweepSpec) -> Result<Sweep, SweepError> {
    let _slow = Phases::new("sampling a plan of each strategy".into());
    Sweep::new(spec)
}

/// The trials of a sweep that was read from `file`.
pub fn members(sweep: &Sweep, digest: &str, file: &Path) -> Result<Vec<Member>, Failure> {
    let _slow = Phases::new("sampling all plans".into());
    sweep.members(digest).map_err(Failure::input(file.display()))
}
