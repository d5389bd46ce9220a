//! The crew: worker processes started, watched, replaced when they die, and stopped together.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader},
    os::unix::process::{CommandExt, ExitStatusExt},
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc::{Receiver, Sender, channel},
    time::Duration,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use outgrow_store::{Store, SweepStatus};
use signal_hook::{
    consts::{SIGINT, SIGTERM},
    iterator::Signals,
};

use crate::RunnerError;

/// How often the crew and the database are looked at.
const LOOK_EVERY: Duration = Duration::from_millis(300);
/// Workers that end in a row while the sweep makes no progress: then it is not the trials.
const MOST_DEATHS_WITHOUT_PROGRESS: usize = 8;

/// Which workers to run.
pub struct Crew<'a> {
    /// How many at once.
    pub size: usize,
    /// The command of the worker of this number.
    pub command: &'a dyn Fn(usize) -> Command,
}

/// What the supervisor has to tell while it runs.
pub enum News<'a> {
    /// Where the sweep stands.
    Status(&'a SweepStatus),
    /// A line that a worker said.
    Line(String),
    /// Something that the user should know.
    Note(String),
}

/// How it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// No trial is left to train.
    Done,
    /// The user stopped it; running again goes on.
    Interrupted,
    /// The workers can't work; why, they have said.
    Broken,
}

/// Runs a crew on a sweep until it is done. The first interrupt lets every worker save and stop; a second kills them.
///
/// Must be called on a thread that outlives the workers (the main thread): they are told when it ends.
///
/// # Errors
/// If a worker can't be started, or the database can't be read.
pub async fn supervise(
    store: &Store,
    sweep: &str,
    crew: &Crew<'_>,
    tell: &mut dyn FnMut(News),
) -> Result<Ended, RunnerError> {
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    let mut watch = Watch::new(crew);
    let mut interrupts = 0;
    loop {
        for _ in signals.pending() {
            interrupts += 1;
            watch.interrupt(interrupts, tell);
        }
        let status = store.status(sweep).await?;
        watch.progressed(&status);
        tell(News::Status(&status));
        watch.bury(tell)?;
        watch.lines().for_each(|line| tell(News::Line(line)));
        let open = status.total() > status.ended();
        if !watch.workers.is_empty() || (open && interrupts == 0 && watch.fill(tell)?) {
            tokio::time::sleep(LOOK_EVERY).await;
            continue;
        }
        let status = store.status(sweep).await?;
        tell(News::Status(&status));
        return Ok(match (interrupts, status.total() > status.ended()) {
            (_, false) => Ended::Done,
            (0, true) => Ended::Broken,
            (_, true) => Ended::Interrupted,
        });
    }
}

/// The living workers and how it goes with them.
struct Watch<'a> {
    crew: &'a Crew<'a>,
    workers: BTreeMap<usize, Child>,
    stopping: bool,
    /// A worker ended by itself with an error: the next would too.
    broken: bool,
    deaths: usize,
    progress: (u64, f64),
    said: (Sender<String>, Receiver<String>),
}

impl<'a> Watch<'a> {
    fn new(crew: &'a Crew) -> Self {
        let said = channel();
        Self { crew, workers: BTreeMap::new(), stopping: false, broken: false, deaths: 0, progress: (0, 0.0), said }
    }

    /// Starts the workers that are missing; says whether any runs.
    fn fill(&mut self, tell: &mut dyn FnMut(News)) -> Result<bool, RunnerError> {
        if self.deaths >= MOST_DEATHS_WITHOUT_PROGRESS && !self.broken {
            self.broken = true;
            tell(News::Note(format!("{} workers ended without any progress; giving up", self.deaths)));
        }
        if self.stopping || self.broken {
            return Ok(!self.workers.is_empty());
        }
        for number in 0..self.crew.size {
            if !self.workers.contains_key(&number) {
                let child = self.start(number)?;
                self.workers.insert(number, child);
            }
        }
        Ok(true)
    }

    fn start(&self, number: usize) -> Result<Child, RunnerError> {
        let mut command = (self.crew.command)(number);
        // A group of its own, so that Ctrl-C reaches the supervisor alone, which then lets the worker save.
        command.process_group(0).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        // SAFETY: prctl is async-signal-safe. The worker saves and stops when its supervisor dies.
        unsafe {
            command.pre_exec(|| nix::sys::prctl::set_pdeathsig(Signal::SIGTERM).map_err(Into::into));
        }
        let mut child = command.spawn()?;
        let (errors, said) = (child.stderr.take().expect("it is piped"), self.said.0.clone());
        std::thread::spawn(move || {
            let lines = BufReader::new(errors).lines().map_while(Result::ok);
            lines.for_each(|line| drop(said.send(line)));
        });
        Ok(child)
    }

    /// Takes leave of workers that ended; replaces those that died.
    fn bury(&mut self, tell: &mut dyn FnMut(News)) -> Result<(), RunnerError> {
        let mut died = false;
        for (number, mut child) in std::mem::take(&mut self.workers) {
            match child.try_wait()? {
                None => drop(self.workers.insert(number, child)),
                // It left nothing to do; if trials are open all the same, it must not be started for ever.
                Some(status) if status.success() => self.deaths += 1,
                Some(status) if status.code().is_some() && !panicked(status) => self.broken = true,
                Some(status) => {
                    died = true;
                    self.deaths += 1;
                    if !self.stopping {
                        tell(News::Note(format!("worker {number} died ({status}); its trial goes on in another")));
                    }
                }
            }
        }
        if died {
            self.fill(tell)?;
        }
        Ok(())
    }

    fn progressed(&mut self, status: &SweepStatus) {
        let now = (status.ended(), status.tokens.0);
        if now != self.progress {
            (self.progress, self.deaths) = (now, 0);
        }
    }

    fn interrupt(&mut self, times: usize, tell: &mut dyn FnMut(News)) {
        self.stopping = true;
        let (signal, note) = match times {
            1 => (Signal::SIGTERM, "stopping: workers save their trials (once more to stop at once)"),
            _ => (Signal::SIGKILL, "stopped at once: trials go on from their last checkpoints"),
        };
        tell(News::Note(note.into()));
        for child in self.workers.values() {
            // It may have ended in this moment.
            let _ = kill(Pid::from_raw(child.id() as i32), signal);
        }
    }

    fn lines(&self) -> impl Iterator<Item = String> {
        self.said.1.try_iter()
    }
}

/// A panic exits with this code, as an abort would with a signal.
fn panicked(status: ExitStatus) -> bool {
    status.code() == Some(101) || status.signal().is_some()
}
