//! What a growth does to parameters, as data, and the one executor of it.
//!
//! A transform or an operator never touches a tensor: it returns a list of [`Edit`]s. [`apply`]
//! executes the list on anything that is [`Values`]: libtorch tensors, the f64 arrays of the
//! reference model, and the optimizer's moments beside the weights, each under its own [`Role`].

mod apply;
mod init;
mod list;
mod values;

pub use self::{
    apply::{Role, apply},
    init::{DeadInitializer, Initializer, fresh},
    list::{Edit, Fill, LayerCopy, Unit},
    values::Values,
};
