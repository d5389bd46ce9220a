//! The loop: trials in lockstep, step by step.

use std::path::Path;

use outgrow_core::{
    Event, KeepFinal, Trial,
    event::{CheckpointEvent, Control, EvalEvent, Outcome, Position, Receiver, StepEvent},
    flops,
};
use outgrow_data::Corpus;
use outgrow_failpoint::Point;
use tch::no_grad;

use super::{
    growing::{DueStage, GrownMember, grown_at, masks},
    job::{Options, TrainError},
    member::{Member, is_over, obey},
    saving,
    validation::Validation,
    window::{Clock, DeviceWindow},
};
use crate::{
    checkpoint::{Paths, Progress, Window},
    device::Device,
    mask::Mask,
    state::TrainingState,
    step::Stepper,
};

/// Trials that are at the same step, with their states.
pub(super) type Group<'a> = Vec<(Member<'a>, TrainingState, Progress)>;

/// Attempts in progress, of trials that are replicates of each other, in lockstep; usually of one.
pub(super) struct Session<'a> {
    pub(super) members: Vec<Member<'a>>,
    /// The number and end of those that are members no more.
    pub(super) ended: Vec<(usize, Result<Outcome, TrainError>)>,
    corpus: &'a Corpus,
    options: &'a Options,
    stepper: Stepper,
    /// Of all members, in their order.
    state: TrainingState,
    at: Position,
    stages: usize,
    window: DeviceWindow,
    /// Of a rule that is measured, which is trained alone.
    paths: Option<Paths>,
    /// The evaluation of the last step is to be done.
    evaluation_due: bool,
    clock: Clock,
}

impl<'a> Session<'a> {
    /// Of members that stand at the same step.
    pub(super) fn begin(group: Group<'a>, corpus: &'a Corpus, options: &'a Options) -> Self {
        let Progress { at, stages, evaluation_due, paths, .. } = group[0].2;
        let (mut members, mut states, mut windows) = (vec![], vec![], vec![]);
        for (mut member, state, progress) in group {
            // A mask is not in the checkpoint: it follows from the plan.
            member.mask = stages.checked_sub(1).and_then(|stage| {
                let (before, grown) = grown_at(&member.job.trial, stage);
                Mask::of(&member.job.trial, stage, &before, grown)
            });
            members.push(member);
            states.push(state);
            windows.push(progress.window);
        }
        let settings = members[0].job.trial.step_settings();
        Self {
            ended: vec![],
            corpus,
            options,
            stepper: Stepper::new(settings, options.device, options.micro_batches),
            state: no_grad(|| TrainingState::stack(states)),
            at,
            stages,
            window: DeviceWindow::new(&windows, options.device),
            members,
            paths,
            evaluation_due,
            clock: Clock::starting_at(at.wall_seconds),
        }
    }

    /// What all members have in common: their plan and settings.
    fn trial(&self) -> &'a Trial {
        &self.members[0].job.trial
    }

    /// One optimizer step and whatever is due around it. How members end is left with them.
    pub(super) fn advance(&mut self, receiver: &mut dyn Receiver) {
        if self.evaluation_due {
            // The attempt before left it undone, after the step; a mask stands as it stood then.
            self.open_masks(self.at.tokens);
        } else if !self.move_on(receiver) {
            return;
        }
        let (now, last) = (self.at.tokens, self.at.step == self.trial().steps());
        if self.evaluation_due {
            self.evaluation_due = !self.evaluate(last, receiver);
            self.part();
        }
        if self.members.is_empty() {
            return;
        }
        let (before, every) =
            (now - self.trial().step_tokens(), self.options.checkpoint_every_tokens);
        let saves = last || now / every > before / every;
        for number in 0..self.members.len() {
            let written = self.leave_on_disk(number, saves, last, receiver);
            if let Err(error) = written {
                self.members[number].end(Err(error));
            }
        }
    }

    /// Grows if it is time, takes a step, and records it if that is due; says whether there is more
    /// to do for this step.
    fn move_on(&mut self, receiver: &mut dyn Receiver) -> bool {
        let trial = self.trial();
        if self.at.step >= trial.steps() {
            self.members.iter_mut().for_each(|member| member.end(Ok(Outcome::Complete)));
            return false;
        }
        let grows = trial
            .plan
            .stages()
            .get(self.stages)
            .is_some_and(|stage| stage.tokens == self.at.tokens);
        if grows && !self.grow(receiver) {
            self.stop_here(receiver);
            return false;
        }
        if self.members.is_empty() {
            return false;
        }
        let before = self.at.step;
        // As far open as it will be at the step's end: a step behind a closed mask would teach the
        // new entries nothing.
        self.open_masks(self.at.tokens + trial.step_tokens());
        let learning_rate = Point::Step.around(|| self.step());
        obey(&mut self.members, receiver);
        if trial.next_recorded(before) == Some(self.at.step) {
            self.record(learning_rate, receiver);
        }
        self.part();
        self.evaluation_due = trial.next_evaluated(before) == Some(self.at.step);
        !self.members.is_empty()
    }

    /// Saves and ends those that are told to stop, between two steps.
    fn stop_here(&mut self, receiver: &mut dyn Receiver) {
        obey(&mut self.members, receiver);
        for number in 0..self.members.len() {
            if self.members[number].ended.is_none() {
                let saved = self.save(number, receiver);
                self.members[number].end(saved.map(|()| Outcome::Stopped));
            }
        }
    }

    /// The snapshot and the checkpoint of a member that are due now; the latter is also when it is
    /// to stop.
    fn leave_on_disk(
        &mut self,
        number: usize,
        saves: bool,
        last: bool,
        receiver: &mut dyn Receiver,
    ) -> Result<(), TrainError> {
        // Who begins from a snapshot has all that was recorded until then.
        let is_whole = !self.evaluation_due;
        let awaited = self.members[number]
            .job
            .snapshots
            .iter()
            .find(|(step, _)| *step == self.at.step && is_whole);
        if let Some((_, folder)) = awaited {
            let event = Point::Snapshot.around(|| self.write(number, folder, false))?;
            self.members[number].tell(receiver, Event::Snapshot(event));
        }
        let stops = self.members[number].stop && (!last || self.evaluation_due);
        if saves || stops {
            self.save(number, receiver)?;
        }
        if stops {
            self.members[number].end(Ok(Outcome::Stopped));
        }
        Ok(())
    }

    /// Parts with the members that have ended.
    pub(super) fn part(&mut self) {
        let going: Vec<usize> =
            (0..self.members.len()).filter(|&n| self.members[n].ended.is_none()).collect();
        if going.len() < self.members.len() {
            if !going.is_empty() {
                let states = going.iter().map(|&number| self.state.replicate(number).copy());
                self.state = no_grad(|| TrainingState::stack(states.collect()));
            }
            self.forget_ended();
        }
    }

    /// The same, but for their state.
    fn forget_ended(&mut self) {
        let (mut going, mut windows) = (vec![], vec![]);
        for (member, window) in
            std::mem::take(&mut self.members).into_iter().zip(self.window.read())
        {
            match member.ended {
                Some(how) => self.ended.push((member.number, how)),
                None => {
                    going.push(member);
                    windows.push(window);
                }
            }
        }
        if !windows.is_empty() {
            self.window = DeviceWindow::new(&windows, self.options.device);
        }
        self.members = going;
    }

    /// Opens masks as far as they are to be at `tokens`.
    fn open_masks(&mut self, tokens: u64) {
        if self.members[0].mask.is_some() {
            self.state.mask = no_grad(|| masks(&self.members, &self.state, tokens));
            for member in &mut self.members {
                member.mask = member.mask.take().filter(|mask| !mask.is_open(tokens));
            }
        }
    }

    fn step(&mut self) -> f64 {
        let (trial, seq_len) = (self.trial(), self.seq_len());
        let learning_rate = trial.learning_rate(self.at.tokens);
        self.stepper.set_measured(self.paths.map_or(1.0, |paths| paths.factor));
        let batch = trial.settings.training.batch_size as u64;
        let (first, corpus) = (self.at.step * batch, self.corpus);
        let sequences = self.members.iter().flat_map(|member| {
            (first..first + batch)
                .map(move |number| corpus.sequence(&member.order, number, seq_len))
        });
        self.at.train_flops +=
            flops::train_flops(self.state.architecture(), seq_len) * u128::from(batch);
        let stepped = self.stepper.step(&mut self.state, sequences, learning_rate, &mut |_| ());
        self.at.step += 1;
        self.at.tokens += trial.step_tokens();
        self.window.add(&stepped);
        learning_rate * self.stepper.factor_of_all(self.state.architecture())
    }

    /// Reads the window and begins a new one. Reading waits for the device, so the clock is true
    /// afterwards.
    fn record(&mut self, learning_rate: f64, receiver: &mut dyn Receiver) {
        let windows = self.window.read();
        self.window =
            DeviceWindow::new(&vec![Window::default(); windows.len()], self.options.device);
        self.at.wall_seconds = self.clock.seconds();
        for (member, Window { loss, steps, gradient_norm }) in self.members.iter_mut().zip(windows)
        {
            let event =
                StepEvent { at: self.at, loss: loss / steps as f64, learning_rate, gradient_norm };
            member.tell(receiver, Event::Step(event));
            if !event.loss.is_finite() {
                member.end(Ok(Outcome::Diverged));
            }
        }
    }

    /// Says whether it was done: not if all are told to stop before its end.
    fn evaluate(&mut self, last: bool, receiver: &mut dyn Receiver) -> bool {
        self.pause();
        let seconds = self.at.wall_seconds;
        let settings = &self.trial().settings;
        let validation = Validation {
            windows: self.corpus.validation(settings.evaluation.tokens, self.seq_len()),
            batch: settings.training.batch_size.div_ceil(self.options.micro_batches),
            device: self.options.device,
        };
        let members = &mut self.members;
        let losses = validation.losses(&self.state, self.stepper.compute(), &mut || {
            obey(members, receiver);
            !is_over(members)
        });
        self.clock.resume_at(seconds);
        let Some(losses) = losses else { return false };
        for (member, val_loss) in self.members.iter_mut().zip(losses) {
            member.tell(receiver, Event::Eval(EvalEvent { at: self.at, val_loss, last }));
            if !val_loss.is_finite() {
                member.end(Ok(Outcome::Diverged));
            }
        }
        self.paths =
            self.paths.map(|paths| paths.measured(&self.state, self.corpus, self.options.device));
        true
    }

    /// Stops the clock after the device has done what was asked of it.
    fn pause(&mut self) {
        if let Device::Cuda(index) = self.options.device {
            tch::Cuda::synchronize(index as i64);
        }
        self.at.wall_seconds = self.clock.seconds();
    }

    fn seq_len(&self) -> usize {
        self.state.architecture().seq_len
    }

    /// Applies the next stage of the plan to every member; parts with those that it can't be
    /// applied to. Says whether it was done: not if they are told to stop while an operator is fitted,
    /// and then everything is as before.
    fn grow(&mut self, receiver: &mut dyn Receiver) -> bool {
        self.pause();
        self.stepper.release_buffers();
        let (before, mut next) = (self.at, vec![]);
        let is_measured = self.trial().policy().learning_rate.is_measured();
        let paths = (self.paths).or_else(|| {
            is_measured.then(|| Paths::before(&self.state, self.corpus, self.options.device))
        });
        self.at.train_flops += self.trial().plan.operator_flops(self.stages);
        for number in 0..self.members.len() {
            match self.grow_one(number, receiver) {
                Ok(Some(GrownMember { state, mask, event })) => {
                    let member = &mut self.members[number];
                    member.mask = mask;
                    member.tell(receiver, Event::Growth(event));
                    if member.ended.is_none() {
                        next.push(state);
                    }
                }
                Ok(None) => {
                    self.at = before;
                    return false;
                }
                Err(error) => self.members[number].end(Err(error)),
            }
        }
        self.forget_ended();
        if !next.is_empty() {
            self.state = no_grad(|| TrainingState::stack(next));
        }
        self.paths =
            paths.map(|paths| paths.measured(&self.state, self.corpus, self.options.device));
        self.stages += 1;
        self.at.wall_seconds = self.clock.seconds();
        true
    }

    /// The next stage on one member; none if it was told to stop meanwhile.
    fn grow_one(
        &self,
        number: usize,
        receiver: &dyn Receiver,
    ) -> Result<Option<GrownMember>, TrainError> {
        let member = &self.members[number];
        let stage = DueStage {
            number: self.stages,
            at: self.at,
            clock: &self.clock,
            corpus: self.corpus,
            device: self.options.device,
        };
        let goes_on =
            || matches!(receiver.request(member.number), Control::Continue | Control::Spooled);
        stage.grow(&member.job.trial, &self.state.replicate(number), &goes_on)
    }

    /// Writes a member's checkpoint, unless it is there already, and tells of it.
    fn save(&mut self, number: usize, receiver: &mut dyn Receiver) -> Result<(), TrainError> {
        let Some(folder) = self.members[number].unsaved(self.at.step) else { return Ok(()) };
        // Nothing is trained after the last step: what is there to go on with need not be kept.
        let is_over = self.at.step == self.trial().steps() && !self.evaluation_due;
        let weights_only = is_over && self.options.keep_final != KeepFinal::All;
        let event = self.write(number, &folder, weights_only)?;
        self.members[number].saved_to(folder, event, self.options.keep, receiver);
        Ok(())
    }

    /// Writes a member's state, or its weights alone, to a folder, with the clock standing still.
    fn write(
        &mut self,
        number: usize,
        folder: &Path,
        weights_only: bool,
    ) -> Result<CheckpointEvent, TrainError> {
        self.pause();
        let seconds = self.at.wall_seconds;
        let progress = Progress {
            trial: self.members[number].job.trial.id(),
            at: self.at,
            stages: self.stages,
            window: self.window.read()[number],
            evaluation_due: self.evaluation_due,
            paths: self.paths,
        };
        let event = saving::write(self.state.replicate(number), progress, folder, weights_only)?;
        self.clock.resume_at(seconds);
        Ok(event)
    }
}
