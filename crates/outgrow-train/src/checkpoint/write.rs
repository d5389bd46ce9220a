//! Writing: aside, synced, renamed into place.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, Write},
    path::Path,
};

use outgrow_data::publish::sync_folder_of;
use outgrow_failpoint::Point;

use super::{
    digest::digest,
    error::{CheckpointError, file_error},
    head::{FORMAT, HEAD, Head, MODEL, OPTIMIZER, VERSION},
    read::Checkpoint,
    tensors::{named, store},
};
use crate::aside::asides;

impl Checkpoint {
    /// Writes a checkpoint to a folder that does not exist yet; gives the digest of its head and
    /// its size in bytes.
    ///
    /// # Errors
    /// If the folder exists, or anything can't be written; nothing is left behind then.
    pub fn write(&self, folder: &Path) -> Result<(String, u64), CheckpointError> {
        self.write_copy(folder, None)
    }

    /// Writes it as a copy of the model of this digest, if it is one.
    pub(crate) fn write_copy(
        &self,
        folder: &Path,
        copy_of: Option<&str>,
    ) -> Result<(String, u64), CheckpointError> {
        if folder.exists() {
            return Err(CheckpointError::Exists(folder.display().to_string()));
        }
        let [aside, _] = asides(folder);
        let written = self.write_aside(&aside, copy_of).map_err(file_error(folder));
        let moved = written.and_then(|sizes| {
            let renamed = Point::CheckpointRename.around(|| fs::rename(&aside, folder));
            let synced =
                renamed.and_then(|()| Point::CheckpointPlaceSync.around(|| sync_folder_of(folder)));
            synced.map_err(file_error(folder))?;
            Ok(sizes)
        });
        if moved.is_err() {
            let _ = fs::remove_dir_all(&aside);
        }
        moved
    }

    fn write_aside(&self, folder: &Path, copy_of: Option<&str>) -> io::Result<(String, u64)> {
        let _ = fs::remove_dir_all(folder);
        fs::create_dir_all(folder)?;
        let (digests, bytes) = self.write_tensors(folder)?;
        let head = Head {
            format: FORMAT.into(),
            version: VERSION,
            architecture: self.state.architecture().clone(),
            training: self.progress.clone(),
            optimizer_step: self.state.step,
            origin: copy_of.map(str::to_owned),
            digests,
        };
        let head = serde_json::to_vec_pretty(&head).map_err(io::Error::other)?;
        let mut file = File::create(folder.join(HEAD))?;
        Point::CheckpointHead.around(|| file.write_all(&head))?;
        Point::CheckpointHeadSync.around(|| file.sync_all())?;
        let (head_digest, size) = (digest(&head), bytes + head.len() as u64);
        Point::CheckpointFolderSync.around(|| File::open(folder)?.sync_all())?;
        Ok((head_digest, size))
    }

    /// Writes weights and, where there are steps, the optimizer; gives the digest of each file and
    /// the size of both.
    fn write_tensors(&self, folder: &Path) -> io::Result<(BTreeMap<String, String>, u64)> {
        let parts = self.state.parts();
        let weights = named("", &parts.weights);
        // A model that was never trained has no optimizer to carry along.
        let optimizer = (self.state.step > 0).then(|| {
            [
                ("first_moment.", &parts.first_moment),
                ("second_moment.", &parts.second_moment),
                ("born.", &parts.born),
            ]
            .into_iter()
            .flat_map(|(prefix, tensors)| named(prefix, tensors))
            .collect::<Vec<_>>()
        });
        let (model, optimizer) = rayon::join(
            || store(&folder.join(MODEL), weights),
            || optimizer.map(|tensors| store(&folder.join(OPTIMIZER), tensors)).transpose(),
        );
        let files = [(MODEL, Some(model?)), (OPTIMIZER, optimizer?)];
        let files = files.into_iter().filter_map(|(name, stored)| Some((name.to_owned(), stored?)));
        let (digests, sizes): (BTreeMap<_, _>, Vec<u64>) =
            files.map(|(name, (digest, bytes))| ((name, digest), bytes)).unzip();
        Ok((digests, sizes.iter().sum()))
    }
}
