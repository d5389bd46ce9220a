//! One training step: data, forward pass, backward pass, optimizer.

mod backend;
mod batch;
mod settings;
mod stepper;

pub(crate) use self::batch::batch_of;
pub use self::{
    backend::Phase,
    settings::{backward, kinds},
    stepper::{Stepped, Stepper},
};
