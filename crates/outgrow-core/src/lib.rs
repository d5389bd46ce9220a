//! The pure heart of outgrow: what an architecture is, how the six transforms of
//! Gesmundo & Maile (arXiv 2308.06103) enlarge it without changing its function, which growth plans
//! exist, what they cost, and what a sweep file means.
//!
//! It depends on no tensor library, database, thread, clock or file: everything here is a value or
//! a function of values, so it can be tested by properties in seconds. Whatever executes a growth
//! (on libtorch tensors, on optimizer moments, on the slow f64 reference below) executes the same
//! list of [`edit::Edit`]s.
//!
//! ```
//! use outgrow_core::{
//!     Architecture, Form, LayerShape, Norm,
//!     edit::{Initializer, Role, apply, fresh},
//!     growth::{Sizes, grow_all, reach},
//!     reference::{Array, logits},
//! };
//!
//! let form = Form::decoder(Norm::RmsNorm, 1e-5);
//! // 50 tokens, 8 positions, d_model 12, one layer of 2 heads with d_k = d_v = 4 and d_ff = 16.
//! let small = Architecture::uniform(50, 8, 12, 1, LayerShape::uniform(2, 4, 4, 16), form);
//! // Seed 1; the empty array says of which type the weights are.
//! let mut weights = fresh(&small, 1, &Array::empty());
//! let before = logits(&small, &weights, &[3, 1, 4]);
//!
//! let sizes = Sizes { d_model: Some(18), n_layers: Some(2), ..Sizes::default() };
//! // The transforms that lead to these sizes; the 0 tells this growth's draws from others'.
//! let grown = grow_all(&small, &reach(&small, &sizes)?, 0).map_err(|(_, error)| error)?;
//! let initializer = Initializer::Normal { scale: 1.0 };
//! let role = Role::Weights { initializer: &initializer, seed: 1, event: 0 };
//! apply(&mut weights, &grown.edits, role);
//!
//! let after = logits(&grown.architecture, &weights, &[3, 1, 4]);
//! let change = before.values.iter().zip(&after.values).map(|(a, b)| (a - b).abs());
//! assert!(change.fold(0.0, f64::max) < 1e-12);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Modules from the bottom to the top: [`model`], [`edit`], [`growth`], [`plan`], [`sweep`].

pub mod edit;
pub mod event;
pub mod flops;
pub mod growth;
pub mod ids;
mod keep;
pub mod model;
pub mod plan;
pub mod reference;
pub mod rows;
pub mod stream;
pub mod sweep;

pub use event::Event;
pub use growth::{Growth, Operator, Transform};
pub use ids::{Epoch, TrialState};
pub use keep::{KeepFinal, NotKept};
pub use model::{
    Activation, Architecture, Axis, Form, FrequencyScaling, HeadShape, LayerShape, Norm, ParamId,
    ParamKind, Positions, Rotary,
};
pub use plan::{GrowthPlan, Stage};
pub use sweep::{Sweep, Trial};
