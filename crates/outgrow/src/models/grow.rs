//! One model, grown.

use std::path::Path;

use outgrow_core::{
    Growth,
    edit::{Edit, Fill, Initializer},
    growth::grow_all,
};
use outgrow_train::{
    Checkpoint, Device, GrowRequest, GrownCheckpoint, GrownModel, grow_verified,
    hub::{Dtype, is_hub},
};

use super::{growths::GrowthChoice, refuse_existing};
use crate::{devices::one_device, error::Error};

/// How a model is grown.
pub struct GrowOptions {
    /// By what.
    pub growths: GrowthChoice,
    /// How free entries are made; as in a fresh model, if it is not said.
    pub initializer: Option<Initializer>,
    /// Seed of the draws for new entries.
    pub seed: u64,
    /// Where a checkpoint is computed; none is the first device there is. A folder of transformers
    /// is computed on the processor.
    pub device: Option<Device>,
    /// The type that a folder of transformers is stored in; none is that of its weights.
    pub dtype: Option<Dtype>,
}

impl GrowOptions {
    fn checked_initializer(&self) -> Result<Initializer, Error> {
        let initializer = self.initializer.clone().unwrap_or(Initializer::Normal { scale: 1.0 });
        initializer.validate().map_err(Error::input("--scale"))?;
        Ok(initializer)
    }

    /// The growths of the model in `from`; says so if they leave nothing to the initializer that
    /// was asked for.
    fn growths(&self, from: &Path) -> Result<Vec<Growth>, Error> {
        let growths = self.growths.read(from)?;
        if self.initializer.is_some() && !leave_entries_free(from, &growths)? {
            tracing::warn!(
                "--init and --scale have no effect: this growth says itself what each new weight is"
            );
        }
        Ok(growths)
    }
}

/// A grown model.
pub struct Grown {
    /// What it was grown by.
    pub growths: Vec<Growth>,
    /// What was written.
    pub model: GrownModel,
}

/// Whether any new entry is left to an initializer. What can't be grown is refused later.
fn leave_entries_free(from: &Path, growths: &[Growth]) -> Result<bool, Error> {
    let Ok(grown) = grow_all(&Checkpoint::read_architecture(from)?, growths, 0) else {
        return Ok(true);
    };
    let is_free = |fill: &Fill| matches!(fill, Fill::Free | Fill::Masked);
    Ok(grown.edits.iter().any(|edit| match edit {
        Edit::Pad { fill, .. } => is_free(fill),
        Edit::InsertLayer { params, .. } => params.iter().any(|(_, _, fill)| is_free(fill)),
        _ => false,
    }))
}

/// Grows the model in `from` and writes it to `to` as a folder of the same kind, unless the growths
/// claim to preserve the function and do not. `tell` hears what is being done.
///
/// # Errors
/// [`Error::Outcome`] if the function was not preserved; otherwise if something can't be read,
/// grown or written. Nothing is left behind then.
pub fn grow(
    from: &Path,
    to: &Path,
    options: &GrowOptions,
    tell: &dyn Fn(String),
) -> Result<Grown, Error> {
    refuse_existing(to)?;
    let wanted = if is_hub(from) { Some(Device::Cpu) } else { options.device };
    let device = one_device(wanted)?;
    let initializer = options.checked_initializer()?;
    let growths = options.growths(from)?;
    let (seed, dtype) = (options.seed, options.dtype);
    let initializer = &initializer;
    let request = GrowRequest { growths: &growths, initializer, seed, device, dtype };
    let model = grow_verified(from, to, &request, tell)?;
    model.notes.iter().for_each(|note| tracing::info!("{note}"));
    Ok(Grown { growths, model })
}

/// Grows the model in `from` in memory; nothing is written, and whether the function was preserved
/// is only said.
///
/// # Errors
/// If something can't be read or grown.
pub fn try_growth(
    from: &Path,
    options: &GrowOptions,
) -> Result<(Vec<Growth>, GrownCheckpoint), Error> {
    let device = one_device(options.device)?;
    let initializer = options.checked_initializer()?;
    let growths = options.growths(from)?;
    let (initializer, seed) = (&initializer, options.seed);
    let request = GrowRequest { growths: &growths, initializer, seed, device, dtype: None };
    let grown = GrownCheckpoint::read(from, &request)?;
    Ok((growths, grown))
}
