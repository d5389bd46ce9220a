//! The weights of a checkpoint that was written with the optimizer's state, in a folder of their
//! own.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::Path,
};

use super::{
    digest::{digest, expect_digest},
    error::{CheckpointError, damaged, file_error},
    head::{HEAD, MODEL, OPTIMIZER, read_head},
};

/// Bytes of the optimizer's state in a checkpoint; none if it has none.
pub fn has_optimizer(folder: &Path) -> Option<u64> {
    fs::metadata(folder.join(OPTIMIZER)).ok().map(|found| found.len())
}

/// Puts the weights of a checkpoint, whose head has the digest that was recorded, into the folder
/// `to`, which must not be there: the same file under a second name, where the file system has
/// those. Gives the digest of the new head and the size of both. Nothing is synced: who records the
/// new folder syncs the file system first.
///
/// # Errors
/// If the checkpoint is not as it was recorded, or the disk refuses.
pub fn strip(from: &Path, to: &Path, recorded: &str) -> Result<(String, u64), CheckpointError> {
    let (mut head, found) = read_head(from)?;
    expect_digest(&from.join(HEAD), &found, recorded)?;
    head.expect_names(from)?;
    head.digests.retain(|name, _| name == MODEL);
    head.optimizer_step = 0;
    let model = from.join(MODEL);
    if !model.is_file() {
        return Err(damaged(&model, "it is not there".into()));
    }
    let bytes = fs::metadata(&model).map_err(file_error(&model))?.len();
    let write = || -> io::Result<(String, u64)> {
        fs::create_dir(to)?;
        if fs::hard_link(&model, to.join(MODEL)).is_err() {
            fs::copy(&model, to.join(MODEL))?;
        }
        let text = serde_json::to_vec_pretty(&head).map_err(io::Error::other)?;
        File::create(to.join(HEAD))?.write_all(&text)?;
        Ok((digest(&text), bytes + text.len() as u64))
    };
    write().inspect_err(|_| drop(fs::remove_dir_all(to))).map_err(file_error(to))
}
