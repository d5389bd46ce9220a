//! The pool: worker processes started, watched, replaced when they die, and stopped together.

use std::{
    collections::{BTreeMap, VecDeque},
    io::{self, BufRead, BufReader},
    os::unix::process::{CommandExt, ExitStatusExt},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{
        Arc, Mutex,
        mpsc::{Receiver, Sender, channel},
    },
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use outgrow_store::{Holder, Store, StoreError, SweepStatus};
use signal_hook::{
    consts::{SIGINT, SIGTERM, SIGUSR1},
    iterator::Signals,
};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use crate::{
    RunnerError,
    reaper::{LOOK_EVERY as REAP_EVERY, Reaper},
    this_process,
};

/// How often the pool and the database are looked at.
const LOOK_EVERY: Duration = Duration::from_millis(300);
/// Lines of what a worker said that are kept for the record of its death.
const LAST_LINES: usize = 40;
/// Workers that end in a row while the sweep makes no progress: then it is not the trials.
const MOST_DEATHS_WITHOUT_PROGRESS: usize = 8;

/// Which workers to run.
pub struct WorkerPool<'a> {
    /// How many at once.
    pub size: usize,
    /// The command of the worker of this number.
    pub command: &'a dyn Fn(usize) -> Command,
}

/// What the supervisor has to tell while it runs.
pub enum SupervisorEvent<'a> {
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

/// Runs a pool on a sweep until it is done. The first interrupt lets every worker save and stop; a
/// second kills them. Workers that died, of this pool or another, lose their trials, and of those
/// of this pool it is recorded what they said last.
///
/// Must be called on a thread that outlives the workers (the main thread): they are told when it
/// ends.
///
/// # Errors
/// If a worker can't be started, or the database can't be read.
pub async fn supervise(
    store: &Store,
    sweep: &str,
    pool: &WorkerPool<'_>,
    tell: &mut dyn FnMut(SupervisorEvent),
) -> Result<Ended, RunnerError> {
    let mut signals = signals()?;
    let mut watch = Watch::new(pool);
    let (mut interrupts, mut away) = (0, false);
    loop {
        watch.reap(tell)?;
        watch.lines().for_each(|line| tell(SupervisorEvent::Line(line)));
        if interrupts > 1 && watch.workers.is_empty() {
            return Ok(Ended::Interrupted);
        }
        // A database may take its time to answer; a user is answered at once.
        let looked = tokio::select! {
            status = look(store, sweep, &mut watch, tell) => Some(status),
            Some(()) = signals.recv() => None,
        };
        let status = match looked {
            None => {
                interrupts += 1;
                watch.interrupt(interrupts, tell);
                continue;
            }
            Some(Err(error)) if error.is_passing() => {
                if !std::mem::replace(&mut away, true) {
                    tell(SupervisorEvent::Note(format!(
                        "the database does not answer ({error}); workers go on, and it is asked \
                         again"
                    )));
                }
                None
            }
            Some(status) => Some(status?),
        };
        if let Some(status) = &status {
            if std::mem::take(&mut away) {
                tell(SupervisorEvent::Note("the database is back".into()));
            }
            watch.progressed(status);
            tell(SupervisorEvent::Status(status));
        }
        let open = status.as_ref().is_none_or(|status| status.total() > status.ended());
        let works = !watch.workers.is_empty() || (open && interrupts == 0 && watch.fill(tell)?);
        match status {
            _ if works => tokio::time::sleep(LOOK_EVERY).await,
            None if interrupts == 0 => tokio::time::sleep(LOOK_EVERY).await,
            None => return Ok(Ended::Interrupted),
            Some(_) => return conclude(store, sweep, interrupts, tell).await,
        }
    }
}

/// A message for each signal that asks to stop.
fn signals() -> io::Result<UnboundedReceiver<()>> {
    let (sender, receiver) = unbounded_channel();
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGUSR1])?;
    std::thread::spawn(move || signals.forever().try_for_each(|_| sender.send(())));
    Ok(receiver)
}

/// Where the sweep stands, after the dead have lost their trials.
async fn look(
    store: &Store,
    sweep: &str,
    watch: &mut Watch<'_>,
    tell: &mut dyn FnMut(SupervisorEvent<'_>),
) -> Result<SweepStatus, StoreError> {
    if watch.reaped.is_none_or(|before| before.elapsed() >= REAP_EVERY) {
        watch.reaped = Some(Instant::now());
        let Watch { reaper, logs, workers, killed, .. } = watch;
        reaper
            .reap(
                store,
                sweep,
                |holder| logs.said_by(holder),
                |holder| {
                    // One that was killed takes its time to leave a GPU; nobody takes its place.
                    if !*killed {
                        kill_silent(workers, logs, holder, tell)
                    }
                },
            )
            .await?;
    }
    store.status(sweep).await
}

async fn conclude(
    store: &Store,
    sweep: &str,
    interrupts: usize,
    tell: &mut dyn FnMut(SupervisorEvent<'_>),
) -> Result<Ended, RunnerError> {
    let status = store.status(sweep).await?;
    tell(SupervisorEvent::Status(&status));
    Ok(match (interrupts, status.total() > status.ended()) {
        (_, false) => Ended::Done,
        (0, true) => Ended::Broken,
        (_, true) => Ended::Interrupted,
    })
}

/// What each worker of the pool said last, also after its end.
struct Logs {
    here: Holder,
    of: BTreeMap<u32, Arc<Mutex<VecDeque<String>>>>,
}

impl Logs {
    /// The last lines of a worker, if it was one of this pool and said any.
    fn said_by(&self, holder: &Holder) -> Option<String> {
        let is_here = holder.host == self.here.host && holder.boot == self.here.boot;
        let lines =
            self.of.get(&holder.pid).filter(|_| is_here)?.lock().expect("nobody panics with it");
        (!lines.is_empty()).then(|| Vec::from(lines.clone()).join("\n"))
    }
}

/// The living workers and how it goes with them.
struct Watch<'a> {
    pool: &'a WorkerPool<'a>,
    workers: BTreeMap<usize, Child>,
    stopping: bool,
    /// The user had them killed.
    killed: bool,
    /// A worker ended by itself with an error: the next would too.
    broken: bool,
    deaths: usize,
    progress: (u64, f64),
    said: (Sender<String>, Receiver<String>),
    logs: Logs,
    reaper: Reaper,
    reaped: Option<Instant>,
}

impl<'a> Watch<'a> {
    fn new(pool: &'a WorkerPool) -> Self {
        let said = channel();
        Self {
            pool,
            workers: BTreeMap::new(),
            stopping: false,
            killed: false,
            broken: false,
            deaths: 0,
            progress: (0, 0.0),
            said,
            logs: Logs { here: this_process(), of: BTreeMap::new() },
            reaper: Reaper::default(),
            reaped: None,
        }
    }

    /// Starts the workers that are missing; says whether any runs.
    fn fill(&mut self, tell: &mut dyn FnMut(SupervisorEvent)) -> Result<bool, RunnerError> {
        if self.deaths >= MOST_DEATHS_WITHOUT_PROGRESS && !self.broken && !self.stopping {
            self.broken = true;
            tell(SupervisorEvent::Note(format!(
                "{} workers ended without any progress; giving up",
                self.deaths
            )));
        }
        if self.stopping || self.broken {
            return Ok(!self.workers.is_empty());
        }
        for number in 0..self.pool.size {
            if !self.workers.contains_key(&number) {
                let child = self.start(number)?;
                self.workers.insert(number, child);
            }
        }
        Ok(true)
    }

    fn start(&mut self, number: usize) -> Result<Child, RunnerError> {
        let mut command = (self.pool.command)(number);
        // A group of its own, so that Ctrl-C reaches the supervisor alone, which then lets the
        // worker save.
        command.process_group(0).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        // SAFETY: prctl is async-signal-safe. The worker saves and stops when its supervisor dies.
        unsafe {
            command
                .pre_exec(|| nix::sys::prctl::set_pdeathsig(Signal::SIGTERM).map_err(Into::into));
        }
        let mut child = command.spawn()?;
        let (errors, said) = (child.stderr.take().expect("it is piped"), self.said.0.clone());
        let last = Arc::<Mutex<VecDeque<String>>>::default();
        self.logs.of.insert(child.id(), last.clone());
        std::thread::spawn(move || {
            for line in BufReader::new(errors).lines().map_while(Result::ok) {
                let mut last = last.lock().expect("nobody panics with it");
                last.push_back(line.clone());
                if last.len() > LAST_LINES {
                    last.pop_front();
                }
                drop(said.send(line));
            }
        });
        Ok(child)
    }

    /// Takes leave of workers that ended; replaces those that died.
    fn reap(&mut self, tell: &mut dyn FnMut(SupervisorEvent)) -> Result<(), RunnerError> {
        let mut died = false;
        for (number, mut child) in std::mem::take(&mut self.workers) {
            match child.try_wait()? {
                None => drop(self.workers.insert(number, child)),
                // It left nothing to do; if trials are open all the same, it must not be started
                // for ever.
                Some(status) if status.success() => self.deaths += 1,
                // Told to stop by somebody else: another may take its place.
                Some(status) if status.code() == Some(INTERRUPTED) => self.deaths += 1,
                Some(status) if status.code().is_some() && !panicked(status) => self.broken = true,
                Some(status) => {
                    died = true;
                    self.deaths += 1;
                    self.reaped = None;
                    if !self.stopping {
                        tell(SupervisorEvent::Note(format!(
                            "worker {number} died ({status}); its trial goes on in another"
                        )));
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

    fn interrupt(&mut self, times: usize, tell: &mut dyn FnMut(SupervisorEvent)) {
        (self.stopping, self.killed) = (true, times > 1);
        let (signal, note) = match times {
            1 => {
                (Signal::SIGTERM, "stopping: workers save their trials (once more to stop at once)")
            }
            _ => (Signal::SIGKILL, "stopped at once: trials go on from their last checkpoints"),
        };
        tell(SupervisorEvent::Note(note.into()));
        for child in self.workers.values() {
            // It may have ended in this moment.
            let _ = kill(Pid::from_raw(child.id() as i32), signal);
        }
    }

    fn lines(&self) -> impl Iterator<Item = String> {
        self.said.1.try_iter()
    }
}

impl Drop for Watch<'_> {
    /// Those that are still there when it ends by an error have no database to record in: it can't
    /// be read, or is another.
    fn drop(&mut self) {
        for child in self.workers.values_mut() {
            // It may have ended in this moment.
            let _ = child.kill().and_then(|()| child.wait());
        }
    }
}

/// A worker that loses its trials for its silence and is still there has stopped or hangs: another
/// takes its place.
fn kill_silent(
    workers: &BTreeMap<usize, Child>,
    logs: &Logs,
    holder: &Holder,
    tell: &mut dyn FnMut(SupervisorEvent),
) {
    let is_here = holder.host == logs.here.host && holder.boot == logs.here.boot;
    if let Some((number, child)) =
        workers.iter().find(|(_, child)| is_here && child.id() == holder.pid)
    {
        tell(SupervisorEvent::Note(format!(
            "worker {number} gave no sign of life; its trial goes on in another"
        )));
        let _ = kill(Pid::from_raw(child.id() as i32), Signal::SIGKILL);
    }
}

/// The exit code of a worker that was told to stop.
const INTERRUPTED: i32 = 130;

/// A panic exits with this code, as an abort would with a signal.
fn panicked(status: ExitStatus) -> bool {
    status.code() == Some(101) || status.signal().is_some()
}
