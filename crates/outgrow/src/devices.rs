//! Which devices this machine has.

use outgrow_train::{Device, device};

use crate::error::Error;

/// The device that was named, or the first there is; makes libtorch ready.
///
/// # Errors
/// If this machine has no such device.
pub fn one_device(wanted: Option<Device>) -> Result<Device, Error> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    device::initialise(cores);
    let there = Device::all();
    match wanted {
        None => Ok(there[0]),
        Some(device) => check_device(device, &there).map(|()| device),
    }
}

/// The devices that were named, or all there are; makes libtorch ready.
///
/// # Errors
/// If this machine does not have one of them.
pub fn devices(wanted: &[Device]) -> Result<Vec<Device>, Error> {
    device::initialise(1);
    let there = Device::all();
    wanted.iter().try_for_each(|&device| check_device(device, &there))?;
    Ok(if wanted.is_empty() { there } else { wanted.to_vec() })
}

/// Refuses a device that this machine does not have.
///
/// # Errors
/// With the names of those that it has.
pub fn check_device(device: Device, there: &[Device]) -> Result<(), Error> {
    if device == Device::Cpu || there.contains(&device) {
        return Ok(());
    }
    let names: Vec<String> = there.iter().map(Device::to_string).collect();
    Err(Error::Input(format!("there is no device {device} here; there is: {}", names.join(", "))))
}
