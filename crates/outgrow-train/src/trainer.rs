//! The training loop: from a trial, or from its last checkpoint, to its end.

mod growing;
mod job;
mod measured;
mod member;
mod saving;
mod session;
mod start;
mod train;
mod validation;
mod window;

pub use self::{
    job::{Job, Options, Prefix, Saved, TrainError},
    train::{train, train_together},
};
