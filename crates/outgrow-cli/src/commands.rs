//! One file for each command.

pub mod bench;
pub mod check;
pub mod convert;
pub mod data;
pub mod db;
pub mod doctor;
pub mod eval;
pub mod export;
pub mod grow;
pub mod plan;
pub mod query;
pub mod report;
pub mod run;
pub mod serve;
pub mod shell;
pub mod status;
pub mod submit;
pub mod worker;

use std::path::Path;

use outgrow_train::{Device, device};

use crate::failure::Failure;

/// The device that the user named, or the first there is; makes libtorch ready.
fn one_device(wanted: Option<Device>) -> Result<Device, Failure> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    device::initialise(cores);
    let there = Device::all();
    match wanted {
        None => Ok(there[0]),
        Some(device) => check_device(device, &there).map(|()| device),
    }
}

/// Refuses a device that this machine does not have.
fn check_device(device: Device, there: &[Device]) -> Result<(), Failure> {
    if device == Device::Cpu || there.contains(&device) {
        return Ok(());
    }
    let names: Vec<String> = there.iter().map(Device::to_string).collect();
    Err(Failure::Input(format!("there is no device {device} here; there is: {}", names.join(", "))))
}

/// Writes the files of a report or of figures, each at its path in `folder`.
fn write_files(folder: &Path, files: &[(String, Vec<u8>)]) -> Result<(), Failure> {
    for (path, bytes) in files {
        let path = folder.join(path);
        let failed = |error| Failure::Environment(format!("cannot write {}: {error}", path.display()));
        let parent = path.parent().expect("a file of a report lies in a folder");
        std::fs::create_dir_all(parent).and_then(|()| std::fs::write(&path, bytes)).map_err(failed)?;
    }
    Ok(())
}
