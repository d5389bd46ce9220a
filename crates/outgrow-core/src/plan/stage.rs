//! Growth plans: from which architecture, by which transforms, at which token counts. An invalid
//! plan can't be built.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{
    edit::Edit,
    flops::{self, causal_train_flops, train_flops},
    growth::{Growth, GrowthError, grow_all},
    model::{
        Architecture, ArchitectureError, ParamId, n_frontier_parameters,
        n_non_embedding_parameters, n_parameters,
    },
};

/// An initial architecture and the stages at which it grows. Every value of this type can be
/// trained as it stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "PlanText", into = "PlanText")]
pub struct GrowthPlan {
    initial: Architecture,
    stages: Vec<Stage>,
    /// The architecture after each stage.
    grown: Vec<Architecture>,
}

/// What is applied at one point of training.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stage {
    /// Cumulative training tokens at which it is applied.
    pub tokens: u64,
    /// Transforms and operators, in order.
    #[serde(rename = "transforms")]
    pub growths: Vec<Growth>,
    /// What else was tried there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub look: Option<Look>,
}

/// What else a state grew by where it grew, each for a while, before it was known which growth looks
/// best: charged where it grows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Look {
    /// For how many tokens; the growth that was chosen was trained as long.
    pub tokens: u64,
    /// Transforms in order, of each growth that was not chosen.
    pub others: Vec<Vec<Growth>>,
}

/// A stretch of training at one size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Phase {
    /// Cumulative tokens at its beginning.
    pub tokens: u64,
    /// Parameters without embeddings, positions and unembedding.
    pub non_embedding: u64,
    /// The same with the unembedding, tied or not.
    pub with_unembedding: u64,
    /// All trainable parameters.
    pub parameters: u64,
    /// Training FLOPs of a sequence.
    pub sequence_flops: u128,
    /// The same with causal attention counted as causal.
    pub causal_flops: u128,
}

/// Each phase with the tokens that are trained in it, of so many in all.
fn spent(phases: &[Phase], tokens: u64) -> impl Iterator<Item = (&Phase, f64)> {
    let ends = phases.iter().skip(1).map(|phase| phase.tokens).chain([tokens]);
    phases
        .iter()
        .zip(ends)
        .map(move |(phase, end)| (phase, end.min(tokens).saturating_sub(phase.tokens) as f64))
}

/// The share of the training FLOPs of so many tokens that is left if causal attention is counted as
/// causal. What operators spend on themselves is not counted.
pub fn causal_share(phases: &[Phase], tokens: u64) -> f64 {
    let sum = |of: fn(&Phase) -> u128| -> f64 {
        spent(phases, tokens).map(|(phase, own)| own * of(phase) as f64).sum()
    };
    sum(|phase| phase.causal_flops) / sum(|phase| phase.sequence_flops)
}

/// Mean parameters (without embeddings, with the unembedding) over the training FLOPs of so many
/// tokens.
pub fn mean_size(phases: &[Phase], tokens: u64) -> f64 {
    let flops = |(phase, own): (&Phase, f64)| {
        (phase.with_unembedding as f64, own * phase.sequence_flops as f64)
    };
    let all: Vec<(f64, f64)> = spent(phases, tokens).map(flops).collect();
    let sum: f64 = all.iter().map(|(_, flops)| flops).sum();
    all.iter().map(|(n, flops)| n * flops).sum::<f64>() / sum
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PlanText {
    initial: Architecture,
    stages: Vec<Stage>,
}

/// Why a plan is not one. Stages and transforms are numbered from 0.
#[derive(Debug, Error, PartialEq)]
#[allow(missing_docs)]
pub enum PlanError {
    /// The initial architecture is invalid.
    #[error("the initial architecture is invalid: {0}")]
    Initial(#[from] ArchitectureError),
    /// Stages must come one after the other.
    #[error("stage {stage} is at {tokens} tokens, but must come after {after}")]
    Order {
        stage: usize,
        tokens: u64,
        /// The stage before it.
        after: u64,
    },
    /// A mask that is not open yet when the next stage, or the end of the trial, comes.
    #[error("the mask of stage {stage} opens until {until} tokens, but {what} comes at {at}")]
    Ramp {
        stage: usize,
        /// When it is open.
        until: u64,
        /// What comes too early.
        what: &'static str,
        at: u64,
    },
    /// A look that goes on when the next stage, or the end of the trial, comes.
    #[error("the look of stage {stage} lasts until {until} tokens, but {what} comes at {at}")]
    Look {
        stage: usize,
        /// When it is over.
        until: u64,
        /// What comes too early.
        what: &'static str,
        at: u64,
    },
    /// An operator that learns beside others.
    #[error("`{operator}` is fitted, so it must stand alone in stage {stage}")]
    NotAlone { operator: &'static str, stage: usize },
    /// A stage that does nothing.
    #[error("stage {0} has no transform and no operator")]
    Empty(usize),
    /// A transform or operator that can't be applied there.
    #[error("growth {number} of stage {stage}: {error}")]
    Growth {
        stage: usize,
        /// Which of its growths.
        number: usize,
        error: GrowthError,
    },
}

impl Stage {
    /// A stage at which nothing else was tried.
    pub fn new(tokens: u64, growths: Vec<Growth>) -> Self {
        Self { tokens, growths, look: None }
    }

    /// Tokens at which it is known that it was the best of what was tried.
    pub fn looked_at(&self) -> u64 {
        self.tokens.saturating_add(self.look.as_ref().map_or(0, |look| look.tokens))
    }

    /// Tokens at which the masks of its growths are open.
    pub fn open_at(&self) -> u64 {
        self.tokens.saturating_add(self.growths.iter().map(Growth::ramp_tokens).max().unwrap_or(0))
    }
}

impl GrowthPlan {
    /// A plan, if it is one.
    ///
    /// # Errors
    /// If the initial architecture is invalid, the stages are not in order, or a transform can't be
    /// applied.
    pub fn new(initial: Architecture, stages: Vec<Stage>) -> Result<Self, PlanError> {
        initial.validate()?;
        let mut grown: Vec<Architecture> = vec![];
        let (mut after, mut open, mut looked) = (0, 0, 0);
        for (number, stage) in stages.iter().enumerate() {
            if stage.tokens <= after {
                return Err(PlanError::Order { stage: number, tokens: stage.tokens, after });
            }
            if stage.growths.is_empty() {
                return Err(PlanError::Empty(number));
            }
            if stage.tokens < open {
                let stage = number - 1;
                return Err(PlanError::Ramp {
                    stage,
                    until: open,
                    what: "the next stage",
                    at: stages[number].tokens,
                });
            }
            if stage.tokens < looked {
                let (at, stage) = (stage.tokens, number - 1);
                return Err(PlanError::Look { stage, until: looked, what: "the next stage", at });
            }
            if let (Some(operator), 2..) =
                (stage.growths.iter().find_map(Growth::fitted), stage.growths.len())
            {
                return Err(PlanError::NotAlone { operator: operator.name(), stage: number });
            }
            (open, looked) = (stage.open_at(), stage.looked_at());
            let before = grown.last().unwrap_or(&initial);
            for growths in stage.look.iter().flat_map(|look| &look.others) {
                grow_all(before, growths, 0).map_err(|(growth, error)| PlanError::Growth {
                    stage: number,
                    number: growth,
                    error,
                })?;
            }
            let next = grow_all(before, &stage.growths, 0).map_err(|(growth, error)| {
                PlanError::Growth { stage: number, number: growth, error }
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

    /// Refuses a trial of `tokens` tokens that would end behind a mask, or while it looks.
    ///
    /// # Errors
    /// If the last stage's mask is not open by then, or its look not over.
    pub fn check_end(&self, tokens: u64) -> Result<(), PlanError> {
        let (stage, what) = (self.stages.len().saturating_sub(1), "the end of the trial");
        match self.stages.last() {
            Some(last) if last.open_at() > tokens => {
                Err(PlanError::Ramp { stage, until: last.open_at(), what, at: tokens })
            }
            Some(last) if last.looked_at() > tokens => {
                Err(PlanError::Look { stage, until: last.looked_at(), what, at: tokens })
            }
            _ => Ok(()),
        }
    }

    /// The plan until its first `stages` stages.
    pub fn until(&self, stages: usize) -> Self {
        Self {
            initial: self.initial.clone(),
            stages: self.stages[..stages].to_vec(),
            grown: self.grown[..stages].to_vec(),
        }
    }

    /// The stages in order.
    pub fn stages(&self) -> &[Stage] {
        &self.stages
    }

    /// The architecture after the first `stages` stages.
    pub fn architecture_after(&self, stages: usize) -> &Architecture {
        if stages == 0 { &self.initial } else { &self.grown[stages - 1] }
    }

    /// The sizes that the model has on its way.
    pub fn phases(&self) -> Vec<Phase> {
        let starts = [0].into_iter().chain(self.stages.iter().map(|stage| stage.tokens));
        let phase = |(number, tokens)| {
            let own = self.architecture_after(number);
            Phase {
                tokens,
                non_embedding: n_non_embedding_parameters(own),
                with_unembedding: n_frontier_parameters(own),
                parameters: n_parameters(own),
                sequence_flops: train_flops(own, own.seq_len),
                causal_flops: causal_train_flops(own, own.seq_len),
            }
        };
        starts.enumerate().map(phase).collect()
    }

    /// Which layers of the model after a stage are new in it, from the input upwards. An operator
    /// that learns the whole model anew makes layers at the top.
    pub fn new_layers(&self, stage: usize) -> Vec<bool> {
        let (before, after) = (self.architecture_after(stage), self.architecture_after(stage + 1));
        let grown = grow_all(before, &self.stages[stage].growths, 0).expect("it was grown before");
        let mut is_new = vec![false; before.layers.len()];
        for edit in &grown.edits {
            match edit {
                Edit::InsertLayer { index, .. } => is_new.insert(*index, true),
                Edit::Layers(copies) => {
                    is_new = copies.iter().map(|copy| copy.is_new || is_new[copy.from]).collect();
                }
                _ => {}
            }
        }
        is_new.resize(after.layers.len(), true);
        is_new
    }

    /// By what each parameter of the model after so many stages was scaled since it was born: its
    /// first entry, where others were scaled otherwise. Those that nothing scaled are left out, and
    /// copies that an operator divides among each other are not counted.
    pub fn scales(&self, stages: usize) -> BTreeMap<ParamId, f64> {
        let mut scales = BTreeMap::new();
        for stage in 0..stages {
            let before = self.architecture_after(stage);
            let grown = grow_all(before, &self.stages[stage].growths, 0);
            grown
                .expect("it was grown before")
                .edits
                .iter()
                .for_each(|edit| follow(edit, &mut scales));
        }
        scales
    }

    /// Names the plan by its content: 16 hexadecimal digits.
    pub fn id(&self) -> String {
        let text = serde_json::to_vec(self).expect("a plan is plain data");
        blake3::hash(&text).to_hex()[..16].to_owned()
    }

    /// Training FLOPs of the first `tokens` tokens and of the operators on the way, in sequences of
    /// the model's `seq_len`; saturates instead of overflowing, which no plan of a sweep does.
    pub fn train_flops(&self, tokens: u64) -> u128 {
        let ends = self.stages.iter().map(|stage| stage.tokens).chain([u64::MAX]);
        let mut start = 0;
        let mut flops: u128 = 0;
        for (number, end) in ends.enumerate() {
            let architecture = self.architecture_after(number);
            let sequences = end.min(tokens).saturating_sub(start) / architecture.seq_len as u64;
            let sequence = flops::train_flops(architecture, architecture.seq_len);
            flops = flops.saturating_add(u128::from(sequences).saturating_mul(sequence));
            start = end;
        }
        let done = self.stages.iter().take_while(|stage| stage.tokens < tokens).count();
        (0..done).map(|stage| self.operator_flops(stage)).fold(flops, u128::saturating_add)
    }

    /// Of these, what a trial spends itself: growths that were tried on the way and not chosen are
    /// trained by others.
    pub fn own_flops(&self, tokens: u64) -> u128 {
        let done = self.stages.iter().take_while(|stage| stage.tokens < tokens).count();
        let tried = (0..done).map(|stage| self.look_flops(stage)).fold(0, u128::saturating_add);
        self.train_flops(tokens).saturating_sub(tried)
    }

    /// FLOPs that the operators of a stage spend on themselves, and those of growths that were tried
    /// there and not chosen.
    pub fn operator_flops(&self, stage: usize) -> u128 {
        let (before, after) = (self.architecture_after(stage), self.architecture_after(stage + 1));
        let operators = self.stages[stage].growths.iter().filter_map(Growth::fitted);
        let all = operators.map(|operator| operator.flops(before, after));
        all.fold(self.look_flops(stage), u128::saturating_add)
    }

    /// Whether anything else was tried on the way.
    pub fn looks_around(&self) -> bool {
        self.stages.iter().any(|stage| stage.look.is_some())
    }

    /// FLOPs of growths that were tried at a stage and not chosen.
    pub fn look_flops(&self, stage: usize) -> u128 {
        let look = self.stages[stage].look.as_ref();
        look.map_or(0, |look| look.flops(self.architecture_after(stage)))
    }
}

impl Look {
    /// Training FLOPs of what was not chosen.
    pub fn flops(&self, before: &Architecture) -> u128 {
        let sequences = u128::from(self.tokens / before.seq_len as u64);
        let one = |growths: &Vec<Growth>| {
            let grown = grow_all(before, growths, 0).expect("a plan has checked it").architecture;
            sequences.saturating_mul(flops::train_flops(&grown, grown.seq_len))
        };
        self.others.iter().map(one).fold(0, u128::saturating_add)
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
/// Goes along with an edit: what is scaled, and where its parameters stand afterwards.
fn follow(edit: &Edit, scales: &mut BTreeMap<ParamId, f64>) {
    let from = |scales: &BTreeMap<ParamId, f64>, layer: usize, to: usize| {
        let of_layer = scales.iter().filter(move |(id, _)| id.layer == Some(layer));
        of_layer.map(|(id, by)| (ParamId { layer: Some(to), ..*id }, *by)).collect::<Vec<_>>()
    };
    match edit {
        Edit::Scale { param, range, by, .. } if range.contains(&0) => {
            *scales.entry(*param).or_insert(1.0) *= by;
        }
        Edit::InsertLayer { index, .. } => {
            let moved = |layer: usize| if layer >= *index { layer + 1 } else { layer };
            let all = std::mem::take(scales).into_iter();
            *scales =
                all.map(|(id, by)| (ParamId { layer: id.layer.map(moved), ..id }, by)).collect();
        }
        Edit::Layers(copies) => {
            let old = std::mem::take(scales);
            for (layer, copy) in copies.iter().enumerate() {
                scales.extend(from(&old, copy.from, layer));
            }
            scales.extend(old.into_iter().filter(|(id, _)| id.layer.is_none()));
        }
        Edit::Untie { owner, layers, .. } => {
            for &layer in layers {
                let own = from(scales, *owner, layer);
                scales.extend(own.into_iter().filter(|(id, _)| !id.kind.is_branch_gain()));
            }
        }
        Edit::Remake(_) => scales.clear(),
        _ => {}
    }
}
