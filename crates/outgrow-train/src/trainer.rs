//! The training loop: from a trial, or from its last checkpoint, to its end.

use outgrow_core::model::n_parameters;
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    slice,
    time::Instant,
};

use outgrow_core::{
    Architecture, Event, Growth, Operator, Trial,
    event::{
        CheckpointEvent, Control, Diagnosis, EvalEvent, GrowthEvent, Outcome, Position,
        Preservation, Receiver, StepEvent,
    },
    flops,
    growth::{Grown, all_preserve, axes, grow_all},
    plan::OptimizerAtGrowth,
    stream::derive,
};
use outgrow_data::{Corpus, Order};
use outgrow_failpoint::Point;
use tch::{Kind, Tensor, no_grad};
use thiserror::Error;

use crate::{
    checkpoint::{self, Checkpoint, CheckpointError, Progress, Window},
    device::Device,
    doctor, learn,
    mask::Mask,
    model::{Model, cross_entropy},
    optimizer,
    state::{How, TrainingState},
    step::{Stepper, batch_of, kinds},
    verify,
};

/// How trials are trained; nothing here changes a result.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where to compute.
    pub device: Device,
    /// Write a checkpoint when so many tokens were trained since the last.
    pub checkpoint_every_tokens: u64,
    /// Compute a batch in so many equal parts, one after another, for memory; the results agree but
    /// for rounding.
    pub parts: usize,
    /// Keep so many checkpoints of each trial, at least one: those before the last are for the case
    /// that it is damaged.
    pub keep: usize,
}

/// An attempt at a trial: what it needs beside its text.
#[derive(Clone, Debug)]
pub struct Job {
    /// What to train.
    pub trial: Trial,
    /// Its folder of checkpoints.
    pub checkpoints: PathBuf,
    /// The number of this attempt among those at the trial: each writes to folders of its own, so
    /// that one that lives on after it has lost its trial touches nothing of the next.
    pub epoch: u64,
    /// The recorded checkpoints to go on from, newest first; damaged ones are passed over.
    pub resume: Vec<Saved>,
    /// Where there is none: the state of another trial that is this one's, too.
    pub begin: Option<Begin>,
    /// Where there is none either: the model that it begins with, if its settings name one.
    pub initial: Option<PathBuf>,
    /// Steps whose state other trials begin from, and the folder to write it to.
    pub snapshots: Vec<(u64, PathBuf)>,
}

/// A checkpoint that was recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Saved {
    /// Its folder.
    pub folder: PathBuf,
    /// Digest of its head, as it was recorded.
    pub digest: String,
}

/// The state of another trial that a trial begins from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Begin {
    /// Its folder.
    pub folder: PathBuf,
    /// Digest of its head, as it was recorded; older databases have none.
    pub digest: Option<String>,
}

impl From<&CheckpointEvent> for Saved {
    fn from(event: &CheckpointEvent) -> Self {
        Self { folder: PathBuf::from(&event.path), digest: event.digest.clone() }
    }
}

/// Why a trial can't be trained.
#[derive(Debug, Error)]
pub enum TrainError {
    /// A checkpoint can't be written or, where none is left, read.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// A growth moved the function by more than rounding does.
    #[error(
        "stage {stage} did not preserve the function: logits moved by {error:.1e} relative to the larger of 1 and the largest logit, allowed are {tolerance:.0e}"
    )]
    NotPreserved {
        /// Which stage of the plan.
        stage: usize,
        /// By how much.
        error: f64,
        /// What is allowed.
        tolerance: f64,
    },
    /// Nothing that a growth bore can learn.
    #[error(
        "stage {stage} can never learn: of {new_entries} new entries {reached:.4} % get a gradient within three steps; none does in {dead}"
    )]
    Dead {
        /// Which stage.
        stage: usize,
        /// How many entries it bore.
        new_entries: u64,
        /// How many per cent of them get a gradient.
        reached: f64,
        /// In which parameters none does.
        dead: String,
    },
    /// Nobody said where the model is that it begins with.
    #[error("the model {0} that this trial begins with is not at hand")]
    NoInitial(String),
    /// Not enough memory.
    #[error("out of memory with the batch in {parts} part(s)")]
    Memory {
        /// Into how many parts it was cut.
        parts: usize,
    },
    /// libtorch failed.
    #[error("libtorch: {0}")]
    Torch(#[from] tch::TchError),
}

/// Sequences of the probe batch around a growth.
const PROBE_SEQUENCES: usize = 8;
/// Sequences of each of the doctor's steps.
const DOCTOR_SEQUENCES: usize = 4;

/// Trains a trial to its end, until it diverges, or until the receiver of its events says stop.
///
/// The events of an attempt that goes on from a checkpoint continue those before it: together they
/// are, on a CPU, bit for bit the events of an undisturbed training.
///
/// # Errors
/// If a checkpoint can't be written, or a growth does not preserve the function.
pub fn train(
    job: &Job,
    corpus: &Corpus,
    options: &Options,
    on_event: &mut dyn FnMut(Event) -> Control,
) -> Result<Outcome, TrainError> {
    train_together(slice::from_ref(job), corpus, options, &mut |_: usize, event: Event| {
        on_event(event)
    })
    .remove(0)
}

/// Trains replicates, trials of one plan and the same settings under different seeds, as one model
/// with a leading axis; tells of each job's events with its number. Gives how each ended. The
/// results agree with those of each alone but for rounding.
///
/// Those that stand at different steps, after a worker's death, are trained one group after
/// another. `wall_seconds` is the time of all together.
///
/// # Panics
/// If the trials are not replicates of each other.
pub fn train_together(
    jobs: &[Job],
    corpus: &Corpus,
    options: &Options,
    receiver: &mut dyn Receiver,
) -> Vec<Result<Outcome, TrainError>> {
    let replicates = jobs.iter().all(|job| job.trial.is_replicate_of(&jobs[0].trial));
    assert!(replicates, "only replicates of one plan are trained together");
    let mut groups: BTreeMap<(u64, bool), Group> = BTreeMap::new();
    let mut ended: Vec<_> = jobs.iter().map(|_| Ok(Outcome::Stopped)).collect();
    for (number, job) in jobs.iter().enumerate() {
        let (state, progress) = match start(job, options.device) {
            Ok(begun) => begun,
            Err(error) => {
                ended[number] = Err(error);
                continue;
            }
        };
        groups.entry((progress.at.step, progress.evaluation_due)).or_default().push((
            Member::new(number, job),
            state,
            progress,
        ));
    }
    for group in groups.into_values() {
        let mut session = Session::begin(group, corpus, options);
        while !session.members.is_empty() {
            session.advance(receiver);
            session.part();
        }
        session.ended.into_iter().for_each(|(number, how)| ended[number] = how);
    }
    ended
}

/// The state that a trial goes on from: its last checkpoint's, another trial's, that of the model
/// that it begins with, or a new one.
fn start(job: &Job, device: Device) -> Result<(TrainingState, Progress), TrainError> {
    let trial = &job.trial;
    let resumed = resume(job, device).or_else(|| begin(job, device));
    let recorded: Vec<PathBuf> = job.resume.iter().map(|saved| saved.folder.clone()).collect();
    checkpoint::remove_others(&job.checkpoints, &recorded, job.epoch);
    if let Some(resumed) = resumed {
        return Ok(resumed);
    }
    let (at, window) = (Position::default(), Window::default());
    let progress = Progress { trial: trial.id(), at, stages: 0, window, evaluation_due: false };
    let master = kinds(trial.settings.training.precision).1;
    let state = match (&trial.settings.initial, &job.initial) {
        (Some(digest), Some(folder)) => initial(trial, digest, folder, master, device)?,
        (Some(digest), None) => return Err(TrainError::NoInitial(digest.clone())),
        (None, _) => TrainingState::fresh(trial.plan.initial(), trial.seed, master, device),
    };
    Ok((state, progress))
}

/// The model that a trial begins with, as it was laid down.
fn initial(
    trial: &Trial,
    digest: &str,
    folder: &Path,
    master: Kind,
    device: Device,
) -> Result<TrainingState, TrainError> {
    let read = Checkpoint::read_copy(folder, digest, device)?.state;
    if read.architecture() != trial.plan.initial() {
        let why = "its sizes are not those that the trial begins with".into();
        return Err(CheckpointError::Damaged { path: folder.display().to_string(), why }.into());
    }
    let weights =
        read.parts().weights.into_iter().map(|(id, weight)| (id, weight.to_kind(master))).collect();
    Ok(TrainingState::from_weights(trial.plan.initial(), weights))
}

/// Trials that are at the same step, with their states.
type Group<'a> = Vec<(Member<'a>, TrainingState, Progress)>;

/// One trial of those in training.
struct Member<'a> {
    number: usize,
    job: &'a Job,
    order: Order,
    /// Of the last stage, until it is open.
    mask: Option<Mask>,
    saved: Vec<PathBuf>,
    /// How it ended, once it has: then nothing more is told of it.
    ended: Option<Result<Outcome, TrainError>>,
    /// Its receiver said stop.
    stop: bool,
}

impl<'a> Member<'a> {
    fn new(number: usize, job: &'a Job) -> Self {
        let saved = job.resume.iter().rev().map(|saved| saved.folder.clone()).collect();
        Self {
            number,
            job,
            order: Order::new(job.trial.seed),
            mask: None,
            saved,
            ended: None,
            stop: false,
        }
    }

    /// Tells of an event, unless the trial has ended, and obeys; says what the receiver wants.
    fn tell(&mut self, receiver: &mut dyn Receiver, event: Event) -> Control {
        if self.ended.is_some() {
            return Control::Abandon;
        }
        let wish = receiver.tell(self.number, event);
        self.obey(wish);
        wish
    }

    fn obey(&mut self, wish: Control) {
        match wish {
            Control::Continue | Control::Spooled => {}
            Control::Stop => self.stop = true,
            Control::Abandon => self.end(Ok(Outcome::Stopped)),
        }
    }

    /// Ends the trial, if it has not ended already.
    fn end(&mut self, how: Result<Outcome, TrainError>) {
        self.ended.get_or_insert(how);
    }
}

/// Asks the receiver what it wants of each member.
fn obey(members: &mut [Member], receiver: &dyn Receiver) {
    members.iter_mut().for_each(|member| member.obey(receiver.wish(member.number)));
}

/// Whether nobody is left who wants to go on.
fn is_over(members: &[Member]) -> bool {
    members.iter().all(|member| member.stop || member.ended.is_some())
}

/// Attempts in progress, of trials that are replicates of each other, in lockstep; usually of one.
struct Session<'a> {
    members: Vec<Member<'a>>,
    /// The number and end of those that are members no more.
    ended: Vec<(usize, Result<Outcome, TrainError>)>,
    corpus: &'a Corpus,
    options: &'a Options,
    stepper: Stepper,
    /// Of all members, in their order.
    state: TrainingState,
    at: Position,
    stages: usize,
    window: DeviceWindow,
    /// The evaluation of the last step is to be done.
    evaluation_due: bool,
    clock: Clock,
}

/// The running window, its numbers left on the device until they are asked for, one for each
/// member.
struct DeviceWindow {
    loss: Tensor,
    steps: u64,
    gradient_norm: Tensor,
}

/// Seconds of training: it stands still while evaluating and saving.
struct Clock {
    before: f64,
    since: Instant,
}

impl Clock {
    fn seconds(&self) -> f64 {
        self.before + self.since.elapsed().as_secs_f64()
    }

    fn resume_at(&mut self, seconds: f64) {
        *self = Clock { before: seconds, since: Instant::now() };
    }
}

impl DeviceWindow {
    fn new(windows: &[Window], device: Device) -> Self {
        let each = |of: fn(&Window) -> f64| {
            Tensor::from_slice(&windows.iter().map(of).collect::<Vec<f64>>())
                .to_device(device.tch())
        };
        let (loss, gradient_norm) =
            (each(|window| window.loss), each(|window| window.gradient_norm));
        Self { loss, steps: windows[0].steps, gradient_norm }
    }

    fn read(&self) -> Vec<Window> {
        let numbers = |of: &Tensor| Vec::<f64>::try_from(of).expect("a number for each member");
        let window = |(loss, gradient_norm)| Window { loss, steps: self.steps, gradient_norm };
        numbers(&self.loss).into_iter().zip(numbers(&self.gradient_norm)).map(window).collect()
    }
}

/// Whether a multiple of `every` was reached since `before`.
fn due(before: u64, now: u64, every: u64) -> bool {
    now / every > before / every
}

impl<'a> Session<'a> {
    /// Of members that stand at the same step.
    fn begin(group: Group<'a>, corpus: &'a Corpus, options: &'a Options) -> Self {
        let Progress { at, stages, evaluation_due, .. } = group[0].2;
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
        let precision = members[0].job.trial.settings.training.precision;
        Self {
            ended: vec![],
            corpus,
            options,
            stepper: Stepper::new(precision, options.device, options.parts),
            state: no_grad(|| TrainingState::stack(states)),
            at,
            stages,
            window: DeviceWindow::new(&windows, options.device),
            members,
            evaluation_due,
            clock: Clock { before: at.wall_seconds, since: Instant::now() },
        }
    }

    /// What all members have in common: their plan and settings.
    fn trial(&self) -> &'a Trial {
        &self.members[0].job.trial
    }

    /// One optimizer step and whatever is due around it. How members end is left with them.
    fn advance(&mut self, receiver: &mut dyn Receiver) {
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
        let before = now - self.trial().step_tokens();
        let saves = last || due(before, now, self.options.checkpoint_every_tokens);
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
        let before = self.at.tokens;
        // As far open as it will be at the step's end: a step behind a closed mask would teach the
        // new entries nothing.
        self.open_masks(before + trial.step_tokens());
        let learning_rate = Point::Step.around(|| self.step());
        obey(&mut self.members, receiver);
        let (now, last) = (self.at.tokens, self.at.step == trial.steps());
        let evaluation = &trial.settings.evaluation;
        if last || due(before, now, evaluation.record_every_tokens) {
            self.record(learning_rate, receiver);
        }
        self.part();
        self.evaluation_due = last || due(before, now, evaluation.every_tokens);
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
            let event = Point::Snapshot.around(|| self.write(number, folder))?;
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
    fn part(&mut self) {
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
        let batch = trial.settings.training.batch_size as u64;
        let (first, corpus) = (self.at.step * batch, self.corpus);
        let sequences = self.members.iter().flat_map(|member| {
            (first..first + batch)
                .map(move |number| corpus.sequence(&member.order, number, seq_len))
        });
        self.at.train_flops +=
            flops::train_flops(self.state.architecture(), seq_len) * u128::from(batch);
        let stepped =
            self.stepper.step(&mut self.state, trial, sequences, learning_rate, &mut |_| ());
        self.at.step += 1;
        self.at.tokens += trial.step_tokens();
        self.window.loss = &self.window.loss + stepped.loss.to_kind(Kind::Double);
        self.window.gradient_norm =
            self.window.gradient_norm.maximum(&stepped.gradient_norm.to_kind(Kind::Double));
        self.window.steps += 1;
        learning_rate
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
        let windows =
            self.corpus.validation(self.trial().settings.evaluation.tokens, self.seq_len());
        let model =
            Model::new(self.state.architecture(), self.state.weights(self.stepper.compute()));
        let batch = self.trial().settings.training.batch_size.div_ceil(self.options.parts);
        let mut sums = vec![0.0; self.members.len()];
        for chunk in windows.chunks(batch) {
            obey(&mut self.members, receiver);
            if is_over(&self.members) {
                self.clock.resume_at(seconds);
                return false;
            }
            let (inputs, targets) =
                batch_of(chunk.iter().copied(), self.seq_len(), self.options.device);
            let targets = self.state.replicates().map_or(targets.shallow_clone(), |r| {
                targets.unsqueeze(0).expand([r, -1, -1], false)
            });
            let losses =
                no_grad(|| cross_entropy(&model.logits(&inputs), &targets)).to_kind(Kind::Double);
            let losses = Vec::<f64>::try_from(losses.view(-1)).expect("a loss for each member");
            sums.iter_mut().zip(losses).for_each(|(sum, loss)| *sum += loss * chunk.len() as f64);
        }
        self.clock.resume_at(seconds);
        for (member, sum) in self.members.iter_mut().zip(sums) {
            let val_loss = sum / windows.len() as f64;
            member.tell(receiver, Event::Eval(EvalEvent { at: self.at, val_loss, last }));
            if !val_loss.is_finite() {
                member.end(Ok(Outcome::Diverged));
            }
        }
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
    /// applied to. Says whether it was done: not if they are told to stop while an operator learns,
    /// and then everything is as before.
    fn grow(&mut self, receiver: &mut dyn Receiver) -> bool {
        self.pause();
        self.stepper.rest();
        let (before, mut next) = (self.at, vec![]);
        self.at.train_flops += self.trial().plan.operator_flops(self.stages);
        for number in 0..self.members.len() {
            match self.grow_one(number, receiver) {
                Ok(Some((state, event))) => {
                    self.members[number].tell(receiver, Event::Growth(event));
                    if self.members[number].ended.is_none() {
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
        self.stages += 1;
        self.at.wall_seconds = self.clock.seconds();
        true
    }

    /// The next stage on one member: probe, edit weights and optimizer, probe again. None if it was
    /// told to stop meanwhile.
    fn grow_one(
        &mut self,
        number: usize,
        receiver: &dyn Receiver,
    ) -> Result<Option<(TrainingState, GrowthEvent)>, TrainError> {
        let began = Instant::now();
        let (trial, before) = (&self.members[number].job.trial, self.state.replicate(number));
        let stage = &trial.plan.stages()[self.stages];
        let (old, grown) = grown_at(trial, self.stages);
        let preserving = all_preserve(&old, &stage.growths);
        let policy = trial.policy();
        let windows = self.corpus.validation((PROBE_SEQUENCES * old.seq_len) as u64, old.seq_len);
        let (inputs, targets) = batch_of(windows.iter().copied(), old.seq_len, self.options.device);
        let copies = policy.optimizer == OptimizerAtGrowth::ScaledCopy;
        let how = How {
            initializer: &policy.initializer,
            copies,
            seed: trial.seed,
            event: self.stages as u64,
        };
        let mut next = no_grad(|| before.grown(&grown, &how));
        if let Some(operator) = stage.growths.iter().find_map(Growth::learning) {
            let goes_on = || {
                matches!(
                    receiver.wish(self.members[number].number),
                    Control::Continue | Control::Spooled
                )
            };
            match self.learn(trial, operator, &before, next, &goes_on) {
                Some(learned) => next = learned,
                None => return Ok(None),
            }
        }
        let axes = axes(&old, &grown.architecture, &stage.growths);
        let mask = Mask::of(trial, self.stages, &old, grown);
        let set_mask = |state: &mut TrainingState, tokens: u64| {
            if let Some(mask) = &mask {
                state.mask = no_grad(|| mask.at(tokens, state));
            }
        };
        set_mask(&mut next, self.at.tokens);
        let preservation = verify::compare(&before, &next, &inputs, &targets);
        if preserving && !preservation.holds() {
            let Preservation { tolerance, .. } = preservation;
            return Err(TrainError::NotPreserved {
                stage: self.stages,
                error: preservation.error(),
                tolerance,
            });
        }
        optimizer::at_growth(&mut next, policy.optimizer);
        let diagnosis = self.diagnose(trial, &before, &next, &set_mask)?;
        let event = GrowthEvent {
            at: Position { wall_seconds: self.clock.seconds(), ..self.at },
            stage: self.stages,
            growths: stage.growths.clone(),
            axes,
            parameters: [n_parameters(&old), n_parameters(next.architecture())],
            operator_flops: trial.plan.operator_flops(self.stages),
            preserving,
            preservation,
            diagnosis: Some(Box::new(diagnosis)),
            seconds: began.elapsed().as_secs_f64(),
        };
        self.members[number].mask = mask;
        Ok(Some((next, event)))
    }

    /// Lets an operator learn from training text, in an order of its own, as long as it `goes_on`.
    fn learn(
        &self,
        trial: &Trial,
        operator: &Operator,
        before: &TrainingState,
        grown: TrainingState,
        goes_on: &dyn Fn() -> bool,
    ) -> Option<TrainingState> {
        let seed = derive(trial.seed, &format!("growth/{}/learn", self.stages));
        let (order, seq_len) = (Order::new(seed), self.seq_len());
        let batch = |number: u64, sequences: u64| {
            let first = number * sequences;
            let sequences =
                (first..first + sequences).map(|n| self.corpus.sequence(&order, n, seq_len));
            goes_on().then(|| batch_of(sequences, seq_len, self.options.device))
        };
        learn::learn(operator, before, grown, seed, &batch)
    }

    /// Asks the doctor about a growth; refuses what can never learn. `set_mask` sets a state's mask
    /// as it stands at so many tokens.
    fn diagnose(
        &self,
        trial: &Trial,
        before: &TrainingState,
        grown: &TrainingState,
        set_mask: &dyn Fn(&mut TrainingState, u64),
    ) -> Result<Diagnosis, TrainError> {
        let seq_len = self.seq_len();
        let windows =
            self.corpus.validation((doctor::STEPS * DOCTOR_SEQUENCES * seq_len) as u64, seq_len);
        // A text with fewer windows is read again.
        let mut windows = windows.iter().copied().cycle();
        let batches = std::array::from_fn(|_| {
            batch_of(windows.by_ref().take(DOCTOR_SEQUENCES), seq_len, self.options.device)
        });
        let rate = trial.learning_rate(self.at.tokens);
        let set_mask = |state: &mut TrainingState, step: usize| {
            set_mask(state, self.at.tokens + (step + 1) as u64 * trial.step_tokens());
        };
        let diagnosis = doctor::examine(before, grown, &batches, trial, rate, &set_mask);
        if diagnosis.is_dead() {
            let (new_entries, reached) = (diagnosis.new_entries, 100.0 * diagnosis.reached[2]);
            return Err(TrainError::Dead {
                stage: self.stages,
                new_entries,
                reached,
                dead: diagnosis.dead.join(", "),
            });
        }
        Ok(diagnosis)
    }

    /// Writes a member's checkpoint, tells of it, and only then, if it was recorded, removes the
    /// ones that no longer count: what the receiver of the event has recorded is on disk at any
    /// time.
    fn save(&mut self, number: usize, receiver: &mut dyn Receiver) -> Result<(), TrainError> {
        let checkpoints = &self.members[number].job.checkpoints;
        let epoch = self.members[number].job.epoch;
        let folder = checkpoint::step_folder(checkpoints, self.at.step, epoch);
        if self.members[number].saved.last() == Some(&folder) {
            return Ok(());
        }
        let event = self.write(number, &folder)?;
        let member = &mut self.members[number];
        let wish = member.tell(receiver, Event::Checkpoint(event));
        member.saved.push(folder);
        if wish == Control::Continue {
            let keep = member.saved.split_off(member.saved.len().saturating_sub(self.options.keep));
            checkpoint::remove_others(checkpoints, &keep, epoch);
            member.saved = keep;
        }
        Ok(())
    }

    /// Writes a member's state to a folder, with the clock standing still.
    fn write(&mut self, number: usize, folder: &Path) -> Result<CheckpointEvent, TrainError> {
        self.pause();
        let seconds = self.at.wall_seconds;
        // What lies there from an attempt that was killed before it could record it does not count.
        let _ = std::fs::remove_dir_all(folder);
        let trial = self.members[number].job.trial.id();
        let (stages, window) = (self.stages, self.window.read()[number]);
        let progress =
            Progress { trial, at: self.at, stages, window, evaluation_due: self.evaluation_due };
        let state = self.state.replicate(number);
        let (digest, bytes) = Checkpoint { state, progress: Some(progress) }.write(folder)?;
        self.clock.resume_at(seconds);
        Ok(CheckpointEvent { at: self.at, path: folder.display().to_string(), digest, bytes })
    }
}

/// The members' masks as they stand at `tokens`, for the state of them all; none if they are open.
fn masks(members: &[Member], state: &TrainingState, tokens: u64) -> Option<Tensor> {
    let masks: Option<Vec<Tensor>> =
        members.iter().map(|member| member.mask.as_ref()?.at(tokens, state)).collect();
    masks.map(|masks| match state.replicates() {
        Some(_) => Tensor::stack(&masks, 0),
        None => masks[0].shallow_clone(),
    })
}

/// The architecture before a stage of the plan, and the growth that the stage is.
fn grown_at(trial: &Trial, stage: usize) -> (Architecture, Grown) {
    let before = trial.plan.architecture_after(stage).clone();
    let seed = derive(trial.seed, &format!("growth/{stage}"));
    let grown = grow_all(&before, &trial.plan.stages()[stage].growths, seed);
    (before, grown.expect("the plan was checked when it was built"))
}

/// The newest recorded checkpoint that is whole and this trial's; says of those that are not what
/// is wrong, and what is done instead.
fn resume(job: &Job, device: Device) -> Option<(TrainingState, Progress)> {
    let before = job.resume.iter().skip(1).map(|_| "using the checkpoint before it");
    let instead = before.chain(["there is no other, so training begins anew"]);
    job.resume.iter().zip(instead).find_map(|(saved, instead)| {
        let read = read_of(saved, &job.trial.id(), device);
        read.map_err(|error| eprintln!("warning: trial {}: {error}; {instead}", job.trial.id()))
            .ok()
    })
}

/// The state of another trial that is also this one's at that point, if it is whole; otherwise says
/// what is wrong.
fn begin(job: &Job, device: Device) -> Option<(TrainingState, Progress)> {
    let Begin { folder, digest } = job.begin.as_ref()?;
    let read = match digest {
        Some(digest) => Checkpoint::read_recorded(folder, digest, device),
        None => Checkpoint::read(folder, device),
    };
    let trial = job.trial.id();
    match read.and_then(|read| progress_of(read, folder)) {
        Ok((state, progress)) => Some((state, Progress { trial, ..progress })),
        Err(error) => {
            eprintln!("warning: trial {trial}: {error}; training from the beginning");
            None
        }
    }
}

fn read_of(
    saved: &Saved,
    trial: &str,
    device: Device,
) -> Result<(TrainingState, Progress), CheckpointError> {
    let Saved { folder, digest } = saved;
    let (state, progress) =
        progress_of(Checkpoint::read_recorded(folder, digest, device)?, folder)?;
    match progress.trial == trial {
        true => Ok((state, progress)),
        false => {
            let why = format!("it belongs to the trial {}", progress.trial);
            Err(CheckpointError::Damaged { path: folder.display().to_string(), why })
        }
    }
}

fn progress_of(
    read: Checkpoint,
    folder: &Path,
) -> Result<(TrainingState, Progress), CheckpointError> {
    let Checkpoint { state, progress } = read;
    let why = || CheckpointError::Damaged {
        path: folder.display().to_string(),
        why: "it says nothing of a training".into(),
    };
    Ok((state, progress.ok_or_else(why)?))
}
