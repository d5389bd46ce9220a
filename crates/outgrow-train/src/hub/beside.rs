//! The files of a folder: which hold the weights that transformers reads, which a grown model takes
//! along, which it can't.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use serde_json::{Map, Value};

use super::{
    config::read_object,
    error::{HubError, file_error, format_error},
};

/// The file that makes a folder one of transformers'.
pub const CONFIG: &str = "config.json";
pub const SINGLE: &str = "model.safetensors";
pub const INDEX: &str = "model.safetensors.index.json";

/// Whether a folder is one of transformers' (and not one of ours).
pub fn is_hub(folder: &Path) -> bool {
    folder.join(CONFIG).is_file() && !folder.join("checkpoint.json").exists()
}

/// Files that make what transformers loads something else than the weights beside them.
const ADAPTERS: [&str; 3] =
    ["adapter_config.json", "adapter_model.safetensors", "adapter_model.bin"];

/// Files of weights that belong together.
pub struct WeightSet {
    pub files: Vec<PathBuf>,
    /// Where an index says that each tensor lies, and the index.
    pub index: Option<(PathBuf, Map<String, Value>)>,
}

impl WeightSet {
    fn sharded(folder: &Path) -> Result<Self, HubError> {
        let index = folder.join(INDEX);
        let mut fields = read_object(&index)?;
        let Some(Value::Object(map)) = fields.remove("weight_map") else {
            return Err(format_error(&index, "`weight_map` is missing"));
        };
        let mut names: Vec<&str> = vec![];
        for (tensor, file) in &map {
            let name = file.as_str().unwrap_or_default();
            // A path would lead out of the folder.
            if name.is_empty() || name.contains(['/', '\\', '\0']) || name.starts_with('.') {
                return Err(format_error(
                    &index,
                    format!("`{tensor}` is said to be in {file}; it must be a plain file name"),
                ));
            }
            names.push(name);
        }
        names.sort_unstable();
        names.dedup();
        if names.is_empty() {
            return Err(format_error(&index, "`weight_map` names no file"));
        }
        let files: Vec<PathBuf> = names.into_iter().map(|name| folder.join(name)).collect();
        match files.iter().find(|file| !file.is_file()) {
            Some(file) => {
                Err(format_error(file, format!("there is no such file, but {INDEX} names it")))
            }
            None => Ok(Self { files, index: Some((index, map)) }),
        }
    }
}

/// The weights that transformers reads, and others that would be read in their place by other
/// programs or versions.
///
/// # Errors
/// If there are none, or an index names what is no file of this folder.
pub fn weight_sets(folder: &Path) -> Result<(WeightSet, Option<WeightSet>), HubError> {
    let single = folder.join(SINGLE);
    let sharded = folder.join(INDEX).exists().then(|| WeightSet::sharded(folder)).transpose()?;
    match (single.is_file().then_some(single), sharded) {
        // An index of the one file.
        (Some(single), Some(sharded)) if sharded.files == [single.clone()] => Ok((sharded, None)),
        (Some(single), other) => Ok((WeightSet { files: vec![single], index: None }, other)),
        (None, Some(sharded)) => Ok((sharded, None)),
        (None, None) => {
            let why = format!(
                "there is neither {SINGLE} nor {INDEX} beside {CONFIG}; weights in other formats can be saved anew by transformers' save_pretrained"
            );
            Err(format_error(folder, why))
        }
    }
}

/// Refuses a folder whose weights and configuration are not all that the model is.
pub fn check(folder: &Path) -> Result<(), HubError> {
    if let Some(adapter) = ADAPTERS.into_iter().find(|name| folder.join(name).exists()) {
        let why = format!(
            "there is an adapter, {adapter}: the weights beside it are not the whole model. Merge it first (peft's merge_and_unload, then save_pretrained), or take its files away"
        );
        return Err(format_error(folder, why));
    }
    let names =
        fs::read_dir(folder).map_err(file_error(folder))?.flatten().map(|entry| entry.file_name());
    let mut code: Vec<String> =
        names.filter_map(|name| name.into_string().ok()).filter(|name| is_code(name)).collect();
    code.sort();
    match code.first() {
        None => Ok(()),
        Some(code) => Err(format_error(
            &folder.join(code),
            "this is code of the folder's own, which may compute something else than the plain model of its `model_type`; if it does not, take the file away",
        )),
    }
}

fn is_code(name: &str) -> bool {
    name.starts_with("modeling_") && name.ends_with(".py")
}

/// A file that a grown model does not take along.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOut {
    /// The name of the file or folder.
    pub name: String,
    /// The reason that is told: what kind of file it is.
    pub why: &'static str,
}

/// Names of files that hold for a model of any size: its tokenizer, and how it is asked.
const COPIED: [&str; 14] = [
    "added_tokens.json",
    "chat_template.jinja",
    "chat_template.json",
    "generation_config.json",
    "merges.txt",
    "sentencepiece.bpe.model",
    "special_tokens_map.json",
    "spiece.model",
    "tekken.json",
    "tokenizer.json",
    "tokenizer.model",
    "tokenizer_config.json",
    "vocab.json",
    "vocab.txt",
];
/// Beginnings of the names of terms of use.
const TERMS: [&str; 5] = ["license", "licence", "notice", "copying", "use_policy"];
/// Endings of files of weights.
const WEIGHTS: [&str; 19] = [
    "bin",
    "ckpt",
    "data",
    "engine",
    "gguf",
    "ggml",
    "h5",
    "mlmodel",
    "msgpack",
    "nemo",
    "npz",
    "onnx",
    "ot",
    "pdparams",
    "pt",
    "pte",
    "pth",
    "safetensors",
    "tflite",
];
/// Beginnings of names of what a training leaves.
const TRAINING: [&str; 6] =
    ["optimizer", "rng_state", "scaler", "scheduler", "trainer_state", "training_args"];
/// A folder of further chat templates.
const TEMPLATES: &str = "additional_chat_templates";

const OLD_WEIGHTS: &str = "weights of the model before";

/// Copies what holds for a model of any size from one folder to another; gives what was left out,
/// by name.
pub fn copy(from: &Path, to: &Path) -> io::Result<Vec<LeftOut>> {
    let mut left_out = vec![];
    for entry in fs::read_dir(from)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        match what_is(&name, path.is_dir()) {
            _ if path.file_name() == to.file_name() || is_written(&name) => {}
            None if name == TEMPLATES => copy_templates(&path, &to.join(name))?,
            None => copy_file(&path, &to.join(name))?,
            Some(why) => left_out.push(LeftOut { name, why }),
        }
    }
    left_out.sort_by(|a, b| (a.why, &a.name).cmp(&(b.why, &b.name)));
    Ok(left_out)
}

/// What a grown model has of its own, under this name.
fn is_written(name: &str) -> bool {
    let shard =
        name.starts_with("model-") && name.ends_with(".safetensors") && name.contains("-of-");
    shard || [CONFIG, SINGLE, INDEX].contains(&name)
}

/// Why a file is not taken along; none if it is.
fn what_is(name: &str, is_folder: bool) -> Option<&'static str> {
    let lower = name.to_ascii_lowercase();
    let begins = |with: &[&str]| with.iter().any(|with| lower.starts_with(with));
    let ending = lower.rsplit_once('.').map_or("", |(_, ending)| ending);
    match ending {
        _ if is_folder => (name != TEMPLATES).then_some("a folder"),
        _ if COPIED.contains(&name) || ending == "tiktoken" => None,
        _ if begins(&TRAINING) => Some("of the training before"),
        _ if WEIGHTS.contains(&ending) || lower.ends_with(".index.json") => Some(OLD_WEIGHTS),
        _ if begins(&TERMS) => None,
        "md" => Some("about the model before"),
        "py" => Some("code"),
        _ => Some("not supported"),
    }
}

fn copy_templates(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir(to)?;
    for entry in fs::read_dir(from)? {
        let path = entry?.path();
        if path.extension().is_some_and(|ending| ending == "jinja") {
            copy_file(&path, &to.join(path.file_name().unwrap_or_default()))?;
        }
    }
    Ok(())
}

fn copy_file(from: &Path, to: &Path) -> io::Result<()> {
    // A pipe would be waited for.
    if !fs::metadata(from).map_err(|error| named(from, error))?.is_file() {
        return Err(named(from, io::Error::other("it is no regular file")));
    }
    fs::copy(from, to).map(drop).map_err(|error| named(from, error))
}

fn named(path: &Path, error: io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("cannot copy {}: {error}", path.display()))
}

/// Files of weights beside those that are read, by name.
pub fn strays(folder: &Path, read: &[PathBuf]) -> Vec<String> {
    let is_stray = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        path.is_file()
            && !read.contains(path)
            && what_is(&name, false) == Some(OLD_WEIGHTS)
            && name != INDEX
    };
    let paths = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut names: Vec<String> = paths
        .filter(is_stray)
        .map(|path| path.file_name().unwrap_or_default().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}
