//! A checkpoint as a folder of transformers, and back.

use std::path::{Path, PathBuf};

use outgrow_core::Architecture;
use outgrow_train::{
    Checkpoint, Device,
    hub::{self, Dtype, Family, HubModel, LeftOut, is_hub},
};

use super::{refuse_existing, tell_notes};
use crate::{devices::one_device, error::Error};

/// How a checkpoint becomes a folder of transformers; nothing of it for the way back.
#[derive(Default)]
pub struct ConvertOptions {
    /// A folder of transformers whose configuration, tokenizer and other files are taken over.
    pub like: Option<PathBuf>,
    /// The type to store weights in; none is that in which they are computed.
    pub dtype: Option<Dtype>,
}

/// A converted model.
pub struct Converted {
    /// Its architecture.
    pub architecture: Architecture,
    /// The family of transformers that it is of now; none of a checkpoint.
    pub family: Option<Family>,
    /// Files of the folder that it is like that were not taken over.
    pub left_out: Vec<LeftOut>,
}

/// Writes the model in `from` to `to`: a checkpoint as a folder of transformers, such a folder as a
/// checkpoint. `tell` hears what is being done.
///
/// # Errors
/// If `to` exists, no family of transformers has such a model, or something can't be read or
/// written; nothing is left behind then.
pub fn convert(
    from: &Path,
    to: &Path,
    options: &ConvertOptions,
    tell: &dyn Fn(String),
) -> Result<Converted, Error> {
    refuse_existing(to)?;
    one_device(Some(Device::Cpu))?;
    let ConvertOptions { like, dtype } = options;
    let from_hub = is_hub(from);
    if from_hub && (like.is_some() || dtype.is_some()) {
        return Err(Error::Input(
            "--like and --dtype are for a checkpoint that becomes a model of transformers".into(),
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
        return Ok(Converted { architecture, family: None, left_out: vec![] });
    }
    let like = like.as_deref().map(HubModel::read).transpose()?;
    let dtype = dtype.unwrap_or(checkpoint.state.dtype());
    let left_out = hub::export(&checkpoint.state, to, like.as_ref(), dtype)?.left_out;
    let family = like.map_or_else(|| Family::of(&architecture), |like| Ok(like.family))?;
    Ok(Converted { architecture, family: Some(family), left_out })
}
