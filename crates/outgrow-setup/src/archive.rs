//! Taking the libraries out of wheels.

use std::{
    fs::{File, Permissions, set_permissions},
    io::{self, BufWriter},
    os::unix::fs::PermissionsExt,
    path::Path,
};

use outgrow_data::publish::NewFolder;

use crate::{error::Error, list::Part};

/// Whether a file of a wheel is needed: the libraries that the program loads, the version, the
/// licences.
fn is_needed(name: &str, has_cuda: bool) -> bool {
    if name == "torch/version.py" || name.contains(".dist-info/licenses/") {
        return true;
    }
    if name.ends_with("/License.txt") {
        return name.contains(".dist-info/");
    }
    let Some((folder, file)) = name.rsplit_once('/') else { return false };
    if !file.contains(".so") {
        return false;
    }
    match folder {
        "torch/lib" if has_cuda => file != "libtorch_python.so" && file != "libshm.so",
        "torch/lib" => ["libtorch_cpu.so", "libc10.so", "libgomp.so.1"].contains(&file),
        // Of CUDA, what the part for CPUs names without calling it.
        _ if folder.starts_with("nvidia/") && folder.ends_with("/lib") => {
            has_cuda || ["libcupti.so.13", "libcudart.so.13"].contains(&file)
        }
        _ => false,
    }
}

/// Unpacks what is needed of a wheel.
///
/// # Errors
/// If it is no wheel, or the disk refuses.
pub fn unpack(wheel: &Path, parts: &[Part], into: &NewFolder) -> Result<(), Error> {
    let failed = || Error::file(wheel);
    let file = File::open(wheel).map_err(failed())?;
    let mut archive = zip::ZipArchive::new(file).map_err(io::Error::other).map_err(failed())?;
    for number in 0..archive.len() {
        let mut member = archive.by_index(number).map_err(io::Error::other).map_err(failed())?;
        let name = member.name().map_err(io::Error::other).map_err(failed())?.into_owned();
        if member.is_dir() || !is_needed(&name, parts.contains(&Part::Cuda)) {
            continue;
        }
        let path = into.file(&name)?;
        let out = File::create_new(&path).map_err(Error::file(&path))?;
        let mut out = BufWriter::with_capacity(1 << 20, out);
        io::copy(&mut member, &mut out).map_err(Error::file(&path))?;
        out.into_inner().map_err(|error| Error::file(&path)(error.into_error()))?;
        let mode = if name.contains(".so") { 0o755 } else { 0o644 };
        set_permissions(&path, Permissions::from_mode(mode)).map_err(Error::file(&path))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::is_needed;

    #[test]
    fn no_more_than_is_needed() {
        for name in [
            "torch/lib/libtorch_cpu.so",
            "torch/lib/libc10.so",
            "torch/lib/libgomp.so.1",
            "torch/version.py",
            "nvidia/cu13/lib/libcupti.so.13",
            "torch-2.11.0.dist-info/licenses/LICENSE",
        ] {
            assert!(is_needed(name, false) && is_needed(name, true), "{name}");
        }
        for name in ["torch/lib/libtorch_cuda.so", "nvidia/cudnn/lib/libcudnn.so.9"] {
            assert!(!is_needed(name, false) && is_needed(name, true), "{name}");
        }
        for name in ["torch/lib/libtorch_python.so", "torch/nn/functional.py", "../x.so", "x.so"] {
            assert!(!is_needed(name, false) && !is_needed(name, true), "{name}");
        }
    }
}
