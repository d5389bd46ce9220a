//! The pure heart of outgrow: what an architecture is, how the six transforms of
//! Gesmundo & Maile (arXiv 2308.06103) enlarge it without changing its function, which growth plans
//! exist, what they cost, and what a sweep file means.
//!
//! It depends on no tensor library, database, thread, clock or file: everything here is a value or a
//! function of values, so it can be tested by properties in seconds. Whatever executes a growth (on
//! libtorch tensors, on optimizer moments, on the slow f64 reference below) executes the same list of
//! [`edit::Edit`]s.
//!
//! Modules from the bottom to the top: [`model`], [`edit`], [`growth`], [`plan`], [`sweep`].

pub mod edit;
pub mod event;
pub mod flops;
pub mod growth;
pub mod model;
pub mod plan;
pub mod reference;
pub mod rows;
pub mod stream;
pub mod sweep;

pub use event::Event;
pub use growth::{Growth, Operator, Transform};
pub use model::{
    Activation, Architecture, Axis, Form, FrequencyScaling, HeadShape, LayerShape, Norm, ParamId,
    ParamKind, Positions, Rotary,
};
pub use plan::{GrowthPlan, Stage};
pub use sweep::{Sweep, Trial};
