//! The axes of parameters.

/// What one dimension of a parameter runs over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Axis {
    /// Tokens of the vocabulary.
    Vocab,
    /// Positions of the input.
    Position,
    /// Channels of the residual stream (h).
    Model,
    /// Query channels of all heads of a layer, head after head, query after query (Σ queries · k).
    Query,
    /// Key channels of all heads of a layer, head after head (Σ k).
    Key,
    /// Key channels of one head, the same for all heads of a layer (k).
    HeadKey,
    /// Value channels of all heads of a layer, head after head (Σ v).
    Value,
    /// What the queries read out of the values, head after head, query after query (Σ queries · v).
    Mixed,
    /// Units of the MLP (p).
    Ff,
    /// Outputs of the model (o).
    Output,
}
