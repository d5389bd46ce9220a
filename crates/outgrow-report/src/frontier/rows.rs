//! What the frontier is estimated from.

use serde::Serialize;

/// Parameters of one size, counted in three ways.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[allow(missing_docs)]
pub struct Counts {
    pub non_embedding: f64,
    /// Non-embedding plus unembedding.
    pub with_unembedding: f64,
    pub all: f64,
}

/// Which of the counts N is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum Count {
    NonEmbedding,
    #[default]
    WithUnembedding,
    All,
}

impl Count {
    /// That count.
    pub fn of(self, counts: &Counts) -> f64 {
        match self {
            Self::NonEmbedding => counts.non_embedding,
            Self::WithUnembedding => counts.with_unembedding,
            Self::All => counts.all,
        }
    }
}

/// The end of the schedule of a model that never grew, at its chosen learning rate.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub struct BornEnd {
    /// Equal numbers are one size.
    pub size: usize,
    pub counts: Counts,
    /// Equal numbers are one budget.
    pub budget: usize,
    /// Training FLOPs.
    pub flops: f64,
    pub tokens: f64,
    /// The replicate: equal numbers share initial draws and the order of text.
    pub seed: usize,
    /// Nats.
    pub loss: f64,
    /// Whether text was repeated: such ends are in no parabola and in no law.
    pub repeated: bool,
}

impl BornEnd {
    /// Whether the text was fresh and every number can be used.
    pub(super) fn counts_as(&self, count: Count) -> bool {
        let positive = [count.of(&self.counts), self.flops, self.tokens];
        let is_usable = positive.iter().all(|value| value.is_finite() && *value > 0.0);
        !self.repeated && is_usable && self.loss.is_finite() && self.loss > 0.0
    }
}

/// The end of the schedule of a model that grew, at its chosen learning rate.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub struct GrownEnd {
    pub arm: String,
    pub budget: usize,
    /// Training FLOPs.
    pub flops: f64,
    pub seed: usize,
    /// Nats.
    pub loss: f64,
}

impl GrownEnd {
    pub(crate) fn is_usable(&self) -> bool {
        self.loss.is_finite() && self.flops.is_finite() && self.flops > 0.0
    }
}
