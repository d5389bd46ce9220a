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
mod namesake;
pub mod plan;
pub mod query;
pub mod report;
pub mod run;
pub mod serve;
pub mod shell;
pub mod status;
pub mod submit;
pub mod worker;

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
