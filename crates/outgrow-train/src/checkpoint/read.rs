//! Reading: nothing is trusted.

use std::{collections::BTreeMap, fs, path::Path};

use outgrow_core::{Architecture, ParamId};
use tch::{Kind, Tensor};

use super::{
    digest::expect_digest,
    error::{CheckpointError, damaged, file_error, format_error},
    head::{HEAD, Head, MODEL, OPTIMIZER, read_head},
    progress::Progress,
    tensors::read_tensors,
};
use crate::{
    device::Device,
    hub::{self, HubModel, is_hub},
    state::{Parts, TrainingState},
};

/// A model, with or without the state of its training.
pub struct Checkpoint {
    /// The model and the optimizer (a fresh one where the checkpoint has none).
    pub state: TrainingState,
    /// Where the training stands, if this is one.
    pub progress: Option<Progress>,
}

/// A checkpoint whose files are all as they were written.
#[derive(Clone, Debug, PartialEq)]
pub struct Verified {
    /// Where its training stands, if it is of one.
    pub progress: Option<Progress>,
    /// Size of its files.
    pub bytes: u64,
}

impl Checkpoint {
    /// Reads a checkpoint, or a model as transformers keeps it. The weights come as float64 if they
    /// are stored so, otherwise as float32.
    ///
    /// # Errors
    /// If it is missing, damaged, of another format, or its tensors are not those of its
    /// architecture.
    pub fn read(folder: &Path, device: Device) -> Result<Self, CheckpointError> {
        if is_hub(folder) {
            let state = HubModel::read(folder)?.into_state(device);
            return Ok(Self { state, progress: None });
        }
        let (head, _) = read_head(folder)?;
        let optimizer = head.has_optimizer(folder.join(OPTIMIZER).exists());
        Self::read_body(folder, head, optimizer, device)
    }

    /// The architecture of a checkpoint, or of a model as transformers keeps it, without its
    /// weights.
    ///
    /// # Errors
    /// If it is missing or of another format.
    pub fn read_architecture(folder: &Path) -> Result<Architecture, CheckpointError> {
        if is_hub(folder) {
            return Ok(hub::read_architecture(folder)?);
        }
        Ok(read_head(folder)?.0.architecture)
    }

    /// Reads a checkpoint whose head must have the digest that was recorded when it was written.
    /// Then every file that it was written with must be there as it was written; what else lies in
    /// the folder is not looked at.
    ///
    /// # Errors
    /// As of [`Checkpoint::read`], and if the head is another or a file is gone.
    pub fn read_recorded(
        folder: &Path,
        digest: &str,
        device: Device,
    ) -> Result<Self, CheckpointError> {
        let (head, found) = read_head(folder)?;
        expect_digest(&folder.join(HEAD), &found, digest)?;
        Self::read_own(folder, head, device)
    }

    /// Reads the copy of a model that trials begin with.
    ///
    /// # Errors
    /// As of [`Checkpoint::read`], and if it is not a copy of the model of this digest, as a whole.
    pub(crate) fn read_copy(
        folder: &Path,
        digest: &str,
        device: Device,
    ) -> Result<Self, CheckpointError> {
        let (head, _) = read_head(folder)?;
        if head.origin.as_deref() != Some(digest) {
            let why = format!("it is not the copy of the model {digest} that was written there");
            return Err(damaged(&folder.join(HEAD), why));
        }
        Self::read_own(folder, head, device)
    }

    /// Verifies a checkpoint that a trial wrote without loading its tensors: that the head has the
    /// digest that was recorded, where that is known, and every file that the head names the one
    /// that stands there.
    ///
    /// # Errors
    /// [`CheckpointError::Damaged`] where they are not; otherwise if a file can't be read.
    pub fn verify(folder: &Path, digest: Option<&str>) -> Result<Verified, CheckpointError> {
        let (head, found) = read_head(folder)?;
        if let Some(digest) = digest {
            expect_digest(&folder.join(HEAD), &found, digest)?;
        }
        head.expect_names(folder)?;
        let path = folder.join(HEAD);
        let size = fs::metadata(&path).map_err(file_error(&path))?.len();
        Ok(Verified { bytes: size + head.verify(folder, &[])?, progress: head.training })
    }

    fn read_own(folder: &Path, head: Head, device: Device) -> Result<Self, CheckpointError> {
        head.expect_names(folder)?;
        let optimizer = head.has_optimizer(false);
        Self::read_body(folder, head, optimizer, device)
    }

    fn read_body(
        folder: &Path,
        head: Head,
        optimizer: bool,
        device: Device,
    ) -> Result<Self, CheckpointError> {
        // Those that are read are verified as they are read.
        head.verify(folder, &[MODEL, OPTIMIZER])?;
        let weights = read_tensors(folder, MODEL, &head, &[""], device)?.remove(0);
        check_kinds(&weights).map_err(|why| format_error(&folder.join(MODEL), why))?;
        let state = if optimizer {
            let mut parts = read_tensors(
                folder,
                OPTIMIZER,
                &head,
                &["first_moment.", "second_moment.", "born."],
                device,
            )?;
            let (born, second_moment, first_moment) =
                (parts.remove(2), parts.remove(1), parts.remove(0));
            let parts = Parts { weights, first_moment, second_moment, born };
            TrainingState::from_parts(&head.architecture, parts, head.optimizer_step)
        } else {
            TrainingState::from_weights(&head.architecture, weights)
        };
        Ok(Self { state, progress: head.training })
    }
}

/// Refuses weights of several kinds, and whole numbers.
fn check_kinds(weights: &BTreeMap<ParamId, Tensor>) -> Result<(), &'static str> {
    let kinds: Vec<Kind> = weights.values().map(Tensor::kind).collect();
    if kinds.contains(&Kind::Int) || kinds.iter().any(|kind| *kind != kinds[0]) {
        return Err("its tensors must all be float64, or all of the shorter floating-point types");
    }
    Ok(())
}
