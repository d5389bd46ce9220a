//! Is there room for a model on this machine? Asked before anything is allocated.

use outgrow_core::model::n_parameters;
use std::path::Path;

use nix::sys::statvfs::statvfs;
use outgrow_core::Architecture;

use crate::device::Device;

/// What a model is going to take.
pub(crate) struct Need<'a> {
    /// Bytes of memory for each parameter, at least.
    pub each: u64,
    /// The device whose memory is asked for.
    pub device: Device,
    /// A folder to be written, and bytes of disk for each parameter.
    pub disk: Option<(&'a Path, u64)>,
}

/// A model is too large for this machine.
#[derive(Debug, thiserror::Error)]
#[error(
    "a model of {parameters:.2e} parameters takes at least {:.1} GB of {what}, and {:.1} GB are free",
    gigabytes(*needed),
    gigabytes(*free)
)]
pub struct NoRoom {
    /// How many parameters it has.
    pub parameters: f64,
    /// What there is too little of.
    pub what: &'static str,
    /// Bytes that it takes at least.
    pub needed: u64,
    /// Bytes that are free.
    pub free: u64,
}

fn gigabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e9
}

/// Refuses an architecture that is none, or whose weights no memory of this machine holds in any
/// type.
///
/// # Errors
/// Which size is wrong, or how much it would take.
pub fn check_room(architecture: &Architecture) -> Result<(), Box<dyn std::error::Error>> {
    architecture.validate()?;
    Ok(check(architecture, Need { each: 2, device: Device::Cpu, disk: None })?)
}

/// Refuses a model that this machine has no room for. What can't be found out is taken to be there.
pub(crate) fn check(architecture: &Architecture, need: Need) -> Result<(), NoRoom> {
    let parameters = n_parameters(architecture);
    let fits = |what, each: u64, free: Option<u64>| {
        let (needed, free) = (parameters.saturating_mul(each), free.unwrap_or(u64::MAX));
        let error = NoRoom { parameters: parameters as f64, what, needed, free };
        if needed <= free { Ok(()) } else { Err(error) }
    };
    fits("memory", need.each, need.device.free_bytes())?;
    need.disk.map_or(Ok(()), |(folder, each)| fits("disk", each, free_disk(folder)))
}

/// Bytes that are free where a folder is to be.
fn free_disk(folder: &Path) -> Option<u64> {
    let there = folder.ancestors().skip(1).find(|folder| folder.exists()).unwrap_or(Path::new("."));
    let about = statvfs(there).ok()?;
    Some(about.blocks_available() as u64 * about.fragment_size() as u64)
}
