//! The runner with a fake trainer: its workers are this test binary itself, so processes, signals
//! and the database are real.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::{AtomicBool, Ordering},
    thread::sleep,
    time::Duration,
};

use outgrow_core::{
    Epoch, Event, KeepFinal, Sweep, Trial, TrialState,
    event::{CheckpointEvent, Control, EvalEvent, Outcome, Position, Receiver, StepEvent},
};
use outgrow_runner::{
    Ended, Failure, SupervisorEvent, Tidy, Trained, Work, WorkerPool, supervise, work,
};
use outgrow_store::{Cell, Claim, Environment, Store};

const SWEEP: &str = include_str!("../../outgrow-store/tests/sweep.toml");

fn environment() -> Environment {
    Environment { host: "here".into(), device: "cpu".into(), threads: 1, versions: "test".into() }
}

/// "Trains" 20 steps of a few milliseconds with a checkpoint every 5, from the last one that was
/// recorded.
fn fake(claim: &Claim, on_event: &mut dyn FnMut(Event) -> Control) -> Result<Outcome, Failure> {
    let first = claim.checkpoints.first().map_or(0, |saved| saved.path.parse().expect("a step"));
    for step in first + 1..=20u64 {
        sleep(Duration::from_millis(8));
        let at = Position {
            step,
            tokens: step * 10,
            train_flops: u128::from(step) * 100,
            wall_seconds: step as f64,
        };
        let loss = 1.0 / (step as f64 + claim.trial.seed as f64 / 1e18);
        let mut request =
            on_event(Event::Step(StepEvent { at, loss, learning_rate: 0.1, gradient_norm: 1.0 }));
        if step % 5 == 0 {
            on_event(Event::Eval(EvalEvent { at, val_loss: loss, last: step == 20 }));
            let checkpoint =
                CheckpointEvent { at, path: step.to_string(), digest: String::new(), bytes: 0 };
            request = on_event(Event::Checkpoint(checkpoint));
        }
        match request {
            Control::Continue | Control::Spooled => {}
            Control::Stop | Control::Abandon => return Ok(Outcome::Stopped),
        }
    }
    Ok(Outcome::Complete)
}

/// The folder of a trial.
fn spools(trial: &Trial) -> PathBuf {
    env::temp_dir().join(format!("outgrow-runner-{}", std::process::id())).join(trial.id())
}

/// One claim after another by a trainer of single trials.
fn each<'a>(
    mut one: impl FnMut(&Claim, &mut dyn FnMut(Event) -> Control) -> Result<Outcome, Failure> + 'a,
) -> impl FnMut(&[Claim], &mut dyn Receiver) -> Trained + 'a {
    move |claims, receiver| {
        let train = |(number, claim)| one(claim, &mut |event| receiver.tell(number, event));
        Trained { ended: claims.iter().enumerate().map(train).collect(), memory: None }
    }
}

/// Not a test: what the supervisor starts. It does nothing unless it is told where the database is.
#[test]
fn worker_process() {
    let (Ok(database), Ok(sweep)) = (env::var("FAKE_DATABASE"), env::var("FAKE_SWEEP")) else {
        return;
    };
    let stop = AtomicBool::new(false);
    let job = Work {
        database: &database,
        sweep: &sweep,
        environment: environment(),
        stacked: &|_| 1,
        folder: &spools,
        tidy: Tidy { keep: KeepFinal::All, remove_others: &|_, _| (), remove_snapshot: &|_| () },
        hung_after: Duration::MAX,
        stop: &stop,
    };
    let mut killed = env::var("FAKE_SUICIDE").is_ok();
    let mut train = each(|claim, on_event| {
        let mut counted = 0;
        fake(claim, &mut |event| {
            counted += 1;
            if killed && counted == 13 && claim.epoch == Epoch(1) {
                killed = false;
                nix::sys::signal::kill(nix::unistd::Pid::this(), nix::sys::signal::Signal::SIGKILL)
                    .expect("kill");
            }
            on_event(event)
        })
    });
    work(&job, &mut train).expect("work");
}

fn worker(database: &str, sweep: &str, suicide: bool) -> Command {
    let mut command = Command::new(env::current_exe().expect("this program"));
    command
        .args(["--exact", "worker_process"])
        .env("FAKE_DATABASE", database)
        .env("FAKE_SWEEP", sweep);
    if suicide {
        command.env("FAKE_SUICIDE", "1");
    }
    command
}

async fn planned(folder: &Path) -> (String, Store, String) {
    let database = folder.join("a.db").display().to_string();
    let store = Store::open(&database).await.expect("a database");
    let sweep = Sweep::parse(SWEEP).expect("a sweep");
    let members = sweep.members("d").expect("members");
    let id = store.insert_sweep(&sweep, "d", &members, false).await.expect("inserted").sweep;
    (database, store, id)
}

async fn rows(database: &str) -> Vec<Vec<Cell>> {
    let sql = "SELECT t.id, s.step, s.loss FROM step_metric s JOIN trial t ON t.number = s.trial \
               ORDER BY 1, 2";
    Store::open_read_only(database).await.expect("opens").query(sql).await.expect("an answer").rows
}

#[tokio::test]
async fn what_workers_are_killed_at_goes_on_from_its_checkpoint() {
    let folders = [(); 2].map(|()| tempfile::tempdir().expect("a folder"));
    let (mut all, mut notes) = (vec![], vec![]);
    for (folder, suicide) in folders.iter().zip([false, true]) {
        let (database, store, sweep) = planned(folder.path()).await;
        let command = |_| worker(&database, &sweep, suicide);
        let pool = WorkerPool { size: 2, command: &command };
        let mut tell = |event: SupervisorEvent| {
            if let SupervisorEvent::Note(note) = event {
                notes.push(note);
            }
        };
        let ended = supervise(&store, &sweep, &pool, &mut tell).await.expect("supervised");
        assert_eq!(ended, Ended::Done);
        let status = store.status(&sweep).await.expect("status");
        assert_eq!(status.count(TrialState::Complete), status.total());
        all.push(rows(&database).await);
    }
    assert!(!notes.is_empty(), "no worker died, so nothing was tested");
    assert_eq!(all[0], all[1], "killed workers must leave the same rows");
    assert_eq!(all[0].len(), 6 * 20);
}

#[tokio::test]
async fn a_crew_that_can_not_work_is_given_up() {
    for script in ["exit 3", "kill -9 $$", "exit 0"] {
        let folder = tempfile::tempdir().expect("a folder");
        let (_, store, sweep) = planned(folder.path()).await;
        let command = |_| {
            let mut command = Command::new("sh");
            command.args(["-c", &format!("echo trouble >&2; {script}")]);
            command
        };
        let pool = WorkerPool { size: 2, command: &command };
        let mut lines = vec![];
        let mut tell = |event: SupervisorEvent| {
            if let SupervisorEvent::Line(line) = event {
                lines.push(line);
            }
        };
        let ended = supervise(&store, &sweep, &pool, &mut tell).await.expect("supervised");
        assert_eq!(ended, Ended::Broken, "{script}");
        assert_eq!(
            lines.first().map(String::as_str),
            Some("trouble"),
            "{script}: what a worker says is passed on"
        );
    }
}

#[test]
fn a_worker_obeys() {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let folder = tempfile::tempdir().expect("a folder");
    let (database, store, sweep) = runtime.block_on(planned(folder.path()));
    let stop = AtomicBool::new(false);
    let job = Work {
        database: &database,
        sweep: &sweep,
        environment: environment(),
        stacked: &|_| 1,
        folder: &spools,
        tidy: Tidy { keep: KeepFinal::All, remove_others: &|_, _| (), remove_snapshot: &|_| () },
        hung_after: Duration::MAX,
        stop: &stop,
    };
    // Told to stop in the middle, it leaves the trial waiting, its rows and its checkpoint
    // recorded.
    let mut counted = 0;
    let mut train = each(|claim, on_event| {
        fake(claim, &mut |event| {
            counted += 1;
            stop.store(counted > 8, Ordering::Relaxed);
            on_event(event)
        })
    });
    work(&job, &mut train).expect("work");
    assert_eq!(
        runtime.block_on(store.status(&sweep)).expect("status").count(TrialState::Waiting),
        6
    );
    assert!(!runtime.block_on(rows(&database)).is_empty());
    // A trial that can't be trained fails with its reason, and the next one is taken.
    stop.store(false, Ordering::Relaxed);
    let mut first = true;
    let mut train = each(|claim, on_event| match std::mem::take(&mut first) {
        true => Err(Failure::Trial("it is cursed".into())),
        false => fake(claim, on_event),
    });
    work(&job, &mut train).expect("work");
    let failures = runtime.block_on(store.failures(&sweep)).expect("failures");
    assert_eq!(
        failures.iter().map(|(_, error)| error.as_str()).collect::<Vec<_>>(),
        ["it is cursed"]
    );
    assert_eq!(
        runtime.block_on(store.status(&sweep)).expect("status").count(TrialState::Complete),
        5
    );
    // A place that is at fault keeps its trial for a better one.
    runtime.block_on(store.retry_failed(&sweep)).expect("retried");
    let mut train = each(|_, _| Err(Failure::Environment("disk full".into())));
    assert!(work(&job, &mut train).is_err_and(|error| error.to_string() == "disk full"));
    assert_eq!(
        runtime.block_on(store.status(&sweep)).expect("status").count(TrialState::Waiting),
        1
    );
}

#[test]
fn a_trial_without_enough_memory_is_cut_and_fails_when_it_can_not_be() {
    let folder = tempfile::tempdir().expect("a folder");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let (database, store, sweep) = runtime.block_on(planned(folder.path()));
    let stop = AtomicBool::new(false);
    let job = Work {
        database: &database,
        sweep: &sweep,
        environment: environment(),
        stacked: &|_| 1,
        folder: &spools,
        tidy: Tidy { keep: KeepFinal::All, remove_others: &|_, _| (), remove_snapshot: &|_| () },
        hung_after: Duration::MAX,
        stop: &stop,
    };
    let mut hopeless = None;
    let mut train = each(|claim, on_event| {
        let hopeless = *hopeless.get_or_insert(claim.number);
        match claim.micro_batches == 1 || claim.number == hopeless {
            true => Err(Failure::Memory(format!("too small for {}", claim.micro_batches))),
            false => fake(claim, on_event),
        }
    });
    work(&job, &mut train).expect("work");
    // A batch of two can be cut once.
    let failures = runtime.block_on(store.failures(&sweep)).expect("failures");
    assert_eq!(
        failures.iter().map(|(_, error)| error.as_str()).collect::<Vec<_>>(),
        ["too small for 2"]
    );
    assert_eq!(
        runtime.block_on(store.status(&sweep)).expect("status").count(TrialState::Complete),
        5
    );
    let notes = "SELECT count(*) FROM attempt WHERE note = 'too small for 1'";
    let reading = runtime.block_on(Store::open_read_only(&database)).expect("opens");
    assert_eq!(
        runtime.block_on(reading.query(notes)).expect("an answer").rows,
        [[Cell::Integer(6)]]
    );
}

#[test]
fn replicates_without_enough_memory_have_fewer_neighbours() {
    let folder = tempfile::tempdir().expect("a folder");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let (database, store, sweep) = runtime.block_on(planned(folder.path()));
    let stop = AtomicBool::new(false);
    let job = Work {
        database: &database,
        sweep: &sweep,
        environment: environment(),
        stacked: &|_| 2,
        folder: &spools,
        tidy: Tidy { keep: KeepFinal::All, remove_others: &|_, _| (), remove_snapshot: &|_| () },
        hung_after: Duration::MAX,
        stop: &stop,
    };
    let mut sizes = vec![];
    let mut train = |claims: &[Claim], receiver: &mut dyn Receiver| {
        sizes.push(claims.len());
        assert!(claims.iter().all(|claim| claim.micro_batches == 1), "no batch need be cut");
        match claims.len() {
            1 => each(fake)(claims, receiver),
            n => Trained {
                ended: vec![Err(Failure::Memory(format!("too small for {n}"))); n],
                memory: None,
            },
        }
    };
    work(&job, &mut train).expect("work");
    assert_eq!(sizes, [2, 1, 1, 1, 1, 1, 1]);
    assert_eq!(
        runtime.block_on(store.status(&sweep)).expect("status").count(TrialState::Complete),
        6
    );
}

/// A training that has nothing to tell for long is asked all the same: it learns that its trial is
/// another's.
#[test]
fn a_lost_trial_is_learned_of_between_events() {
    let folder = tempfile::tempdir().expect("a folder");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let (database, store, sweep) = runtime.block_on(planned(folder.path()));
    let stop = AtomicBool::new(false);
    let job = Work {
        database: &database,
        sweep: &sweep,
        environment: environment(),
        stacked: &|_| 1,
        folder: &spools,
        tidy: Tidy { keep: KeepFinal::All, remove_others: &|_, _| (), remove_snapshot: &|_| () },
        hung_after: Duration::MAX,
        stop: &stop,
    };
    let mut wishes = vec![];
    let mut train = |_: &[Claim], receiver: &mut dyn Receiver| {
        wishes.push(receiver.request(0));
        let held = runtime.block_on(store.held(&sweep)).expect("held");
        assert!(runtime.block_on(store.release(&held[0], None)).expect("released"));
        let began = std::time::Instant::now();
        while receiver.request(0) == Control::Continue && began.elapsed() < Duration::from_secs(120)
        {
            sleep(Duration::from_millis(20));
        }
        wishes.push(receiver.request(0));
        stop.store(true, Ordering::Relaxed);
        Trained { ended: vec![Ok(Outcome::Stopped)], memory: None }
    };
    assert!(work(&job, &mut train).expect("work"));
    assert_eq!(wishes, [Control::Continue, Control::Abandon]);
}
