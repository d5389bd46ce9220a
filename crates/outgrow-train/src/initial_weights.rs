//! Models whose weights trials begin with: copied once, in our format, for all workers.

use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
};

use outgrow_core::{Architecture, ParamId, ParamKind};
use outgrow_failpoint::Point;
use tch::Tensor;

use crate::{
    Device, TrainingState,
    checkpoint::{Checkpoint, CheckpointError, HEAD, MODEL, digest_of},
    hub::{HubModel, is_hub},
};

/// A digest of a model's weights and sizes, of a checkpoint or of a folder of transformers. The
/// optimizer does not count.
///
/// # Errors
/// If a file can't be read.
pub fn model_digest(folder: &Path) -> Result<String, CheckpointError> {
    let architecture = Checkpoint::read_architecture(folder)?;
    let mut hasher = blake3::Hasher::new();
    hasher.update(&serde_json::to_vec(&architecture).expect("plain data"));
    for path in weight_files(folder)? {
        let failed =
            |error: io::Error| CheckpointError::File { path: path.display().to_string(), error };
        let (digest, _) = File::open(&path).and_then(|file| digest_of(&file)).map_err(failed)?;
        hasher.update(digest.as_bytes());
    }
    Ok(hasher.finalize().to_hex().to_string())
}

fn weight_files(folder: &Path) -> Result<Vec<PathBuf>, CheckpointError> {
    if !is_hub(folder) {
        debug_assert!(folder.join(HEAD).exists());
        return Ok(vec![folder.join(MODEL)]);
    }
    // What is refused when it is copied is refused here.
    Ok(HubModel::read(folder)?.files)
}

/// Copies the model of `folder`, which has this digest, to `to`, as it is trained on sequences of
/// `seq_len` tokens: a shorter length than the model reads is cut off its learned positions. A
/// copy that is there whole stays; a damaged one is told of, and written anew.
///
/// # Errors
/// If it can't be read or written.
pub fn copy_initial_weights(
    folder: &Path,
    digest: &str,
    seq_len: usize,
    to: &Path,
) -> Result<(), CheckpointError> {
    if to.exists() {
        let Err(error) = Checkpoint::read_copy(to, digest, Device::Cpu) else { return Ok(()) };
        tracing::warn!("{error}; it is copied anew from {}", folder.display());
        std::fs::remove_dir_all(to)
            .map_err(|error| CheckpointError::File { path: to.display().to_string(), error })?;
    }
    let state = Checkpoint::read(folder, Device::Cpu)?.state;
    let architecture = Architecture { seq_len, ..state.architecture().clone() };
    let cut = |(id, weight): (ParamId, Tensor)| match id.kind {
        ParamKind::Positions => (id, weight.narrow(0, 0, seq_len as i64)),
        _ => (id, weight),
    };
    let weights = state.parts().weights.into_iter().map(cut).collect();
    let state = TrainingState::from_weights(&architecture, weights);
    let copy = Checkpoint { state, progress: None };
    match Point::Initial.around(|| copy.write_copy(to, Some(digest))) {
        // Another process was faster.
        Err(_) if to.exists() => Ok(()),
        done => done.map(drop),
    }
}
