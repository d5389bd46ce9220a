//! Weights from safetensors, mapped.

use std::{
    collections::BTreeMap,
    fs::File,
    path::{Path, PathBuf},
};

use memmap2::Mmap;
use outgrow_core::{Architecture, ParamId, model::parameters};
use safetensors::{SafeTensorError, SafeTensors};
use serde_json::{Map, Value};
use tch::{Kind, Tensor};

use super::{
    beside::{CONFIG, INDEX, SINGLE, WeightSet},
    error::{HubError, file_error, format_error},
    family::Family,
};
use crate::dtype::Dtype;

/// The tensors of all files, by name.
pub(super) struct Tensors<'a>(BTreeMap<String, (safetensors::tensor::TensorView<'a>, &'a Path)>);

impl WeightSet {
    /// Maps its files.
    pub(super) fn map(&self) -> Result<Vec<Mmap>, HubError> {
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
    /// The tensors of mapped files; refuses an index that says something else.
    pub(super) fn of(
        set: &'a WeightSet,
        maps: &'a [Mmap],
        family: Family,
    ) -> Result<Self, HubError> {
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
    pub(super) fn compare(&self, other: &Self, folder: &Path) -> Result<(), HubError> {
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
        let by_default =
            if family.format().tied_by_default { " (as it is by default)" } else { "" };
        let why = format!(
            "`tie_word_embeddings` is true{by_default}, but `{head}` is another than `{embedding}`: transformers 5 keeps both, 4 drops the head. Set `tie_word_embeddings` to false to keep both, or take `{head}` away"
        );
        Err(format_error(folder, why))
    }

    /// The parameters of a model of this architecture, and nothing else.
    pub(super) fn weights(
        mut self,
        family: Family,
        architecture: &Architecture,
        folder: &Path,
    ) -> Result<BTreeMap<ParamId, Tensor>, HubError> {
        let format = family.format();
        // A model that was saved without its head lacks the prefix.
        let bare = !self.0.keys().any(|name| name.starts_with(format.prefix));
        let own = |name: &str| {
            if bare { name.strip_prefix(format.prefix).unwrap_or(name) } else { name }.to_owned()
        };
        if architecture.form.tied {
            self.tie(family, format.tables().map(own), folder)?;
        }
        let mut weights = BTreeMap::new();
        for stored in format.tensors_of(architecture.form) {
            for layer in stored.layers(architecture) {
                let tensor = self.take(
                    &own(&stored.name_of(layer)),
                    &stored.shape(architecture, layer),
                    folder,
                )?;
                weights.extend(stored.cut(&tensor, architecture, layer));
            }
        }
        self.check_nothing_left(family)?;
        debug_assert_eq!(weights.len(), parameters(architecture).len());
        Ok(weights)
    }

    /// Takes out a tensor of this name, which must have this shape.
    fn take(&mut self, name: &str, shape: &[usize], folder: &Path) -> Result<Tensor, HubError> {
        let Some((view, file)) = self.0.remove(name) else {
            return Err(format_error(folder, format!("the tensor `{name}` is missing")));
        };
        let tensor = mapped(name, &view).map_err(|why| format_error(file, why))?;
        if view.shape() != shape {
            let why = format!("`{name}` has shape {:?}, {CONFIG} means {shape:?}", view.shape());
            return Err(format_error(file, why));
        }
        Ok(tensor)
    }

    /// Refuses tensors that are no parameters.
    fn check_nothing_left(&self, family: Family) -> Result<(), HubError> {
        match self.0.iter().find(|(name, _)| !family.is_redundant(name)) {
            Some((name, (_, file))) => {
                let why = format!(
                    "`{name}` is no tensor of a {} model of this {CONFIG}",
                    family.model_type()
                );
                Err(format_error(file, why))
            }
            None => Ok(()),
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
        return Err(format!(
            "`{name}` has dtype {:?}; expected one of F64, F32, BF16, F16",
            view.dtype()
        ));
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
    Ok(unsafe { Tensor::from_blob(data.as_ptr(), &size, &strides, kind, tch::Device::Cpu) })
}
