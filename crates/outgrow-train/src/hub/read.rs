//! Weights from safetensors, mapped.

use std::{
    collections::BTreeMap,
    fs::File,
    path::{Path, PathBuf},
};

use memmap2::Mmap;
use outgrow_core::{
    Architecture, ParamId, ParamKind,
    model::{Axis, parameters},
};
use safetensors::{SafeTensorError, SafeTensors};
use serde_json::{Map, Value};
use tch::{Device as Place, Kind, Tensor};

use super::{
    CONFIG, Dtype, HubError,
    beside::{self, INDEX, SINGLE, WeightSet},
    config::read_object,
    facts,
    family::{self, Family, Fused, Layout, Stored},
    file_error, format_error,
};
use crate::checkpoint::Checkpoint;
use crate::{Device, state::TrainingState, verify::not_finite};

/// A model of transformers. Its weights are views of the mapped files, in the types and mostly in
/// the layout of the files.
pub struct HubModel {
    /// Its family.
    pub family: Family,
    /// What its configuration means.
    pub architecture: Architecture,
    /// The configuration itself.
    pub(super) config: Map<String, Value>,
    /// The weights. They must not outlive the maps.
    pub(super) weights: BTreeMap<ParamId, Tensor>,
    /// The type that most of its weights are stored in.
    pub dtype: Dtype,
    pub(super) folder: PathBuf,
    /// The files of its weights.
    pub files: Vec<PathBuf>,
    pub(super) maps: Vec<Mmap>,
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
        let mut notes = vec![];
        let unknown = facts::unknown(&self.config);
        if !unknown.is_empty() {
            let (fields, family) = (unknown.join(", "), self.family.model_type());
            notes.push(format!("{CONFIG} has fields that neither outgrow nor transformers' {family} reads: {fields}"));
        }
        let mut stored: Vec<&str> =
            self.weights.values().map(|weight| Dtype::of(weight.kind()).name()).collect();
        stored.sort_unstable();
        stored.dedup();
        let said =
            ["dtype", "torch_dtype"].into_iter().find_map(|key| self.config.get(key)?.as_str());
        if let Some(said) = said.filter(|said| [*said] != stored[..]) {
            let stored = stored.join(" and ");
            notes
                .push(format!("{CONFIG} says {said}, but the weights are stored in {stored}: they are read as stored"));
        }
        let strays = beside::strays(&self.folder, &self.files);
        if !strays.is_empty() {
            let read: Vec<_> =
                self.files.iter().filter_map(|file| file.file_name()?.to_str()).collect();
            notes.push(format!(
                "weights are read from {}, not from {}",
                read.join(", "),
                strays.join(", ")
            ));
        }
        notes
    }

    /// The kind that its logits are computed in.
    pub(super) fn compute(&self) -> Kind {
        if self.dtype == Dtype::Float64 { Kind::Double } else { Kind::Float }
    }

    /// A checkpoint of ours with its weights: in float64 if they are stored so, otherwise in
    /// float32.
    pub fn into_checkpoint(self, device: Device) -> Checkpoint {
        let kind = self.compute();
        let there = |tensor: &Tensor| tensor.to_device(device.tch()).to_kind(kind);
        let weights = self.weights.iter().map(|(id, tensor)| (*id, there(tensor))).collect();
        Checkpoint {
            state: TrainingState::from_weights(&self.architecture, weights),
            progress: None,
        }
    }
}

/// The tensors of all files, by name.
struct Tensors<'a>(BTreeMap<String, (safetensors::tensor::TensorView<'a>, &'a Path)>);

impl WeightSet {
    fn map(&self) -> Result<Vec<Mmap>, HubError> {
        let open = |file: &PathBuf| {
            let opened = File::open(file).map_err(file_error(file))?;
            // SAFETY: read only; a file that shrinks meanwhile would raise a bus error, as for any
            // reader by map.
            unsafe { Mmap::map(&opened) }.map_err(file_error(file))
        };
        self.files.iter().map(open).collect()
    }
}

impl<'a> Tensors<'a> {
    fn of(set: &'a WeightSet, maps: &'a [Mmap], family: Family) -> Result<Self, HubError> {
        let mut all = BTreeMap::new();
        for (file, map) in set.files.iter().zip(maps) {
            let tensors = SafeTensors::deserialize(map)
                .map_err(|error| format_error(file, not_whole(map, error)))?;
            for (name, view) in tensors.iter() {
                if all.insert(name.to_owned(), (view, file.as_path())).is_some() {
                    return Err(format_error(
                        file,
                        format!("the tensor `{name}` is in another file, too"),
                    ));
                }
            }
        }
        let tensors = Self(all);
        set.index
            .as_ref()
            .map_or(Ok(()), |(index, map)| tensors.check_index(index, map, family))?;
        Ok(tensors)
    }

    /// Refuses an index that says of a tensor what is not so.
    fn check_index(
        &self,
        index: &Path,
        map: &Map<String, Value>,
        family: Family,
    ) -> Result<(), HubError> {
        let place = |name: &str| self.0.get(name).and_then(|(_, file)| file.file_name()?.to_str());
        let wrong = map.iter().find(|(name, file)| place(name) != file.as_str());
        if let Some((name, file)) = wrong {
            let found = place(name).map_or("in no file".to_owned(), |place| format!("in {place}"));
            return Err(format_error(
                index,
                format!("it says that `{name}` is in {file}, but it is {found}"),
            ));
        }
        match self.0.keys().find(|name| !map.contains_key(*name) && !family.is_redundant(name)) {
            None => Ok(()),
            Some(name) => {
                let file = place(name).unwrap_or_default();
                Err(format_error(index, format!("it does not name `{name}`, which is in {file}")))
            }
        }
    }

    /// Refuses two sets of weights that differ: which one a program reads depends on the program.
    fn compare(&self, other: &Self, folder: &Path) -> Result<(), HubError> {
        let same = |name: &String| match (self.0.get(name), other.0.get(name)) {
            (Some((a, _)), Some((b, _))) => {
                (a.dtype(), a.shape(), a.data()) == (b.dtype(), b.shape(), b.data())
            }
            _ => false,
        };
        match self.0.keys().chain(other.0.keys()).find(|name| !same(name)) {
            None => Ok(()),
            Some(name) => {
                let why = format!(
                    "`{name}` is not the same in {SINGLE} and in the files that {INDEX} names: transformers reads the first, other programs the others; take the wrong ones away"
                );
                Err(format_error(folder, why))
            }
        }
    }

    /// Takes away the head of a model that says that its head is the embedding, which it must be
    /// then.
    fn tie(&mut self, family: Family, names: [String; 2], folder: &Path) -> Result<(), HubError> {
        let [embedding, head] = names;
        let Some((view, file)) = self.0.remove(&head) else { return Ok(()) };
        let Some((table, _)) = self.0.get(&embedding) else { return Ok(()) };
        let values = |name: &str, view| mapped(name, view).map_err(|why| format_error(file, why));
        let (ours, theirs) = (values(&embedding, table)?, values(&head, &view)?);
        let same = ours.size() == theirs.size()
            && (view.dtype() == table.dtype() && view.data() == table.data()
                || ours.to_kind(Kind::Double).equal(&theirs.to_kind(Kind::Double)));
        if same {
            return Ok(());
        }
        let by_default = if family == Family::Gpt2 { " (as it is by default)" } else { "" };
        let why = format!(
            "`tie_word_embeddings` is true{by_default}, but `{head}` is another than `{embedding}`: transformers 5 keeps both, 4 drops the head. Set `tie_word_embeddings` to false to keep both, or take `{head}` away"
        );
        Err(format_error(folder, why))
    }

    fn weights(
        mut self,
        family: Family,
        architecture: &Architecture,
        folder: &Path,
    ) -> Result<BTreeMap<ParamId, Tensor>, HubError> {
        // A model that was saved without its head lacks the prefix.
        let prefix = family.prefix();
        let bare = !self.0.keys().any(|name| name.starts_with(prefix));
        let own = |name: &str| {
            if bare { name.strip_prefix(prefix).unwrap_or(name) } else { name }.to_owned()
        };
        if architecture.form.tied {
            self.tie(family, family.tables().map(own), folder)?;
        }
        let mut weights = BTreeMap::new();
        for stored in
            family.tensors().iter().filter(|stored| stored.kinds[0].exists(architecture.form))
        {
            for layer in layers_of(stored, architecture) {
                let name = own(&stored.name_of(layer));
                let Some((view, file)) = self.0.remove(&name) else {
                    return Err(format_error(folder, format!("the tensor `{name}` is missing")));
                };
                let tensor = mapped(&name, &view).map_err(|why| format_error(file, why))?;
                let shape = stored.shape(architecture, layer);
                if view.shape() != shape {
                    let why =
                        format!("`{name}` has shape {:?}, {CONFIG} means {shape:?}", view.shape());
                    return Err(format_error(file, why));
                }
                weights.extend(stored.cut(&tensor, architecture, layer));
            }
        }
        match self.0.keys().find(|name| !family.is_redundant(name)) {
            Some(name) => {
                let why = format!(
                    "`{name}` is no tensor of a {} model of this {CONFIG}",
                    family.model_type()
                );
                Err(format_error(self.0[name].1, why))
            }
            None => {
                debug_assert_eq!(weights.len(), parameters(architecture).len());
                Ok(weights)
            }
        }
    }
}

/// Why a file is none of safetensors.
fn not_whole(bytes: &[u8], error: SafeTensorError) -> String {
    match bytes.starts_with(b"version https://git-lfs") {
        true => {
            "it is a pointer of Git LFS in the place of the weights; `git lfs pull` fetches them"
                .into()
        }
        false => format!("it is no whole safetensors file: {error}"),
    }
}

/// A tensor in the memory of its map, or a copy where that does not begin at a whole number.
fn mapped(name: &str, view: &safetensors::tensor::TensorView) -> Result<Tensor, String> {
    let Some(dtype) = Dtype::of_file(view.dtype()) else {
        return Err(format!("`{name}` is {:?}; known are F64, F32, BF16 and F16", view.dtype()));
    };
    let kind = dtype.kind();
    let size: Vec<i64> = view.shape().iter().map(|&n| n as i64).collect();
    let data = view.data();
    if !(data.as_ptr() as usize).is_multiple_of(kind.elt_size_in_bytes()) {
        return Ok(Tensor::from_data_size(data, &size, kind));
    }
    let mut strides = vec![1; size.len()];
    for dim in (1..size.len()).rev() {
        strides[dim - 1] = strides[dim] * size[dim];
    }
    // SAFETY: safetensors has checked that the data is as long as its shape says; it is not
    // written, and `HubModel` keeps the map as long as the tensor.
    Ok(unsafe { Tensor::from_blob(data.as_ptr(), &size, &strides, kind, Place::Cpu) })
}

pub(super) fn layers_of(stored: &Stored, architecture: &Architecture) -> Vec<Option<usize>> {
    match stored.name.contains("{}") {
        true => (0..architecture.layers.len()).map(Some).collect(),
        false => vec![None],
    }
}

impl Family {
    /// The tensor that a parameter is stored in.
    pub(super) fn name_of(self, id: ParamId) -> String {
        let holds = |stored: &&Stored| stored.kinds.contains(&id.kind);
        self.tensors()
            .iter()
            .find(holds)
            .map_or_else(|| id.to_string(), |stored| stored.name_of(id.layer))
    }
}

impl Stored {
    pub(super) fn name_of(&self, layer: Option<usize>) -> String {
        layer.map_or(self.name.to_owned(), |layer| self.name.replace("{}", &layer.to_string()))
    }

    fn ids(&self, layer: Option<usize>) -> impl Iterator<Item = ParamId> {
        self.kinds.iter().map(move |&kind| ParamId { layer, kind })
    }

    /// Its shape in the file.
    pub(super) fn shape(&self, architecture: &Architecture, layer: Option<usize>) -> Vec<usize> {
        let shapes: Vec<Vec<usize>> = self.ids(layer).map(|id| id.shape(architecture)).collect();
        let mut shape = shapes[0].clone();
        let last = shape.len() - 1;
        shape[last] = shapes.iter().map(|shape| shape[last]).sum();
        if self.layout == Layout::Transposed {
            shape.reverse();
        }
        shape
    }

    /// Our parameters out of its tensor.
    fn cut(
        &self,
        tensor: &Tensor,
        architecture: &Architecture,
        layer: Option<usize>,
    ) -> Vec<(ParamId, Tensor)> {
        let ours = if self.layout == Layout::Transposed {
            tensor.transpose(0, 1)
        } else {
            tensor.shallow_clone()
        };
        let n = self.kinds.len() as i64;
        let part = |number: i64| match self.fused {
            _ if n == 1 => ours.shallow_clone(),
            Fused::Blocks => ours.chunk(n, -1).remove(number as usize),
            Fused::PerHead => {
                let heads =
                    architecture.layers[layer.expect("heads are of a layer")].heads.len() as i64;
                ours.unflatten(-1, [heads, n, -1]).select(-2, number).flatten(-2, -1)
            }
        };
        let one = |(number, id): (usize, ParamId)| {
            let part = part(number as i64);
            let order = pairs(architecture, id);
            (id, order.map_or(part.shallow_clone(), |order| part.index_select(-1, &order)))
        };
        self.ids(layer).enumerate().map(one).collect()
    }

    /// Its tensor out of our parameters, in one kind.
    pub(super) fn join(
        &self,
        weights: &BTreeMap<ParamId, Tensor>,
        architecture: &Architecture,
        layer: Option<usize>,
        scale: &dyn Fn(ParamId) -> f64,
        kind: Kind,
    ) -> Tensor {
        let one = |id: ParamId| {
            let mut part = weights[&id].shallow_clone();
            if let Some(order) = pairs(architecture, id) {
                part = part.index_select(-1, &order.argsort(-1, false));
            }
            match scale(id) {
                1.0 => part.to_kind(kind),
                by if part.kind() == Kind::Double => (part * by).to_kind(kind),
                by => (part.to_kind(Kind::Float) * by).to_kind(kind),
            }
        };
        let parts: Vec<Tensor> = self.ids(layer).map(one).collect();
        let ours = match (&parts[..], self.fused) {
            ([whole], _) => whole.shallow_clone(),
            (parts, Fused::Blocks) => Tensor::cat(parts, -1),
            (parts, Fused::PerHead) => {
                let heads =
                    architecture.layers[layer.expect("heads are of a layer")].heads.len() as i64;
                let split: Vec<Tensor> =
                    parts.iter().map(|part| part.unflatten(-1, [heads, -1])).collect();
                Tensor::stack(&split, -2).flatten(-3, -1)
            }
        };
        let stored = if self.layout == Layout::Transposed { ours.transpose(0, 1) } else { ours };
        stored.contiguous()
    }
}

/// Where transformers keeps the channels of our heads. We turn neighbours, channels 2i and 2i + 1;
/// it turns channels i and i + half of those that are turned. None where nothing is turned.
fn pairs(architecture: &Architecture, id: ParamId) -> Option<Tensor> {
    let rotary = architecture.form.rotary()?;
    let layer = &architecture.layers[id.layer?];
    let axis = *id.kind.axes().last().expect("every parameter has an axis");
    let head = layer.heads[0];
    let n = match axis {
        Axis::Query => layer.n_heads(),
        Axis::Key => layer.heads.len(),
        Axis::HeadKey => 1,
        _ => return None,
    };
    let half = rotary.turned(head.d_k) / 2;
    let one = |channel: usize| match channel {
        turned if turned < 2 * half => turned / 2 + turned % 2 * half,
        rest => rest,
    };
    let order = (0..n).flat_map(|number| {
        (0..head.d_k).map(move |channel| (number * head.d_k + one(channel)) as i64)
    });
    Some(Tensor::from_slice(&order.collect::<Vec<_>>()))
}
