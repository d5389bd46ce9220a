//! Growth plans: from which architecture, by which transforms, at which token counts. An invalid plan can't be built.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{
    architecture::{Architecture, ArchitectureError},
    cost,
    transform::{Transform, TransformError, grow_all},
};

/// An initial architecture and the stages at which it grows. Every value of this type can be trained as it stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "PlanText", into = "PlanText")]
pub struct GrowthPlan {
    initial: Architecture,
    stages: Vec<Stage>,
    /// The architecture after each stage.
    grown: Vec<Architecture>,
}

/// The transforms applied at one point of training.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stage {
    /// Cumulative training tokens at which they are applied.
    pub tokens: u64,
    /// The transforms, in order.
    pub transforms: Vec<Transform>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PlanText {
    initial: Architecture,
    stages: Vec<Stage>,
}

/// Why a plan is not one. Stages and transforms are numbered from 0.
#[derive(Debug, Error, PartialEq)]
pub enum PlanError {
    /// The initial architecture is invalid.
    #[error("the initial architecture is invalid: {0}")]
    Initial(#[from] ArchitectureError),
    /// Stages must come one after the other.
    #[error("stage {stage} is at {tokens} tokens, but must come after {after}")]
    Order {
        /// Which stage.
        stage: usize,
        /// Where it is.
        tokens: u64,
        /// The stage before it.
        after: u64,
    },
    /// A stage that does nothing.
    #[error("stage {0} has no transform")]
    Empty(usize),
    /// A transform that can't be applied there.
    #[error("transform {number} of stage {stage}: {error}")]
    Transform {
        /// Which stage.
        stage: usize,
        /// Which of its transforms.
        number: usize,
        /// Why not.
        error: TransformError,
    },
}

impl GrowthPlan {
    /// A plan, if it is one.
    ///
    /// # Errors
    /// If the initial architecture is invalid, the stages are not in order, or a transform can't be applied.
    pub fn new(initial: Architecture, stages: Vec<Stage>) -> Result<Self, PlanError> {
        initial.validate()?;
        let mut grown: Vec<Architecture> = vec![];
        let mut after = 0;
        for (number, stage) in stages.iter().enumerate() {
            if stage.tokens <= after {
                return Err(PlanError::Order { stage: number, tokens: stage.tokens, after });
            }
            if stage.transforms.is_empty() {
                return Err(PlanError::Empty(number));
            }
            let before = grown.last().unwrap_or(&initial);
            let next = grow_all(before, &stage.transforms).map_err(|(transform, error)| PlanError::Transform {
                stage: number,
                number: transform,
                error,
            })?;
            grown.push(next.architecture);
            after = stage.tokens;
        }
        Ok(Self { initial, stages, grown })
    }

    /// The architecture that training begins with.
    pub fn initial(&self) -> &Architecture {
        &self.initial
    }

    /// The architecture that training ends with.
    pub fn target(&self) -> &Architecture {
        self.grown.last().unwrap_or(&self.initial)
    }

    /// The stages in order.
    pub fn stages(&self) -> &[Stage] {
        &self.stages
    }

    /// The architecture after the first `stages` stages.
    pub fn architecture_after(&self, stages: usize) -> &Architecture {
        if stages == 0 { &self.initial } else { &self.grown[stages - 1] }
    }

    /// Training FLOPs of the first `tokens` tokens, in sequences of the model's `seq_len`.
    pub fn train_flops(&self, tokens: u64) -> u64 {
        let ends = self.stages.iter().map(|stage| stage.tokens).chain([u64::MAX]);
        let mut start = 0;
        let mut flops = 0;
        for (number, end) in ends.enumerate() {
            let architecture = self.architecture_after(number);
            let sequences = end.min(tokens).saturating_sub(start) / architecture.seq_len as u64;
            flops += sequences * cost::train_flops(architecture, architecture.seq_len);
            start = end;
        }
        flops
    }
}

impl TryFrom<PlanText> for GrowthPlan {
    type Error = PlanError;

    fn try_from(text: PlanText) -> Result<Self, PlanError> {
        GrowthPlan::new(text.initial, text.stages)
    }
}

impl From<GrowthPlan> for PlanText {
    fn from(plan: GrowthPlan) -> Self {
        PlanText { initial: plan.initial, stages: plan.stages }
    }
}
