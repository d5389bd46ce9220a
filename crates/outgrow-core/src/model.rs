//! A model as plain values: its sizes, its form, its parameters and their named axes. It does not
//! know that models grow.

mod architecture;
mod axis;
mod form;
mod param;
mod rotary;
mod validate;

pub(crate) use self::validate::check_heads;
pub use self::{
    architecture::{
        Architecture, HeadGroup, HeadShape, LayerShape, MAX_COUNT, MAX_HEADS, MAX_PARAMETERS,
        MAX_SIZE,
    },
    axis::Axis,
    form::{Activation, Form, Norm, Positions},
    param::{
        ParamId, ParamKind, layer_parameters, n_frontier_parameters, n_non_embedding_parameters,
        n_parameters, parameters,
    },
    rotary::{FrequencyScaling, Rotary},
    validate::ArchitectureError,
};
