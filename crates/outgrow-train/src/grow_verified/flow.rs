//! The flow: grow, probe, compare, and only then write.

use std::path::Path;

use outgrow_core::{Architecture, event::Preservation};

use super::{
    candidate::Candidate,
    checkpoint,
    error::GrowError,
    folder,
    request::{GrowRequest, check_promise},
};
use crate::{
    dtype::Dtype,
    hub::{LeftOut, is_hub},
};

/// A model that was grown, compared and written.
#[derive(Debug)]
pub struct GrownModel {
    /// The architecture that was read.
    pub before: Architecture,
    /// After, as what was written says it.
    pub after: Architecture,
    /// The type that the weights are stored in.
    pub dtype: Dtype,
    /// Whether all growths claim to preserve the function.
    pub preserving: bool,
    /// Logits of a probe of random tokens before and after; of a folder of transformers those of
    /// what was written and read again.
    pub preservation: Preservation,
    /// Files of a folder of transformers that were not taken along.
    pub left_out: Vec<LeftOut>,
    /// What a user should know of the model that was grown.
    pub notes: Vec<String>,
}

/// Grows the model in `from`, a checkpoint or a folder of transformers, and writes it to `to` as a
/// folder of the same kind, unless the growths claim to preserve the function and it moved. `tell`
/// hears what is being done.
///
/// # Errors
/// If `to` exists, something can't be read, applied, said in the format or written, or if the
/// function moved. Nothing is left behind then.
pub fn grow_verified(
    from: &Path,
    to: &Path,
    request: &GrowRequest,
    tell: &dyn Fn(String),
) -> Result<GrownModel, GrowError> {
    if to.symlink_metadata().is_ok() {
        return Err(GrowError::Exists(to.display().to_string()));
    }
    tell(format!("reading {}", from.display()));
    let candidate = match is_hub(from) {
        true => folder::grow(from, to, request, tell)?,
        false => checkpoint::grow(from, request)?,
    };
    let Candidate { before, after, dtype, preservation, hint, notes, unpublished } = candidate;
    let preserving = request.preserves(&before);
    check_promise(preserving, &preservation, hint)?;
    let left_out = unpublished.publish(to, tell)?;
    Ok(GrownModel { before, after, dtype, preserving, preservation, left_out, notes })
}
