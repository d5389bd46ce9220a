//! Weights, configuration and everything else to a folder.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet, HashMap},
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};

use outgrow_core::{Architecture, Form, ParamId, ParamKind};
use outgrow_data::publish::sync_folder_of;
use outgrow_failpoint::Point;
use safetensors::tensor::View;
use serde_json::{Map, Value, json};
use tch::Tensor;

use super::{
    beside::{self, CONFIG, INDEX, LeftOut, SINGLE},
    error::{HubError, file_error, format_error},
    family::Family,
    layout::Stored,
    read::HubModel,
    texts::HubTokenizer,
};
use crate::{aside::asides, dtype::Dtype, state::TrainingState};

/// No file of weights is larger, as long as no tensor is.
const SHARD_BYTES: usize = 5_000_000_000;

/// The size of what was written, and what it lacks.
#[derive(Debug)]
pub struct Written {
    /// Bytes of weights in all files.
    pub bytes: u64,
    /// Files of the source that were left out.
    pub left_out: Vec<LeftOut>,
}

/// What a folder is written from.
pub(crate) struct FolderSource<'a> {
    pub family: Family,
    pub architecture: &'a Architecture,
    pub weights: &'a BTreeMap<ParamId, Tensor>,
    pub dtype: Dtype,
    /// The configuration that it is to be like.
    pub base: Option<&'a Map<String, Value>>,
    /// The folder whose other files travel along.
    pub beside: Option<&'a Path>,
    /// The tokenizer, where no other one travels along.
    pub tokenizer: Option<&'a HubTokenizer>,
}

/// Writes the model of a checkpoint of ours as a folder of transformers, in its family or that of
/// `like`, whose configuration and other files it then takes over. The tokenizer is written if none
/// is among those.
///
/// # Errors
/// If no family has such models, the folder exists, or something can't be written; nothing is left
/// behind then.
pub fn export(
    state: &TrainingState,
    to: &Path,
    like: Option<&HubModel>,
    dtype: Dtype,
    tokenizer: Option<&HubTokenizer>,
) -> Result<Written, HubError> {
    let architecture = state.architecture();
    let family = like.map_or_else(|| Family::of(architecture), |like| Ok(like.family))?;
    let there = |(id, tensor): (ParamId, Tensor)| (id, tensor.to_device(tch::Device::Cpu));
    let weights = state.parts().weights.into_iter().map(there).collect();
    let (base, beside) = (like.map(|like| &like.config), like.map(|like| like.folder.as_path()));
    let has_own = beside.is_some_and(|folder| folder.join("tokenizer.json").exists());
    let tokenizer = tokenizer.filter(|_| !has_own);
    let weights = &weights;
    let source = FolderSource { family, architecture, weights, dtype, base, beside, tokenizer };
    if let Some(like) = like {
        like.check_same_form(architecture)?;
    }
    let (aside, written) = source.write_aside(to)?;
    aside.read(to, dtype)?;
    aside.settle(to)?;
    Ok(written)
}

impl HubModel {
    /// Refuses a model whose form is not this one's: its configuration would say what it is not.
    fn check_same_form(&self, architecture: &Architecture) -> Result<(), HubError> {
        let differing = differing(&self.architecture, architecture);
        if differing.is_empty() {
            return Ok(());
        }
        let (folder, differing) = (self.folder.display(), differing.join(", "));
        let why = format!("it is not of the form of {folder}, which must be the same: {differing}");
        Err(HubError::Unsayable { family: self.family.model_type(), why })
    }
}

/// What a configuration `like` says otherwise than an architecture is, beside sizes that grow. A
/// model that was trained on shorter texts keeps the configuration's longest input, where positions
/// are no tensor.
fn differing(like: &Architecture, architecture: &Architecture) -> Vec<String> {
    let fields = |form: Form| {
        let form = Form { eps_sum: 0.0, qk_norm_eps: form.qk_norm_eps.map(|_| 0.0), ..form };
        serde_json::to_value(form).expect("plain data")
    };
    let (theirs, ours) = (fields(like.form), fields(architecture.form));
    let names = [&theirs, &ours].into_iter().flat_map(|form| form.as_object()).flat_map(Map::keys);
    let names: BTreeSet<&String> = names.collect();
    let said = |value: &Value| if value.is_null() { "not given".into() } else { value.to_string() };
    let mut all: Vec<String> = names
        .into_iter()
        .filter(|name| theirs[name.as_str()] != ours[name.as_str()])
        .map(|name| {
            format!(
                "{name} is {} there and {} here",
                said(&theirs[name.as_str()]),
                said(&ours[name.as_str()])
            )
        })
        .collect();
    let mut number = |what: &str, theirs: usize, ours: usize, is_same: bool| {
        all.extend((!is_same).then(|| format!("{what} is {theirs} there and {ours} here")));
    };
    let (theirs, ours) = (like.vocab_size, architecture.vocab_size);
    number("vocab_size", theirs, ours, theirs == ours);
    let (theirs, ours) = (like.seq_len, architecture.seq_len);
    number("the longest input", theirs, ours, ours <= theirs);
    all
}

/// A folder that is not yet in its place. Unless it was moved there, it goes when it is dropped.
pub(crate) struct Aside {
    pub folder: PathBuf,
}

impl Drop for Aside {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

impl Aside {
    /// Reads what was written.
    pub fn read(&self, to: &Path, dtype: Dtype) -> Result<HubModel, HubError> {
        HubModel::read(&self.folder).map_err(|error| match error {
            HubError::NotFinite { name, what, .. } => {
                let dtype = dtype.name();
                let why = format!("in {dtype} the tensor `{name}` would hold {what}: its numbers are too large; --dtype float32 may hold them");
                format_error(to, why)
            }
            other => other,
        })
    }

    /// Moves it into its place.
    pub fn settle(self, to: &Path) -> Result<(), HubError> {
        let renamed = Point::HubRename.around(|| fs::rename(&self.folder, to));
        renamed
            .and_then(|()| Point::HubPlaceSync.around(|| sync_folder_of(to)))
            .map_err(file_error(to))
    }
}

impl FolderSource<'_> {
    /// Writes everything to a folder beside `to`.
    pub fn write_aside(&self, to: &Path) -> Result<(Aside, Written), HubError> {
        if to.symlink_metadata().is_ok() {
            return Err(HubError::Exists(to.display().to_string()));
        }
        let mut config = self.family.config(self.architecture, self.base, self.dtype)?;
        // Under each name that is there already; under the newer one if there is none.
        let names: Vec<&str> =
            ["dtype", "torch_dtype"].into_iter().filter(|key| config.contains_key(*key)).collect();
        for key in if names.is_empty() { vec!["dtype"] } else { names } {
            config.insert(key.into(), self.dtype.name().into());
        }
        let ids = self.tokenizer.map(HubTokenizer::ids).into_iter().flatten();
        config.extend(ids.map(|(name, id)| (name.to_owned(), id)));
        let [_, folder] = asides(to);
        let parent = folder
            .parent()
            .filter(|parent| !parent.as_os_str().is_empty())
            .unwrap_or(Path::new("."));
        // Not over what is there: of another process of the same number, in another container.
        fs::create_dir_all(parent)
            .and_then(|()| fs::create_dir(&folder))
            .map_err(file_error(&folder))?;
        let aside = Aside { folder };
        let written = self.fill(&aside.folder, &config).map_err(file_error(to))?;
        Ok((aside, written))
    }

    fn fill(&self, folder: &Path, config: &Map<String, Value>) -> io::Result<Written> {
        write_json(&folder.join(CONFIG), config)?;
        let left_out = self.beside.map_or(Ok(vec![]), |from| beside::copy(from, folder))?;
        let seq_len = self.architecture.seq_len;
        let texts = self.tokenizer.map(|tokenizer| tokenizer.files(folder, seq_len));
        for (name, text) in texts.into_iter().flatten() {
            write_file(&folder.join(name), &text)?;
        }
        let bytes = self.write_weights(folder)?;
        Point::HubFolderSync.around(|| File::open(folder)?.sync_all())?;
        Ok(Written { bytes, left_out })
    }

    fn write_weights(&self, folder: &Path) -> io::Result<u64> {
        let shards = self.shards();
        let n = shards.len();
        let name = |number: usize| match n {
            1 => SINGLE.to_owned(),
            n => format!("model-{:05}-of-{n:05}.safetensors", number + 1),
        };
        let (mut total, mut places) = (0, Map::new());
        for (number, shard) in shards.into_iter().enumerate() {
            total += shard.iter().map(View::data_len).sum::<usize>() as u64;
            places.extend(shard.iter().map(|tensor| (tensor.name(), Value::from(name(number)))));
            write_shard(shard, &folder.join(name(number)))?;
        }
        if n > 1 {
            let index = json!({ "metadata": { "total_size": total }, "weight_map": places });
            write_json(&folder.join(INDEX), index.as_object().expect("an object"))?;
        }
        Ok(total)
    }

    /// The tensors file by file.
    fn shards(&self) -> Vec<Vec<Lazy<'_>>> {
        let mut shards: Vec<Vec<Lazy>> = vec![vec![]];
        let mut room = SHARD_BYTES;
        for stored in self.family.format().tensors_of(self.architecture.form) {
            for layer in stored.layers(self.architecture) {
                let shape = stored.shape(self.architecture, layer);
                let tensor = Lazy { source: self, stored, layer, shape };
                let bytes = tensor.data_len();
                if bytes > room && !shards[shards.len() - 1].is_empty() {
                    shards.push(vec![]);
                    room = SHARD_BYTES;
                }
                room = room.saturating_sub(bytes);
                shards.last_mut().expect("there is one").push(tensor);
            }
        }
        shards
    }

    /// What a parameter is multiplied with on its way out. transformers has one ε for all norms;
    /// where that of queries and keys is another, they are scaled so that the norms give the same:
    /// √ of the ratio.
    fn scale(&self, id: ParamId) -> f64 {
        let form = self.architecture.form;
        let is_normed =
            matches!(id.kind, ParamKind::Wq | ParamKind::Bq | ParamKind::Wk | ParamKind::Bk);
        match form.qk_norm_eps {
            Some(own) if is_normed && own > 0.0 => {
                let ratio = form.eps_sum / self.architecture.d_model as f64 / own;
                // What rounding left of 1 is 1.
                if (ratio - 1.0).abs() < 1e-12 { 1.0 } else { ratio.sqrt() }
            }
            _ => 1.0,
        }
    }
}

/// A tensor that is made when it is written.
struct Lazy<'a> {
    source: &'a FolderSource<'a>,
    stored: &'static Stored,
    layer: Option<usize>,
    shape: Vec<usize>,
}

impl Lazy<'_> {
    fn name(&self) -> String {
        self.stored.name_of(self.layer)
    }
}

impl View for Lazy<'_> {
    fn dtype(&self) -> safetensors::Dtype {
        self.source.dtype.in_file()
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        let FolderSource { weights, architecture, dtype, .. } = self.source;
        let tensor = self.stored.join(
            weights,
            architecture,
            self.layer,
            &|id| self.source.scale(id),
            dtype.kind(),
        );
        // SAFETY: contiguous, on the processor, and nobody writes to it while it is read.
        let bytes =
            unsafe { std::slice::from_raw_parts(tensor.data_ptr().cast::<u8>(), self.data_len()) };
        let is_stored = self.stored.kinds.iter().any(|&kind| {
            weights[&ParamId { layer: self.layer, kind }].data_ptr() == tensor.data_ptr()
        });
        match is_stored {
            // The memory is a parameter's own, which lives as long as the source.
            true => Cow::Borrowed(bytes),
            false => Cow::Owned(bytes.to_vec()),
        }
    }

    fn data_len(&self) -> usize {
        self.shape.iter().product::<usize>() * self.source.dtype.kind().elt_size_in_bytes()
    }
}

fn write_shard(shard: Vec<Lazy>, path: &Path) -> io::Result<()> {
    let named: Vec<(String, Lazy)> =
        shard.into_iter().map(|tensor| (tensor.name(), tensor)).collect();
    let metadata = HashMap::from([("format".to_owned(), "pt".to_owned())]);
    safetensors::serialize_to_file(named, Some(metadata), path).map_err(io::Error::other)?;
    Point::HubSync.around(|| File::open(path)?.sync_all())
}

fn write_json(path: &Path, fields: &Map<String, Value>) -> io::Result<()> {
    let mut text = serde_json::to_vec_pretty(fields).map_err(io::Error::other)?;
    text.push(b'\n');
    write_file(path, &text)
}

fn write_file(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(bytes)?;
    Point::HubSync.around(|| file.sync_all())
}

#[cfg(test)]
mod tests {
    use outgrow_core::{LayerShape, Norm, Positions, Rotary};

    use super::*;

    #[test]
    fn what_differs_is_named_and_a_shorter_input_is_no_difference() {
        let form = Form::decoder(Norm::RmsNorm, 1e-5);
        let layer = LayerShape::uniform(2, 4, 4, 16);
        let like = Architecture::uniform(100, 64, 8, 1, layer, form);
        assert!(
            differing(&like, &Architecture { seq_len: 16, d_model: 12, ..like.clone() }).is_empty()
        );
        let said = differing(&like, &Architecture { seq_len: 65, vocab_size: 99, ..like.clone() });
        let expected =
            ["vocab_size is 100 there and 99 here", "the longest input is 64 there and 65 here"];
        assert_eq!(said, expected);
        let rotary = Rotary { theta: 1e4, width: 4, channels: None, scaling: None };
        let form = Form { positions: Positions::Rotary(rotary), gated: true, ..form };
        let said = differing(&like, &Architecture { form, ..like.clone() }).join("; ");
        assert!(
            said.contains("gated is not given there and true here") && said.contains("positions"),
            "{said}"
        );
    }
}
