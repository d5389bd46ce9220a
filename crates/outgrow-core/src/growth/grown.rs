//! A model after a growth.

use crate::{edit::Edit, model::Architecture};

/// A model after a growth: its sizes, and how its parameters get there.
#[derive(Clone, Debug)]
pub struct Grown {
    /// The enlarged architecture.
    pub architecture: Architecture,
    /// The edits, in order.
    pub edits: Vec<Edit>,
}
