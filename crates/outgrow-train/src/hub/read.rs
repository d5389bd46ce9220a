//! Weights from safetensors, mapped.

use std::{
    collections::BTreeMap,
    fs::File,
    path::{Path, PathBuf},
};

use memmap2::Mmap;
use outgrow_core::{
    Architecture, ParamId, ParamKind,
    param::{Axis, parameters},
};
use safetensors::SafeTensors;
use serde_json::{Map, Value};
use tch::{Device as Place, Kind, Tensor};

use super::{
    CONFIG, Dtype, HubError,
    config::read_object,
    family::{self, Family, Fused, Layout, Stored},
    file_error, format_error,
};
use crate::checkpoint::Checkpoint;
use crate::{Device, state::TrainingState};

const SINGLE: &str = "model.safetensors";
const INDEX: &str = "model.safetensors.index.json";

/// A model of transformers. Its weights are views of the mapped files, in the types and mostly in the layout of the files.
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
    pub(super) maps: Vec<Mmap>,
}

impl HubModel {
    /// Reads a folder.
    ///
    /// # Errors
    /// If a file is missing, damaged or not what the configuration says.
    pub fn read(folder: &Path) -> Result<Self, HubError> {
        let path = folder.join(CONFIG);
        let config = read_object(&path)?;
        let (family, architecture) = family::read(&path, &config)?;
        let files = weight_files(folder)?;
        let open = |file: &PathBuf| {
            let opened = File::open(file).map_err(file_error(file))?;
            // SAFETY: read only; a file that shrinks meanwhile would raise a bus error, as for any reader by map.
            unsafe { Mmap::map(&opened) }.map_err(file_error(file))
        };
        let maps = files.iter().map(open).collect::<Result<Vec<_>, _>>()?;
        let tensors = Tensors::of(&files, &maps)?;
        let weights = tensors.weights(family, &architecture, folder)?;
        let dtype = Dtype::of(weights[&ParamId::global(ParamKind::Embedding)].kind());
        Ok(Self { family, architecture, config, weights, dtype, folder: folder.to_owned(), maps })
    }

    /// The kind that its logits are computed in.
    pub(super) fn compute(&self) -> Kind {
        if self.dtype == Dtype::Float64 { Kind::Double } else { Kind::Float }
    }

    /// A checkpoint of ours with its weights: in float64 if they are stored so, otherwise in float32.
    pub fn into_checkpoint(self, device: Device) -> Checkpoint {
        let kind = self.compute();
        let there = |tensor: &Tensor| tensor.to_device(device.tch()).to_kind(kind);
        let weights = self.weights.iter().map(|(id, tensor)| (*id, there(tensor))).collect();
        Checkpoint { state: TrainingState::from_weights(&self.architecture, weights), progress: None }
    }
}

/// The files that the weights are in.
///
/// # Errors
/// If there are none, or an index names what is no file of this folder.
pub fn weight_files(folder: &Path) -> Result<Vec<PathBuf>, HubError> {
    let index = folder.join(INDEX);
    if !index.exists() {
        let single = folder.join(SINGLE);
        return match single.exists() {
            true => Ok(vec![single]),
            false => {
                let why = format!(
                    "there is neither {SINGLE} nor {INDEX} beside {CONFIG}; weights in other formats can be saved anew by transformers' save_pretrained"
                );
                Err(format_error(folder, why))
            }
        };
    }
    let fields = read_object(&index)?;
    let Some(Value::Object(map)) = fields.get("weight_map") else {
        return Err(format_error(&index, "`weight_map` is missing"));
    };
    let mut names: Vec<&str> = vec![];
    for (tensor, file) in map {
        let name = file.as_str().unwrap_or_default();
        // A path would lead out of the folder.
        if name.is_empty() || name.contains(['/', '\\', '\0']) || name.starts_with('.') {
            return Err(format_error(
                &index,
                format!("`{tensor}` is said to be in {file}; it must be a plain file name"),
            ));
        }
        if !names.contains(&name) {
            names.push(name);
        }
    }
    if names.is_empty() {
        return Err(format_error(&index, "`weight_map` names no file"));
    }
    names.sort_unstable();
    Ok(names.into_iter().map(|name| folder.join(name)).collect())
}

/// The tensors of all files, by name.
struct Tensors<'a>(BTreeMap<String, (safetensors::tensor::TensorView<'a>, &'a Path)>);

impl<'a> Tensors<'a> {
    fn of(files: &'a [PathBuf], maps: &'a [Mmap]) -> Result<Self, HubError> {
        let mut all = BTreeMap::new();
        for (file, map) in files.iter().zip(maps) {
            let why = |error| format!("it is no whole safetensors file: {error}");
            let tensors = SafeTensors::deserialize(map).map_err(|error| format_error(file, why(error)))?;
            for (name, view) in tensors.iter() {
                if all.insert(name.to_owned(), (view, file.as_path())).is_some() {
                    return Err(format_error(file, format!("the tensor `{name}` is in another file, too")));
                }
            }
        }
        Ok(Self(all))
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
        let mut weights = BTreeMap::new();
        for stored in family.tensors().iter().filter(|stored| stored.kinds[0].exists(architecture.form)) {
            for layer in layers_of(stored, architecture) {
                let name = stored.name_of(layer);
                let name = if bare { name.strip_prefix(prefix).unwrap_or(&name).to_owned() } else { name };
                let Some((view, file)) = self.0.remove(&name) else {
                    return Err(format_error(folder, format!("the tensor `{name}` is missing")));
                };
                let tensor = mapped(&name, &view).map_err(|why| format_error(file, why))?;
                let shape = stored.shape(architecture, layer);
                if view.shape() != shape {
                    let why = format!("`{name}` has shape {:?}, {CONFIG} means {shape:?}", view.shape());
                    return Err(format_error(file, why));
                }
                weights.extend(stored.cut(&tensor, architecture, layer));
            }
        }
        match self.0.keys().find(|name| !family.is_redundant(name, architecture.form)) {
            Some(name) => {
                let why = format!("`{name}` is no tensor of a {} model of this {CONFIG}", family.model_type());
                Err(format_error(self.0[name].1, why))
            }
            None => {
                debug_assert_eq!(weights.len(), parameters(architecture).len());
                Ok(weights)
            }
        }
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
    // SAFETY: safetensors has checked that the data is as long as its shape says; it is not written, and `HubModel` keeps the map as long as
    // the tensor.
    Ok(unsafe { Tensor::from_blob(data.as_ptr(), &size, &strides, kind, Place::Cpu) })
}

pub(super) fn layers_of(stored: &Stored, architecture: &Architecture) -> Vec<Option<usize>> {
    match stored.name.contains("{}") {
        true => (0..architecture.layers.len()).map(Some).collect(),
        false => vec![None],
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
    fn cut(&self, tensor: &Tensor, architecture: &Architecture, layer: Option<usize>) -> Vec<(ParamId, Tensor)> {
        let ours = if self.layout == Layout::Transposed { tensor.transpose(0, 1) } else { tensor.shallow_clone() };
        let n = self.kinds.len() as i64;
        let part = |number: i64| match self.fused {
            _ if n == 1 => ours.shallow_clone(),
            Fused::Blocks => ours.chunk(n, -1).remove(number as usize),
            Fused::PerHead => {
                let heads = architecture.layers[layer.expect("heads are of a layer")].heads.len() as i64;
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
                let heads = architecture.layers[layer.expect("heads are of a layer")].heads.len() as i64;
                let split: Vec<Tensor> = parts.iter().map(|part| part.unflatten(-1, [heads, -1])).collect();
                Tensor::stack(&split, -2).flatten(-3, -1)
            }
        };
        let stored = if self.layout == Layout::Transposed { ours.transpose(0, 1) } else { ours };
        stored.contiguous()
    }
}

/// Where transformers keeps the channels of our heads. We turn neighbours, channels 2i and 2i + 1; it turns channels i and i + half of those
/// that are turned. None where nothing is turned.
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
    let order = (0..n).flat_map(|number| (0..head.d_k).map(move |channel| (number * head.d_k + one(channel)) as i64));
    Some(Tensor::from_slice(&order.collect::<Vec<_>>()))
}
