//! Tensors in safetensors, read and written.

use std::{borrow::Cow, collections::BTreeMap, fs::File, io, path::Path};

use memmap2::Mmap;
use outgrow_core::{ParamId, model::parameters};
use outgrow_failpoint::Point;
use safetensors::{Dtype, SafeTensors, tensor::View};
use tch::{Kind, Tensor};

use super::{
    digest::{digest, digest_of, expect_digest},
    error::{CheckpointError, file_error, format_error},
    head::{Head, open},
};
use crate::device::Device;

/// The tensors of one file, one map for each prefix of their names.
pub(super) fn read_tensors(
    folder: &Path,
    name: &str,
    head: &Head,
    prefixes: &[&str],
    device: Device,
) -> Result<Vec<BTreeMap<ParamId, Tensor>>, CheckpointError> {
    let path = folder.join(name);
    let expected = head.digests.get(name);
    let file = open(&path, expected.is_some())?;
    // SAFETY: read only; a checkpoint is written once and renamed into place, never changed.
    let bytes = unsafe { Mmap::map(&file) }.map_err(file_error(&path))?;
    if let Some(expected) = expected {
        expect_digest(&path, &digest(&bytes), expected)?;
    }
    let tensors = SafeTensors::deserialize(&bytes).map_err(|error| format_error(&path, error))?;
    let ids = parameters(&head.architecture);
    check_names(&tensors, &ids, prefixes).map_err(|why| format_error(&path, why))?;
    let read = |prefix: &&str| {
        let one = |&id: &ParamId| {
            tensor(&tensors, &format!("{prefix}{id}"), id.shape(&head.architecture))
                .map(|t| (id, t.to_device(device.tch())))
        };
        ids.iter().map(one).collect::<Result<_, String>>().map_err(|why| format_error(&path, why))
    };
    prefixes.iter().map(read).collect()
}

/// Refuses a file that has more or fewer tensors than those of `ids`, each once for each prefix.
fn check_names(tensors: &SafeTensors, ids: &[ParamId], prefixes: &[&str]) -> Result<(), String> {
    let expected = ids.len() * prefixes.len();
    if tensors.len() == expected {
        return Ok(());
    }
    let known = |name: &str| {
        prefixes
            .iter()
            .any(|p| name.strip_prefix(p).is_some_and(|n| ids.iter().any(|id| id.to_string() == n)))
    };
    let extra = tensors
        .names()
        .into_iter()
        .find(|name| !known(name))
        .map(|name| format!(", `{name}` is not among them"));
    Err(format!(
        "it has {} tensors, its architecture has {expected}{}",
        tensors.len(),
        extra.unwrap_or_default()
    ))
}

fn tensor(tensors: &SafeTensors, name: &str, shape: Vec<usize>) -> Result<Tensor, String> {
    let view = tensors.tensor(name).map_err(|_| format!("the tensor `{name}` is missing"))?;
    if view.shape() != shape {
        return Err(format!(
            "`{name}` has shape {:?}, its architecture says {shape:?}",
            view.shape()
        ));
    }
    let (kind, master) = match view.dtype() {
        Dtype::F64 => (Kind::Double, Kind::Double),
        Dtype::F32 => (Kind::Float, Kind::Float),
        Dtype::BF16 => (Kind::BFloat16, Kind::Float),
        Dtype::F16 => (Kind::Half, Kind::Float),
        Dtype::I32 => (Kind::Int, Kind::Int),
        Dtype::I64 => (Kind::Int64, Kind::Int),
        other => {
            return Err(format!(
                "`{name}` has dtype {other:?}; expected one of F64, F32, BF16, F16 (I32 or I64 for `born`)"
            ));
        }
    };
    let size: Vec<i64> = shape.iter().map(|&n| n as i64).collect();
    Ok(Tensor::from_data_size(view.data(), &size, kind).to_kind(master))
}

/// A contiguous tensor on the processor, as safetensors takes it: its own memory, not a copy.
pub(super) struct Stored {
    tensor: Tensor,
    shape: Vec<usize>,
}

impl View for Stored {
    fn dtype(&self) -> Dtype {
        match self.tensor.kind() {
            Kind::Double => Dtype::F64,
            Kind::Int => Dtype::I32,
            _ => Dtype::F32,
        }
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        // SAFETY: contiguous, on the processor, and nobody writes to it while it is stored.
        Cow::Borrowed(unsafe {
            std::slice::from_raw_parts(self.tensor.data_ptr().cast(), self.data_len())
        })
    }

    fn data_len(&self) -> usize {
        self.tensor.numel() * self.tensor.kind().elt_size_in_bytes()
    }
}

pub(super) fn named(prefix: &str, tensors: &BTreeMap<ParamId, Tensor>) -> Vec<(String, Stored)> {
    let stored = |(id, tensor): (&ParamId, &Tensor)| {
        let tensor = tensor.detach().to_device(tch::Device::Cpu).contiguous();
        let shape = tensor.size().iter().map(|&n| n as usize).collect();
        (format!("{prefix}{id}"), Stored { tensor, shape })
    };
    tensors.iter().map(stored).collect()
}

/// Writes tensors to a file, safely on disk; gives its digest and size. It is hashed while the disk
/// writes.
pub(super) fn store(path: &Path, tensors: Vec<(String, Stored)>) -> io::Result<(String, u64)> {
    let written =
        Point::CheckpointWrite.around(|| safetensors::serialize_to_file(tensors, None, path));
    written.map_err(io::Error::other)?;
    let file = File::open(path)?;
    let (synced, hashed) =
        rayon::join(|| Point::CheckpointSync.around(|| file.sync_all()), || digest_of(&file));
    synced?;
    hashed
}
