//! Why a model can't be grown.

use outgrow_core::growth::GrowthError;

use crate::{checkpoint::CheckpointError, finite::NotFinite, hub::HubError, room::NoRoom};

/// Why a checkpoint or a folder of transformers can't be grown.
#[derive(Debug, thiserror::Error)]
pub enum GrowError {
    /// It can't be read or written.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// It is a model of transformers, and can't be read or written.
    #[error(transparent)]
    Hub(#[from] HubError),
    /// A weight is NaN or infinite.
    #[error(transparent)]
    NotFinite(#[from] NotFinite),
    /// It would be too large for this machine.
    #[error(transparent)]
    NoRoom(#[from] NoRoom),
    /// A transform or an operator can't be applied.
    #[error("growth {number} (from 0): {error}")]
    Growth {
        /// The number of the growth in the list, from 0.
        number: usize,
        /// The rule that it breaks.
        error: GrowthError,
    },
    /// The place is taken.
    #[error("{0} exists already; name a folder that does not")]
    Exists(String),
    /// A type to store was named for a checkpoint.
    #[error(
        "--dtype is for models of transformers; a checkpoint keeps the type that it is trained in"
    )]
    Dtype,
    /// The growths claim to preserve the function, and it moved.
    #[error(
        "the function was not preserved: logits changed by {error:.1e} (tolerance {tolerance:.0e}){hint}; nothing was written"
    )]
    NotPreserved {
        /// The largest change of a logit, relative to the larger of 1 and the largest logit.
        error: f64,
        /// The largest change that is allowed.
        tolerance: f64,
        /// What may help, after `; `; or nothing.
        hint: String,
    },
}
