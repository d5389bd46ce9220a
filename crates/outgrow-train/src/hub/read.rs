//! A folder, read.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use memmap2::Mmap;
use outgrow_core::{Architecture, ParamId, ParamKind};
use serde_json::{Map, Value};
use tch::{Kind, Tensor};

use super::{
    beside::{self, CONFIG},
    config::read_object,
    error::HubError,
    facts,
    family::{self, Family},
    tensors::Tensors,
};
use crate::{device::Device, dtype::Dtype, finite::not_finite, state::TrainingState};

/// A model of transformers. Its weights are views of the mapped files, in the types and mostly in
/// the layout of the files.
pub struct HubModel {
    /// The family that its configuration names.
    pub family: Family,
    /// What its configuration means.
    pub architecture: Architecture,
    /// The configuration itself.
    pub(crate) config: Map<String, Value>,
    /// The weights. They must not outlive the maps.
    pub(crate) weights: BTreeMap<ParamId, Tensor>,
    /// The type that most of its weights are stored in.
    pub dtype: Dtype,
    pub(crate) folder: PathBuf,
    /// The files of its weights.
    pub files: Vec<PathBuf>,
    pub(crate) maps: Vec<Mmap>,
}

impl HubModel {
    /// Reads a folder.
    ///
    /// # Errors
    /// If a file is missing, damaged or not what the configuration says, if parts of the folder
    /// contradict each other, or if a weight is no number.
    pub fn read(folder: &Path) -> Result<Self, HubError> {
        let model = Self::open(folder)?;
        match model.weights.iter().find_map(|(id, weight)| Some((id, not_finite(weight)?))) {
            None => Ok(model),
            Some((id, what)) => {
                let name = model.family.name_of(*id);
                Err(HubError::NotFinite { path: folder.display().to_string(), name, what })
            }
        }
    }

    /// Reads a folder, without a look at the weights' values.
    pub(super) fn open(folder: &Path) -> Result<Self, HubError> {
        let path = folder.join(CONFIG);
        let config = read_object(&path)?;
        let (family, architecture) = family::read(&path, &config)?;
        beside::check(folder)?;
        let (set, other) = beside::weight_sets(folder)?;
        let maps = set.map()?;
        let tensors = Tensors::of(&set, &maps, family)?;
        if let Some(other) = other {
            let maps = other.map()?;
            tensors.compare(&Tensors::of(&other, &maps, family)?, folder)?;
        }
        let weights = tensors.weights(family, &architecture, folder)?;
        let dtype = Dtype::of(weights[&ParamId::global(ParamKind::Embedding)].kind());
        Ok(Self {
            family,
            architecture,
            config,
            weights,
            dtype,
            folder: folder.to_owned(),
            files: set.files,
            maps,
        })
    }

    /// What a user should know of the folder, though it can be read.
    pub fn notes(&self) -> Vec<String> {
        [self.unknown_fields(), self.other_type(), self.strays()].into_iter().flatten().collect()
    }

    fn unknown_fields(&self) -> Option<String> {
        let unknown = facts::unknown(&self.config);
        let (fields, family) = (unknown.join(", "), self.family.model_type());
        (!unknown.is_empty()).then(|| {
            format!("{CONFIG} has fields that neither outgrow nor transformers' {family} reads: {fields}")
        })
    }

    fn other_type(&self) -> Option<String> {
        let mut stored: Vec<&str> =
            self.weights.values().map(|weight| Dtype::of(weight.kind()).name()).collect();
        stored.sort_unstable();
        stored.dedup();
        let said =
            ["dtype", "torch_dtype"].into_iter().find_map(|key| self.config.get(key)?.as_str())?;
        ([said] != stored[..]).then(|| {
            let stored = stored.join(" and ");
            format!("{CONFIG} says {said}, but the weights are stored in {stored}: they are read as stored")
        })
    }

    fn strays(&self) -> Option<String> {
        let strays = beside::strays(&self.folder, &self.files);
        let read: Vec<_> =
            self.files.iter().filter_map(|file| file.file_name()?.to_str()).collect();
        (!strays.is_empty()).then(|| {
            format!("weights are read from {}, not from {}", read.join(", "), strays.join(", "))
        })
    }

    /// The kind that its logits are computed in.
    pub(crate) fn compute(&self) -> Kind {
        if self.dtype == Dtype::Float64 { Kind::Double } else { Kind::Float }
    }

    /// A state of ours with its weights: in float64 if they are stored so, otherwise in float32.
    pub fn into_state(self, device: Device) -> TrainingState {
        let kind = self.compute();
        let there = |tensor: &Tensor| tensor.to_device(device.tch()).to_kind(kind);
        let weights = self.weights.iter().map(|(id, tensor)| (*id, there(tensor))).collect();
        TrainingState::from_weights(&self.architecture, weights)
    }
}

/// What the configuration of a folder means, without its weights.
///
/// # Errors
/// If it is missing, or not known here.
pub fn read_architecture(folder: &Path) -> Result<Architecture, HubError> {
    let path = folder.join(CONFIG);
    let fields = read_object(&path)?;
    beside::check(folder)?;
    Ok(family::read(&path, &fields)?.1)
}

/// What a user should know of a folder that can be read: what of it was not looked at, and where it
/// says two things.
///
/// # Errors
/// If it can't be read.
pub fn notes(folder: &Path) -> Result<Vec<String>, HubError> {
    HubModel::open(folder).map(|model| model.notes())
}
