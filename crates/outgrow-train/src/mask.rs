//! The mask that opens after a growth ([`outgrow_core::growth::operator::Msg`]).

use std::collections::BTreeMap;

use outgrow_core::{
    Architecture, ParamId, Trial,
    edit::{Role, apply},
    growth::Grown,
    model::parameters,
};
use tch::Tensor;

use crate::{state::TrainingState, tensor::Growable};

/// A growth whose mask is not open yet.
pub struct Mask {
    before: Architecture,
    grown: Grown,
    /// Tokens at the growth, and when the mask is open.
    from: u64,
    until: u64,
}

impl Mask {
    /// The mask of a stage of the trial's plan that led from `before` to `grown`; none if it has
    /// none.
    pub fn of(trial: &Trial, stage: usize, before: &Architecture, grown: Grown) -> Option<Self> {
        let stage = &trial.plan.stages()[stage];
        let (from, until) = (stage.tokens, stage.open_at());
        (until > from).then(|| Self { before: before.clone(), grown, from, until })
    }

    /// Whether it is open at `tokens`.
    pub fn is_open(&self, tokens: u64) -> bool {
        tokens >= self.until
    }

    /// The mask of one replicate as it stands at `tokens`, for a state of such; none if it is open.
    pub fn at(&self, tokens: u64, state: &TrainingState) -> Option<Tensor> {
        (!self.is_open(tokens)).then(|| {
            self.open((tokens - self.from) as f64 / (self.until - self.from) as f64, state)
        })
    }

    fn open(&self, open: f64, state: &TrainingState) -> Tensor {
        let options = (state.master(), state.weights.device());
        let one = |id: ParamId| {
            let shape: Vec<i64> = id.shape(&self.before).iter().map(|&n| n as i64).collect();
            (id, Growable(Tensor::ones(&shape, options)))
        };
        let mut mask: BTreeMap<ParamId, Growable> =
            parameters(&self.before).into_iter().map(one).collect();
        apply(&mut mask, &self.grown.edits, Role::Mask { open });
        state.layout().join(&mask.into_iter().map(|(id, values)| (id, values.0)).collect())
    }
}
