//! The next stage of a plan, applied to one member.

use std::time::Instant;

use outgrow_core::{
    Architecture, Growth, Operator, Trial,
    event::{Diagnosis, GrowthEvent, Position, Preservation},
    growth::{Grown, all_preserve, axes, grow_all},
    model::n_parameters,
    plan::OptimizerAtGrowth,
    stream::derive,
};
use outgrow_data::{Corpus, Order};
use tch::{Tensor, no_grad};

use super::{job::TrainError, member::Member, window::Clock};
use crate::{
    device::Device,
    doctor, fitted,
    grow_verified::compare,
    mask::Mask,
    optimizer,
    state::{GrowOptions, TrainingState},
    step::batch_of,
};

/// Sequences of the probe batch around a growth.
pub(super) const PROBE_SEQUENCES: usize = 8;

/// Sequences of each of the doctor's steps.
const DOCTOR_SEQUENCES: usize = 4;

/// A stage that is due.
pub(super) struct DueStage<'a> {
    pub(super) number: usize,
    /// When; the FLOPs of its operators are counted.
    pub(super) at: Position,
    pub(super) clock: &'a Clock,
    pub(super) corpus: &'a Corpus,
    pub(super) device: Device,
}

/// A member after a stage.
pub(super) struct GrownMember {
    pub(super) state: TrainingState,
    pub(super) mask: Option<Mask>,
    pub(super) event: GrowthEvent,
}

impl DueStage<'_> {
    /// The stage on one member: probe, edit weights and optimizer, probe again. None if an operator
    /// is being fitted and `goes_on` says no meanwhile.
    pub(super) fn grow(
        &self,
        trial: &Trial,
        before: &TrainingState,
        goes_on: &dyn Fn() -> bool,
    ) -> Result<Option<GrownMember>, TrainError> {
        let began = Instant::now();
        let growths = &trial.plan.stages()[self.number].growths;
        let (old, grown) = grown_at(trial, self.number);
        let Some(mut state) = self.edited(trial, before, &grown, goes_on) else { return Ok(None) };
        let axes = axes(&old, &grown.architecture, growths);
        let mask = Mask::of(trial, self.number, &old, grown);
        set_mask(&mut state, mask.as_ref(), self.at.tokens);
        let preserving = all_preserve(&old, growths);
        let preservation = self.probe(before, &state, preserving)?;
        optimizer::at_growth(&mut state, trial.policy().optimizer);
        let diagnosis = self.diagnose(trial, before, &state, mask.as_ref())?;
        let event = GrowthEvent {
            at: Position { wall_seconds: self.clock.seconds(), ..self.at },
            stage: self.number,
            growths: growths.clone(),
            axes,
            parameters: [n_parameters(&old), n_parameters(state.architecture())],
            operator_flops: trial.plan.operator_flops(self.number),
            preserving,
            preservation,
            diagnosis: Some(Box::new(diagnosis)),
            seconds: began.elapsed().as_secs_f64(),
        };
        Ok(Some(GrownMember { state, mask, event }))
    }

    /// The state after the edits, and after an operator was fitted to text.
    fn edited(
        &self,
        trial: &Trial,
        before: &TrainingState,
        grown: &Grown,
        goes_on: &dyn Fn() -> bool,
    ) -> Option<TrainingState> {
        let policy = trial.policy();
        let options = GrowOptions {
            initializer: &policy.initializer,
            copies: policy.optimizer == OptimizerAtGrowth::ScaledCopy,
            seed: trial.seed,
            event: self.number as u64,
        };
        let next = no_grad(|| before.grown(grown, &options));
        let growths = &trial.plan.stages()[self.number].growths;
        match growths.iter().find_map(Growth::fitted) {
            Some(operator) => self.fit(trial, operator, before, next, goes_on),
            None => Some(next),
        }
    }

    /// What a probe says of both; refuses a growth that is to be `preserving` and is not.
    fn probe(
        &self,
        before: &TrainingState,
        grown: &TrainingState,
        preserving: bool,
    ) -> Result<Preservation, TrainError> {
        let seq_len = before.architecture().seq_len;
        let windows = self.corpus.validation((PROBE_SEQUENCES * seq_len) as u64, seq_len);
        let (inputs, targets) = batch_of(windows.iter().copied(), seq_len, self.device);
        let preservation = compare(before, grown, &inputs, &targets);
        if preserving && !preservation.holds() {
            return Err(TrainError::NotPreserved {
                stage: self.number,
                error: preservation.error(),
                tolerance: preservation.tolerance,
            });
        }
        Ok(preservation)
    }

    /// Fits an operator to training text, in an order of its own, as long as it `goes_on`.
    fn fit(
        &self,
        trial: &Trial,
        operator: &Operator,
        before: &TrainingState,
        grown: TrainingState,
        goes_on: &dyn Fn() -> bool,
    ) -> Option<TrainingState> {
        let seed = derive(trial.seed, &format!("growth/{}/learn", self.number));
        let (order, seq_len) = (Order::new(seed), before.architecture().seq_len);
        let batch = |number: u64, sequences: u64| {
            let first = number * sequences;
            let sequences =
                (first..first + sequences).map(|n| self.corpus.sequence(&order, n, seq_len));
            goes_on().then(|| batch_of(sequences, seq_len, self.device))
        };
        fitted::fit(operator, before, grown, seed, &batch)
    }

    /// Asks the doctor about a growth; refuses what can never learn.
    fn diagnose(
        &self,
        trial: &Trial,
        before: &TrainingState,
        grown: &TrainingState,
        mask: Option<&Mask>,
    ) -> Result<Diagnosis, TrainError> {
        let seq_len = before.architecture().seq_len;
        let windows =
            self.corpus.validation((doctor::STEPS * DOCTOR_SEQUENCES * seq_len) as u64, seq_len);
        // A text with fewer windows is read again.
        let mut windows = windows.iter().copied().cycle();
        let batches = std::array::from_fn(|_| {
            batch_of(windows.by_ref().take(DOCTOR_SEQUENCES), seq_len, self.device)
        });
        let set_mask = |state: &mut TrainingState, step: usize| {
            set_mask(state, mask, self.at.tokens + (step + 1) as u64 * trial.step_tokens());
        };
        let steps = doctor::TrialSteps {
            batches,
            settings: trial.step_settings(),
            learning_rate: trial.learning_rate(self.at.tokens),
            set_mask: &set_mask,
        };
        let diagnosis = doctor::examine(before, grown, &steps);
        if diagnosis.is_dead() {
            let (new_entries, reached) = (diagnosis.new_entries, 100.0 * diagnosis.reached[2]);
            return Err(TrainError::Dead {
                stage: self.number,
                new_entries,
                reached,
                dead: diagnosis.dead.join(", "),
            });
        }
        Ok(diagnosis)
    }
}

/// Sets the mask of a state as it stands at `tokens`; without a mask leaves the state as it is.
fn set_mask(state: &mut TrainingState, mask: Option<&Mask>, tokens: u64) {
    if let Some(mask) = mask {
        state.mask = no_grad(|| mask.at(tokens, state));
    }
}

/// The members' masks as they stand at `tokens`, for the state of them all; none if they are open.
pub(super) fn masks(members: &[Member], state: &TrainingState, tokens: u64) -> Option<Tensor> {
    let masks: Option<Vec<Tensor>> =
        members.iter().map(|member| member.mask.as_ref()?.at(tokens, state)).collect();
    masks.map(|masks| match state.replicates() {
        Some(_) => Tensor::stack(&masks, 0),
        None => masks[0].shallow_clone(),
    })
}

/// The architecture before a stage of the plan, and the growth that the stage is.
pub(super) fn grown_at(trial: &Trial, stage: usize) -> (Architecture, Grown) {
    let before = trial.plan.architecture_after(stage).clone();
    let seed = derive(trial.seed, &format!("growth/{stage}"));
    let grown = grow_all(&before, &trial.plan.stages()[stage].growths, seed);
    (before, grown.expect("the plan was checked when it was built"))
}
