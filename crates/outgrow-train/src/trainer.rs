//! The training loop: from a trial, or from its last checkpoint, to its end.

use std::{
    path::{Path, PathBuf},
    time::Instant,
};

use outgrow_core::{
    Architecture, Event, Growth, Operator, Trial, cost,
    event::{CheckpointEvent, Control, Diagnosis, EvalEvent, GrowthEvent, Outcome, Position, Preservation, StepEvent},
    growth::{Grown, all_preserve, axes, grow_all},
    policy::OptimizerAtGrowth,
    stream::derive,
};
use tch::{Kind, Tensor, no_grad};
use thiserror::Error;

use crate::{
    checkpoint::{self, Checkpoint, CheckpointError, Progress, Window},
    corpus::{Corpus, Order},
    device::Device,
    doctor, learn,
    mask::Mask,
    model::{Model, cross_entropy},
    optimizer,
    state::{How, TrainingState},
    step::{Stepper, batch_of, kinds},
    verify,
};

/// What an attempt needs beside the trial and its text; nothing here changes a result.
pub struct Options {
    /// Where to compute.
    pub device: Device,
    /// The trial's folder of checkpoints.
    pub checkpoints: PathBuf,
    /// Write one when so many tokens were trained since the last.
    pub checkpoint_every_tokens: u64,
    /// The recorded checkpoints to go on from, newest first; damaged ones are passed over.
    pub resume: Vec<PathBuf>,
    /// Compute a batch in so many equal parts, one after another, for memory; the results agree but for rounding.
    pub parts: usize,
    /// Where there is none: the state of another trial that is this one's, too.
    pub begin: Option<PathBuf>,
    /// Steps whose state other trials begin from, and the folder to write it to.
    pub snapshots: Vec<(u64, PathBuf)>,
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

/// How many recorded checkpoints of a trial are kept: the last, and the one before in case that is damaged.
const KEPT: usize = 2;
/// Sequences of the probe batch around a growth.
const PROBE_SEQUENCES: usize = 8;
/// Sequences of each of the doctor's steps.
const DOCTOR_SEQUENCES: usize = 4;

/// Trains a trial to its end, until it diverges, or until the receiver of its events says stop.
///
/// The events of an attempt that goes on from a checkpoint continue those before it: together they are, on a CPU, bit for
/// bit the events of an undisturbed training.
///
/// # Errors
/// If a checkpoint can't be written, or a growth does not preserve the function.
pub fn train(
    trial: &Trial,
    corpus: &Corpus,
    options: &Options,
    on_event: &mut dyn FnMut(Event) -> Control,
) -> Result<Outcome, TrainError> {
    let mut session = Session::begin(trial, corpus, options)?;
    while session.at.step < trial.steps() {
        match session.advance(on_event)? {
            Advance::Going => {}
            Advance::Diverged => return Ok(Outcome::Diverged),
            Advance::Stop => {
                session.save(on_event)?;
                return Ok(Outcome::Stopped);
            }
            Advance::Abandon => return Ok(Outcome::Stopped),
        }
    }
    Ok(Outcome::Complete)
}

enum Advance {
    Going,
    Diverged,
    Stop,
    Abandon,
}

/// An attempt in progress.
struct Session<'a> {
    trial: &'a Trial,
    corpus: &'a Corpus,
    options: &'a Options,
    order: Order,
    stepper: Stepper,
    state: TrainingState,
    at: Position,
    stages: usize,
    /// Of the last stage, until it is open.
    mask: Option<Mask>,
    window: DeviceWindow,
    saved: Vec<PathBuf>,
    clock: Clock,
}

/// The running window, its numbers left on the device until they are asked for.
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
    fn new(window: Window, device: Device) -> Self {
        let scalar = |value: f64| Tensor::from(value).to_device(device.tch());
        Self { loss: scalar(window.loss), steps: window.steps, gradient_norm: scalar(window.gradient_norm) }
    }

    fn read(&self) -> Window {
        Window {
            loss: self.loss.double_value(&[]),
            steps: self.steps,
            gradient_norm: self.gradient_norm.double_value(&[]),
        }
    }
}

/// Whether a multiple of `every` was reached since `before`.
fn due(before: u64, now: u64, every: u64) -> bool {
    now / every > before / every
}

impl<'a> Session<'a> {
    fn begin(trial: &'a Trial, corpus: &'a Corpus, options: &'a Options) -> Result<Self, TrainError> {
        let precision = trial.settings.training.precision;
        let resumed = options.resume.iter().find_map(|folder| usable(folder, trial, options.device));
        let resumed = resumed.or_else(|| begun(options.begin.as_ref()?, trial, options.device));
        checkpoint::remove_others(&options.checkpoints, &options.resume);
        let (state, progress) = resumed.unwrap_or_else(|| {
            let progress =
                Progress { trial: trial.id(), at: Position::default(), stages: 0, window: Window::default() };
            (TrainingState::fresh(trial.plan.initial(), trial.seed, kinds(precision).1, options.device), progress)
        });
        // A mask is not in the checkpoint: it follows from the plan.
        let mask = progress.stages.checked_sub(1).and_then(|stage| {
            let (before, grown) = grown_at(trial, stage);
            Mask::of(trial, stage, &before, grown)
        });
        Ok(Self {
            trial,
            corpus,
            options,
            order: Order::new(trial.seed),
            stepper: Stepper::new(precision, options.device, options.parts),
            state,
            at: progress.at,
            stages: progress.stages,
            mask,
            window: DeviceWindow::new(progress.window, options.device),
            saved: options.resume.iter().rev().cloned().collect(),
            clock: Clock { before: progress.at.wall_seconds, since: Instant::now() },
        })
    }

    /// One optimizer step and whatever is due around it.
    fn advance(&mut self, on_event: &mut dyn FnMut(Event) -> Control) -> Result<Advance, TrainError> {
        let mut wish = Control::Continue;
        let mut tell = |event: Event| {
            let said = on_event(event);
            if wish == Control::Continue || said == Control::Abandon {
                wish = said;
            }
        };
        if self.trial.plan.stages().get(self.stages).is_some_and(|stage| stage.tokens == self.at.tokens) {
            tell(Event::Growth(self.grow()?));
        }
        let before = self.at.tokens;
        // As far open as it will be at the step's end: a step behind a closed mask would teach the new entries nothing.
        self.open_mask(before + self.trial.step_tokens());
        let learning_rate = self.step();
        let (now, last) = (self.at.tokens, self.at.step == self.trial.steps());
        let evaluation = &self.trial.settings.evaluation;
        if last || due(before, now, evaluation.record_every_tokens) {
            let event = self.record(learning_rate);
            tell(Event::Step(event));
            if !event.loss.is_finite() {
                return Ok(Advance::Diverged);
            }
        }
        if last || due(before, now, evaluation.every_tokens) {
            let val_loss = self.evaluate();
            tell(Event::Eval(EvalEvent { at: self.at, val_loss, last }));
            if !val_loss.is_finite() {
                return Ok(Advance::Diverged);
            }
        }
        if let Some((_, folder)) = self.options.snapshots.iter().find(|(step, _)| *step == self.at.step) {
            tell(Event::Snapshot(self.write(folder)?));
        }
        if last || due(before, now, self.options.checkpoint_every_tokens) {
            self.save(&mut |event| {
                tell(event);
                Control::Continue
            })?;
        }
        Ok(match wish {
            Control::Continue => Advance::Going,
            Control::Stop => Advance::Stop,
            Control::Abandon => Advance::Abandon,
        })
    }

    /// Opens the mask as far as it is to be at `tokens`.
    fn open_mask(&mut self, tokens: u64) {
        if let Some(mask) = &self.mask {
            no_grad(|| mask.set(&mut self.state, tokens));
            self.mask = self.mask.take().filter(|mask| !mask.is_open(tokens));
        }
    }

    fn step(&mut self) -> f64 {
        let learning_rate = self.trial.learning_rate(self.at.tokens);
        let (batch, seq_len) = (self.trial.settings.training.batch_size as u64, self.seq_len());
        let first = self.at.step * batch;
        let sequences = (first..first + batch).map(|n| self.corpus.sequence(&self.order, n, seq_len));
        self.at.train_flops += cost::train_flops(self.state.architecture(), seq_len) * batch;
        let stepped = self.stepper.step(&mut self.state, self.trial, sequences, learning_rate, &mut |_| ());
        self.at.step += 1;
        self.at.tokens += self.trial.step_tokens();
        self.window.loss = &self.window.loss + stepped.loss.to_kind(Kind::Double);
        self.window.gradient_norm = self.window.gradient_norm.maximum(&stepped.gradient_norm.to_kind(Kind::Double));
        self.window.steps += 1;
        learning_rate
    }

    /// Reads the window and begins a new one. Reading waits for the device, so the clock is true afterwards.
    fn record(&mut self, learning_rate: f64) -> StepEvent {
        let Window { loss, steps, gradient_norm } = self.window.read();
        self.window = DeviceWindow::new(Window::default(), self.options.device);
        self.at.wall_seconds = self.clock.seconds();
        StepEvent { at: self.at, loss: loss / steps as f64, learning_rate, gradient_norm }
    }

    fn evaluate(&mut self) -> f64 {
        self.pause();
        let seconds = self.at.wall_seconds;
        let windows = self.corpus.validation(self.trial.settings.evaluation.tokens, self.seq_len());
        let model = Model::new(self.state.architecture(), self.state.weights(self.stepper.compute()));
        let batch = self.trial.settings.training.batch_size.div_ceil(self.options.parts);
        let sum: f64 = windows
            .chunks(batch)
            .map(|chunk| {
                let (inputs, targets) = batch_of(chunk.iter().copied(), self.seq_len(), self.options.device);
                let loss = no_grad(|| cross_entropy(&model.logits(&inputs), &targets));
                loss.double_value(&[]) * chunk.len() as f64
            })
            .sum();
        self.clock.resume_at(seconds);
        sum / windows.len() as f64
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

    /// Applies the next stage of the plan: probe, edit weights and optimizer, probe again.
    fn grow(&mut self) -> Result<GrowthEvent, TrainError> {
        self.pause();
        let began = Instant::now();
        let stage = &self.trial.plan.stages()[self.stages];
        let (old, grown) = grown_at(self.trial, self.stages);
        let event = self.stages as u64;
        let preserving = all_preserve(&old, &stage.growths);
        let policy = &self.trial.settings.training.growth;
        let windows = self.corpus.validation((PROBE_SEQUENCES * old.seq_len) as u64, old.seq_len);
        let (inputs, targets) = batch_of(windows.iter().copied(), old.seq_len, self.options.device);
        let copies = policy.optimizer == OptimizerAtGrowth::ScaledCopy;
        let how = How { initializer: &policy.initializer, copies, seed: self.trial.seed, event };
        let mut next = no_grad(|| self.state.grown(&grown, &how));
        if let Some(operator) = stage.growths.iter().find_map(Growth::learning) {
            next = self.learn(operator, next);
        }
        let operator_flops = self.trial.plan.operator_flops(self.stages);
        self.at.train_flops += operator_flops;
        let axes = axes(&old, &grown.architecture, &stage.growths);
        self.mask = Mask::of(self.trial, self.stages, &old, grown);
        if let Some(mask) = &self.mask {
            no_grad(|| mask.set(&mut next, self.at.tokens));
        }
        let preservation = verify::compare(&self.state, &next, &inputs, &targets);
        if preserving && !preservation.holds() {
            let Preservation { tolerance, .. } = preservation;
            return Err(TrainError::NotPreserved { stage: self.stages, error: preservation.error(), tolerance });
        }
        let parameters = [cost::parameters(&old), cost::parameters(next.architecture())];
        let before = std::mem::replace(&mut self.state, next);
        optimizer::at_growth(&mut self.state, policy.optimizer);
        let diagnosis = self.diagnose(&before)?;
        self.stages += 1;
        let seconds = began.elapsed().as_secs_f64();
        self.at.wall_seconds = self.clock.seconds();
        let (stage, growths) = (self.stages - 1, stage.growths.clone());
        Ok(GrowthEvent {
            at: self.at,
            stage,
            growths,
            axes,
            parameters,
            operator_flops,
            preserving,
            preservation,
            diagnosis: Some(Box::new(diagnosis)),
            seconds,
        })
    }

    /// Lets an operator learn from training text, in an order of its own.
    fn learn(&self, operator: &Operator, grown: TrainingState) -> TrainingState {
        let seed = derive(self.trial.seed, &format!("growth/{}/learn", self.stages));
        let (order, seq_len) = (Order::new(seed), self.seq_len());
        let batch = |number: u64, sequences: u64| {
            let first = number * sequences;
            let sequences = (first..first + sequences).map(|n| self.corpus.sequence(&order, n, seq_len));
            batch_of(sequences, seq_len, self.options.device)
        };
        learn::learn(operator, &self.state, grown, seed, &batch)
    }

    /// Asks the doctor about the growth that has just been applied; refuses what can never learn.
    fn diagnose(&self, before: &TrainingState) -> Result<Diagnosis, TrainError> {
        let seq_len = self.seq_len();
        let windows = self.corpus.validation((doctor::STEPS * DOCTOR_SEQUENCES * seq_len) as u64, seq_len);
        // A text with fewer windows is read again.
        let mut windows = windows.iter().copied().cycle();
        let batches =
            std::array::from_fn(|_| batch_of(windows.by_ref().take(DOCTOR_SEQUENCES), seq_len, self.options.device));
        let rate = self.trial.learning_rate(self.at.tokens);
        let set_mask = |state: &mut TrainingState, step: usize| {
            if let Some(mask) = &self.mask {
                no_grad(|| mask.set(state, self.at.tokens + (step + 1) as u64 * self.trial.step_tokens()));
            }
        };
        let diagnosis = doctor::examine(before, &self.state, &batches, self.trial, rate, &set_mask);
        if diagnosis.is_dead() {
            let (new_entries, reached) = (diagnosis.new_entries, 100.0 * diagnosis.reached[2]);
            return Err(TrainError::Dead { stage: self.stages, new_entries, reached, dead: diagnosis.dead.join(", ") });
        }
        Ok(diagnosis)
    }

    /// Writes a checkpoint, tells of it, and only then removes the ones that no longer count: what the receiver of the
    /// event has recorded is on disk at any time.
    fn save(&mut self, on_event: &mut dyn FnMut(Event) -> Control) -> Result<(), TrainError> {
        let folder = checkpoint::step_folder(&self.options.checkpoints, self.at.step);
        if self.saved.last() == Some(&folder) {
            return Ok(());
        }
        on_event(Event::Checkpoint(self.write(&folder)?));
        self.saved.push(folder);
        let keep = self.saved.split_off(self.saved.len().saturating_sub(KEPT));
        checkpoint::remove_others(&self.options.checkpoints, &keep);
        self.saved = keep;
        Ok(())
    }

    /// Writes the state to a folder, with the clock standing still.
    fn write(&mut self, folder: &Path) -> Result<CheckpointEvent, TrainError> {
        self.pause();
        let seconds = self.at.wall_seconds;
        // What lies there from an attempt that was killed before it could record it does not count.
        let _ = std::fs::remove_dir_all(folder);
        let progress =
            Progress { trial: self.trial.id(), at: self.at, stages: self.stages, window: self.window.read() };
        let state = TrainingState::from_parts(self.state.architecture(), self.state.parts(), self.state.step);
        let (digest, bytes) = Checkpoint { state, progress: Some(progress) }.write(folder)?;
        self.clock.resume_at(seconds);
        Ok(CheckpointEvent { at: self.at, path: folder.display().to_string(), digest, bytes })
    }
}

/// The architecture before a stage of the plan, and the growth that the stage is.
fn grown_at(trial: &Trial, stage: usize) -> (Architecture, Grown) {
    let before = trial.plan.architecture_after(stage).clone();
    let seed = derive(trial.seed, &format!("growth/{stage}"));
    let grown = grow_all(&before, &trial.plan.stages()[stage].growths, seed);
    (before, grown.expect("the plan was checked when it was built"))
}

/// The state of another trial that is also this one's at that point, if it is whole; otherwise says why not.
fn begun(folder: &Path, trial: &Trial, device: Device) -> Option<(TrainingState, Progress)> {
    match Checkpoint::read(folder, device) {
        Ok(Checkpoint { state, progress: Some(progress) }) => Some((state, Progress { trial: trial.id(), ..progress })),
        Ok(_) => {
            eprintln!("warning: {} says nothing of a training; training from the beginning", folder.display());
            None
        }
        Err(error) => {
            eprintln!("warning: {error}; training from the beginning");
            None
        }
    }
}

/// The checkpoint in `folder` if it is whole and this trial's; otherwise says why not.
fn usable(folder: &Path, trial: &Trial, device: Device) -> Option<(TrainingState, Progress)> {
    match Checkpoint::read(folder, device) {
        Ok(Checkpoint { state, progress: Some(progress) }) if progress.trial == trial.id() => Some((state, progress)),
        Ok(_) => {
            eprintln!("warning: {} belongs to another trial; using the checkpoint before it", folder.display());
            None
        }
        Err(error) => {
            eprintln!("warning: {error}; using the checkpoint before it");
            None
        }
    }
}
