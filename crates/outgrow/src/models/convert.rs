//! A checkpoint as a folder of transformers, and back.

use std::path::{Path, PathBuf};

use outgrow_core::Architecture;
use outgrow_data::Tokenizer;
use outgrow_train::{
    Checkpoint, Device,
    hub::{self, Dtype, Family, HubModel, HubTokenizer, LeftOut, is_hub},
};

use super::{refuse_existing, tell_notes};
use crate::{devices::one_device, error::Error, workspace::Workspace};

/// How a checkpoint becomes a folder of transformers; nothing of it for the way back.
#[derive(Default)]
pub struct ConvertOptions {
    /// A folder of transformers whose configuration, tokenizer and other files are taken over.
    pub like: Option<PathBuf>,
    /// A `tokenizer.json`, or a folder with one, that goes with the model; that of `like`, of the
    /// trial's sweep, or bytes, if none is named.
    pub tokenizer: Option<PathBuf>,
    /// The type to store weights in; none is that in which they are computed.
    pub dtype: Option<Dtype>,
}

/// A converted model.
pub struct Converted {
    /// Its architecture.
    pub architecture: Architecture,
    /// The family of transformers that it is of now; none of a checkpoint.
    pub family: Option<Family>,
    /// The tokenizer that went with it, in words, or why none did; none of a checkpoint.
    pub tokenizer: Option<Result<String, String>>,
    /// Files of the folder that it is like that were not taken over.
    pub left_out: Vec<LeftOut>,
}

/// Writes the model in `from` to `to`: a checkpoint as a folder of transformers, such a folder as a
/// checkpoint. `tell` hears what is being done. The database of the workspace knows the tokenizers
/// of its trials.
///
/// # Errors
/// If `to` exists, no family of transformers has such a model, or something can't be read or
/// written; nothing is left behind then.
pub fn convert(
    workspace: &Workspace,
    from: &Path,
    to: &Path,
    options: &ConvertOptions,
    tell: &dyn Fn(String),
) -> Result<Converted, Error> {
    refuse_existing(to)?;
    one_device(Some(Device::Cpu))?;
    let ConvertOptions { like, tokenizer, dtype } = options;
    let from_hub = is_hub(from);
    if from_hub && (like.is_some() || tokenizer.is_some() || dtype.is_some()) {
        return Err(Error::Input(
            "--like, --tokenizer and --dtype are for a checkpoint that becomes a model of \
             transformers"
                .into(),
        ));
    }
    tell_notes(from)?;
    like.as_deref().map_or(Ok(()), tell_notes)?;
    tell(format!("reading {}", from.display()));
    let checkpoint = Checkpoint::read(from, Device::Cpu)?;
    let architecture = checkpoint.state.architecture().clone();
    tell(format!("writing {}", to.display()));
    if from_hub {
        Checkpoint { progress: None, ..checkpoint }.write(to)?;
        return Ok(Converted { architecture, family: None, tokenizer: None, left_out: vec![] });
    }
    let like = like.as_deref().map(HubModel::read).transpose()?;
    let trial = checkpoint.progress.as_ref().map(|progress| progress.trial.as_str());
    let found = workspace.hub_tokenizer(tokenizer.as_deref(), trial, &architecture)?;
    let dtype = dtype.unwrap_or(checkpoint.state.dtype());
    let own = found.as_ref().ok();
    let left_out = hub::export(&checkpoint.state, to, like.as_ref(), dtype, own)?.left_out;
    let tokenizer = Some(written(to, found));
    let family = like.map_or_else(|| Family::of(&architecture), |like| Ok(like.family))?;
    Ok(Converted { architecture, family: Some(family), tokenizer, left_out })
}

/// What lies in the folder now, in words.
fn written(to: &Path, found: Result<HubTokenizer, String>) -> Result<String, String> {
    let path = to.join("tokenizer.json");
    if !path.exists() {
        return found.map(|_| String::new());
    }
    let Ok(tokenizer) = Tokenizer::read(&path) else {
        return Ok("that of the folder that it is like".into());
    };
    if found.is_ok_and(|found| found.json != tokenizer.identity()) {
        tracing::warn!(
            "the tokenizer of the folder that --like names is not the one that this model was \
             trained with, and is written all the same"
        );
    }
    let end = match tokenizer.end_of_text() {
        Some(end) => format!("{end} ends a text"),
        None => "no token ends a text".into(),
    };
    Ok(format!("{} tokens, {end}", tokenizer.vocab_size()))
}
