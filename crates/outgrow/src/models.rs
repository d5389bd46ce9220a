//! Models on the disk, outside any sweep: grown, converted, checked. A model is a checkpoint of
//! outgrow or a folder of Hugging Face's transformers.

mod check;
mod convert;
mod grow;
mod growths;
mod tokenizer;

use std::path::Path;

use outgrow_train::hub::{self, is_hub};

use crate::error::Error;

pub(crate) use self::tokenizer::Tokens;
pub use self::{
    check::{CheckEvent, CheckOptions, Checked, CheckedModel, check},
    convert::{ConvertOptions, Converted, convert},
    grow::{GrowOptions, Grown, grow, try_growth},
    growths::GrowthChoice,
};

/// Tells what a user should know of a folder of transformers; nothing of a checkpoint.
///
/// # Errors
/// If the folder can't be read.
pub fn tell_notes(folder: &Path) -> Result<(), Error> {
    if is_hub(folder) {
        hub::notes(folder)?.iter().for_each(|note| tracing::info!("{note}"));
    }
    Ok(())
}

fn refuse_existing(to: &Path) -> Result<(), Error> {
    match to.symlink_metadata() {
        Err(_) => Ok(()),
        Ok(_) => Err(Error::Input(format!(
            "{} exists already; name a folder that does not",
            to.display()
        ))),
    }
}
