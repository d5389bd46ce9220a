//! Edits as data.

use std::ops::Range;

use crate::model::{Axis, ParamId, ParamKind};

/// One change to the parameters of a model. Edits hold in sequence: positions count what earlier
/// edits have inserted.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub enum Edit {
    /// Insert `len` new entries at position `at` of an axis.
    Pad {
        /// The parameter.
        param: ParamId,
        /// The axis that grows.
        axis: Axis,
        /// Where the first new entry will stand.
        at: usize,
        /// How many new entries.
        len: usize,
        /// What they must be.
        fill: Fill,
        /// The existing entries of the axis that are of the new ones' kind: what an initializer may
        /// copy.
        like: Range<usize>,
    },
    /// Multiply the entries `range` of an axis.
    Scale {
        /// The parameter.
        param: ParamId,
        /// The axis.
        axis: Axis,
        /// Which entries of it.
        range: Range<usize>,
        by: f64,
    },
    /// Multiply the entries `range` of an axis in the mask alone: by this factor where it is
    /// closed, by one where it is open.
    MaskedScale {
        /// The parameter.
        param: ParamId,
        /// The axis.
        axis: Axis,
        /// Which entries of it.
        range: Range<usize>,
        /// The factor where the mask is closed.
        by: f64,
    },
    /// Insert a layer; the layers from `index` on move up by one.
    InsertLayer {
        /// Where the new layer will stand.
        index: usize,
        /// Its parameters: kind, shape, and what they must be.
        params: Vec<(ParamKind, Vec<usize>, Fill)>,
        /// The layer (by its number before the insertion) that an initializer may copy.
        like: usize,
    },
    /// Make an axis anew out of its own entries.
    Gather {
        /// The parameter.
        param: ParamId,
        /// The axis.
        axis: Axis,
        /// The axis, entry by entry.
        units: Vec<Unit>,
        /// The parameter of equal shape that the new units are taken from; their own if none.
        new_from: Option<ParamId>,
    },
    /// Make the list of layers anew out of the layers that are there.
    Layers(Vec<LayerCopy>),
    /// Give layers that use another's weights those weights as their own.
    Untie {
        /// Whose weights they use.
        owner: usize,
        /// Which.
        layers: Vec<usize>,
        /// How many layers used the weights until then, the owner among them. Each had its part of
        /// the gradient: equal ones, as far as is known.
        passes: usize,
    },
    /// Make every parameter anew, in these shapes: an operator learns what they are.
    Remake(Vec<(ParamId, Vec<usize>)>),
    /// Set a block of a parameter to zero, whole axes where none is named; its entries count as
    /// new.
    Clear {
        /// The parameter.
        param: ParamId,
        /// Ranges of some of its axes.
        block: Vec<(Axis, Range<usize>)>,
    },
    /// Add noise to some entries of an axis.
    Noise {
        /// The parameter.
        param: ParamId,
        /// The axis.
        axis: Axis,
        /// Its standard deviation over the root mean square of what it is added to.
        relative: f64,
        /// Where it is added.
        to: Range<usize>,
        /// Where the same noise is subtracted, as many entries: what reads copies of one channel
        /// there does not notice.
        from: Option<Range<usize>>,
    },
}

/// An entry of an axis that was made by [`Edit::Gather`]: the entry `from` times a factor.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Unit {
    /// Which entry of the axis before.
    pub from: usize,
    /// Factor on the weights.
    pub weight: f64,
    /// Factor on the gradient that this entry will get, relative to the gradient that its source
    /// got.
    pub gradient: f64,
    /// Whether it is a copy beside the surviving original.
    pub is_new: bool,
}

/// A layer that was made by [`Edit::Layers`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LayerCopy {
    /// Which layer before.
    pub from: usize,
    /// Whether it is a copy beside the surviving original.
    pub is_new: bool,
}

/// What new entries must be for the function to be preserved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fill {
    /// The proof demands zero.
    Zero,
    /// The proof demands the mean of the entries that are there.
    Mean,
    /// Any finite value will do.
    Free,
    /// Any finite value will do as long as a mask stands before it, zero at first, one in the end.
    Masked,
}
