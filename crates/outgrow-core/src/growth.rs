//! How a model grows: the six transforms, the field's operators, and sequences of both, each as a
//! list of [`crate::edit::Edit`]s.

mod builder;
pub mod compose;
mod error;
mod grown;
pub mod operator;
mod reach;
mod sequence;
mod table;
mod target;
pub mod transform;

pub use self::{
    error::TransformError,
    grown::Grown,
    operator::{Operator, OperatorError},
    reach::reach,
    sequence::{Application, Growth, GrowthError, all_preserve, axes, grow_all},
    table::{Row, TABLE, TransformKind},
    target::{Sizes, TargetShape},
    transform::Transform,
};
