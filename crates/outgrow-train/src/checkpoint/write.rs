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

/// What of a checkpoint is written.
#[derive(Clone, Copy)]
enum Extent<'a> {
    /// All that it has (a model that was never trained has no optimizer to carry along); and the
    /// digest of the model that it is a copy of, if it is one.
    All(Option<&'a str>),
    /// Its weights.
    Weights,
}

impl Checkpoint {
    /// Writes a checkpoint to a folder that does not exist yet; gives the digest of its head and
    /// its size in bytes.
    ///
    /// # Errors
    /// If the folder exists, or anything can't be written; nothing is left behind then.
    pub fn write(&self, folder: &Path) -> Result<(String, u64), CheckpointError> {
        self.publish(folder, Extent::All(None))
    }

    /// Writes its weights, and how far they were trained, without the optimizer's state: a training
    /// does not go on from there.
    ///
    /// # Errors
    /// As of [`Checkpoint::write`].
    pub(crate) fn write_weights(&self, folder: &Path) -> Result<(String, u64), CheckpointError> {
        self.publish(folder, Extent::Weights)
    }

    /// Writes it as a copy of the model of this digest, if it is one.
    pub(crate) fn write_copy(
        &self,
        folder: &Path,
        copy_of: Option<&str>,
    ) -> Result<(String, u64), CheckpointError> {
        self.publish(folder, Extent::All(copy_of))
    }

    fn publish(&self, folder: &Path, extent: Extent) -> Result<(String, u64), CheckpointError> {
        if folder.exists() {
            return Err(CheckpointError::Exists(folder.display().to_string()));
        }
        let [aside, _] = asides(folder);
        let written = self.write_aside(&aside, extent).map_err(file_error(folder));
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

    fn write_aside(&self, folder: &Path, extent: Extent) -> io::Result<(String, u64)> {
        let _ = fs::remove_dir_all(folder);
        fs::create_dir_all(folder)?;
        let (step, origin) = match extent {
            Extent::All(origin) => (self.state.step, origin),
            Extent::Weights => (0, None),
        };
        let (digests, bytes) = self.write_tensors(folder, step > 0)?;
        let head = Head {
            format: FORMAT.into(),
            version: VERSION,
            architecture: self.state.architecture().clone(),
            training: self.progress.clone(),
            optimizer_step: step,
            origin: origin.map(str::to_owned),
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

    /// Writes weights and, where that is asked for, the optimizer; gives the digest of each file
    /// and the size of both.
    fn write_tensors(
        &self,
        folder: &Path,
        optimizer: bool,
    ) -> io::Result<(BTreeMap<String, String>, u64)> {
        let parts = self.state.parts();
        let weights = named("", &parts.weights);
        let optimizer = optimizer.then(|| {
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
