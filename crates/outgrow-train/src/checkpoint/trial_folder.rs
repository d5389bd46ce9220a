//! The checkpoints in the folder of a trial.

use std::{
    fs,
    path::{Path, PathBuf},
};

use outgrow_failpoint::Point;

/// Where the checkpoint of a step lies in a trial's folder, as the attempt of this epoch writes it.
pub(crate) fn step_folder(trial: &Path, step: u64, epoch: u64) -> PathBuf {
    trial.join(format!("step-{step:010}-{epoch}"))
}

/// The epoch of a checkpoint's folder, or of one that was never finished; none of what is no
/// checkpoint.
fn epoch_of(folder: &Path) -> Option<u64> {
    let name = folder.file_name()?.to_str()?.strip_prefix("step-")?;
    let name = name.split_once('.').map_or(name, |(name, _)| name);
    // Those of the first version had none.
    name.split_once('-').map_or(Some(0), |(_, epoch)| epoch.parse().ok())
}

/// Removes the checkpoints of a trial that this attempt and those before it wrote, except those of
/// the given folders: what no longer counts, and what was never finished.
pub fn remove_others(trial: &Path, keep: &[PathBuf], epoch: u64) {
    for entry in fs::read_dir(trial).into_iter().flatten().flatten() {
        let folder = entry.path();
        let is_kept = keep.iter().any(|kept| kept.file_name() == folder.file_name());
        if !is_kept && epoch_of(&folder).is_some_and(|its| its <= epoch) {
            // A leftover costs disk, not correctness.
            let _ = Point::CheckpointRemove.around(|| fs::remove_dir_all(folder));
        }
    }
}
