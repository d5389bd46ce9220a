//! Checkpoints: a folder of safetensors and JSON, stated exactly in `docs/checkpoint.md`.
//!
//! A checkpoint is written aside, synced, and renamed into place; its JSON carries the digests of
//! the other files. Reading trusts nothing: sizes are bounded and shapes compared before anything
//! is allocated.

mod digest;
mod error;
mod head;
mod progress;
mod read;
mod strip;
mod tensors;
mod trial_folder;
mod write;

pub(crate) use self::{
    digest::digest_of,
    head::{HEAD, MODEL},
    trial_folder::step_folder,
};
pub use self::{
    error::CheckpointError,
    progress::{Paths, Progress, Window},
    read::{Checkpoint, Verified},
    strip::{has_optimizer, strip},
    trial_folder::remove_others,
};
