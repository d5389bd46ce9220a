//! The pure heart of outgrow: what an architecture is, how the six transforms of Gesmundo & Maile
//! (arXiv 2308.06103) enlarge it without changing its function, which growth plans exist, what they
//! cost, and what a sweep file means.
//!
//! It knows no tensor library, no database, no thread, no clock and no file: everything here is a
//! value or a function of values, so it can be tested by properties in seconds. Whatever executes a
//! growth (on libtorch tensors, on optimizer moments, on the slow f64 reference below) executes the
//! same list of [`edit::Edit`]s.

pub mod architecture;
pub mod compose;
pub mod cost;
pub mod edit;
pub mod event;
pub mod form;
pub mod growth;
pub mod init;
pub mod operator;
pub mod param;
pub mod plan;
pub mod policy;
pub mod recorded;
pub mod reference;
pub mod rows;
pub mod strategy;
pub mod stream;
pub mod sweep;
pub mod transform;

pub use architecture::{Architecture, HeadShape, LayerShape};
pub use form::{Activation, Form, FrequencyScaling, Norm, Positions, Rotary};

pub use event::Event;
pub use growth::Growth;
pub use operator::Operator;
pub use param::{Axis, ParamId, ParamKind};
pub use plan::{GrowthPlan, Stage};

pub use sweep::{Sweep, Trial};
pub use transform::Transform;
