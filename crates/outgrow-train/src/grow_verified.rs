//! Growing a checkpoint or a folder of transformers outside any trial: grown, probed before and
//! after, compared, and written only if the function is what the growths claim.

mod candidate;
mod checkpoint;
mod compositions;
mod error;
mod flow;
mod folder;
mod probe;
mod request;

pub(crate) use self::probe::{PROBE_LEN, compare};
pub use self::{
    checkpoint::GrownCheckpoint,
    compositions::{
        CheckKind, CompositionCheck, Compositions, check_checkpoint, check_compositions,
    },
    error::GrowError,
    flow::{GrownModel, grow_verified},
    request::GrowRequest,
};
