//! What a sweep's trainings, growth events and recording cost.

use std::{
    path::{Path, PathBuf},
    sync::atomic::AtomicBool,
    time::{Duration, Instant},
};

use outgrow::{
    Error, SweepFile, Workspace,
    bench::median,
    readable::{count, scaled},
    runtime,
};
use outgrow_core::{
    Event, KeepFinal, Sweep, Trial,
    event::{Control, GrowthEvent, Outcome, Position, Receiver},
    model::n_parameters,
    sweep::Member,
};
use outgrow_data::Corpus;
use outgrow_runner::{Tidy, Trained, Work, work};
use outgrow_store::{Claim, Environment, Store};
use outgrow_train::{Device, Options, train};
use serde_json::json;

use crate::Common;

/// What growing and recording cost in a sweep
///
/// The first growing trial is trained again and again in this process, and what it told is recorded
/// at the same pace, in a temporary folder.
#[derive(clap::Args)]
pub struct SweepArgs {
    /// The sweep file
    sweep: PathBuf,
    #[command(flatten)]
    common: Common,
}

/// Trains one growing trial of a sweep again and again, records what it told at the same pace, and
/// says what costs what.
pub fn bench(args: &SweepArgs) -> Result<String, Error> {
    let file = SweepFile::read(&args.sweep)?;
    let sweep = file.sweep();
    let device = args.common.device()?;
    let folder = crate::folder()?;
    let database = folder.path().join("text.db").display().to_string();
    let workspace = Workspace::new(database, None);
    let digest = workspace.prepare(&file, &())?.summary.digest;
    let planned = Instant::now();
    let members = file.members(&digest)?;
    let planning = planned.elapsed().as_secs_f64();
    let corpus = Corpus::prepared(&digest, &workspace.text(), sweep.spec().data.seq_len)
        .map_err(Error::environment("training text"))?;
    let growing = members.iter().position(|member| !member.trial.plan.stages().is_empty());
    let member = members[growing.unwrap_or(0)].clone();
    let initial = workspace.initial_of(sweep);
    let job = Job { sweep, digest: &digest, member, corpus, device, initial };
    let measured = job.runs(folder.path(), args.common.runs)?;
    let answer = Answer::new(&job.member.trial, &measured, planning, members.len());
    Ok(if args.common.json { answer.as_json() } else { answer.as_text() })
}

struct Job<'a> {
    sweep: &'a Sweep,
    digest: &'a str,
    member: Member,
    corpus: Corpus,
    device: Device,
    initial: Option<PathBuf>,
}

/// One training, recorded afterwards.
struct Run {
    /// Of the training.
    seconds: f64,
    /// Of the recorder's processor time, and of the training's waiting for it.
    recording_seconds: f64,
    events: Vec<Event>,
}

impl Job<'_> {
    fn runs(&self, folder: &Path, runs: u16) -> Result<Vec<Run>, Error> {
        // The first training of a process is slower: libtorch sets itself up.
        self.run(&folder.join("first"))?;
        (0..runs).map(|n| self.run(&folder.join(n.to_string()))).collect()
    }

    fn run(&self, folder: &Path) -> Result<Run, Error> {
        let mut events = vec![];
        let began = Instant::now();
        self.train(folder, &mut |event| {
            events.push(event);
            Control::Continue
        })
        .map_err(Error::environment("training"))?;
        let seconds = began.elapsed().as_secs_f64();
        Ok(Run { seconds, recording_seconds: self.record(folder, &events)?, events })
    }

    /// Plays the events of a training to a worker that does nothing else, when they happened, and
    /// gives the seconds that it took from the training. To train twice, with and without, would
    /// show the machine's noise and not this.
    fn record(&self, folder: &Path, events: &[Event]) -> Result<f64, Error> {
        let database = folder.join("bench.db").display().to_string();
        let sweep = runtime()?.block_on(async {
            let store = Store::open(&database).await?;
            let inserted = store
                .insert_sweep(self.sweep, self.digest, std::slice::from_ref(&self.member), true)
                .await?;
            store.close().await;
            Ok::<_, Error>(inserted.sweep)
        })?;
        let environment = Environment {
            host: String::new(),
            device: String::new(),
            threads: 1,
            versions: String::new(),
        };
        let spool = folder.join("spool");
        let job = Work {
            database: &database,
            sweep: &sweep,
            environment,
            stacked: &|_| 1,
            folder: &|_| spool.clone(),
            tidy: Tidy {
                keep: KeepFinal::All,
                remove_others: &|_, _| (),
                remove_snapshot: &|_| (),
            },
            hung_after: Duration::MAX,
            stop: &AtomicBool::new(false),
        };
        let (mut waited, before) = (0.0, cpu_seconds());
        work(&job, &mut |_: &[Claim], receiver: &mut dyn Receiver| {
            let began = Instant::now();
            for event in events {
                let due = Duration::from_secs_f64(position(event).wall_seconds);
                std::thread::sleep(due.saturating_sub(began.elapsed()));
                let asked = Instant::now();
                receiver.tell(0, event.clone());
                waited += asked.elapsed().as_secs_f64();
            }
            Trained { ended: vec![Ok(Outcome::Complete)], memory: None }
        })?;
        Ok(cpu_seconds() - before + waited)
    }

    fn train(
        &self,
        folder: &Path,
        on_event: &mut dyn FnMut(Event) -> Control,
    ) -> Result<Outcome, String> {
        let checkpoint_every_tokens = self.sweep.spec().checkpoints.every_tokens;
        let options = Options {
            device: self.device,
            checkpoint_every_tokens,
            micro_batches: 1,
            keep: 2,
            keep_final: KeepFinal::All,
        };
        let (trial, checkpoints) = (self.member.trial.clone(), folder.join("checkpoints"));
        let initial = self.initial.clone();
        let job = outgrow_train::Job {
            trial,
            checkpoints,
            epoch: 1,
            resume: vec![],
            prefix: None,
            initial,
            snapshots: vec![],
        };
        train(&job, &self.corpus, &options, on_event).map_err(|error| error.to_string())
    }
}

fn position(event: &Event) -> Position {
    match event {
        Event::Step(event) => event.at,
        Event::Eval(event) => event.at,
        Event::Growth(event) => event.at,
        Event::Checkpoint(event) | Event::Snapshot(event) => event.at,
    }
}

/// Processor seconds of this process, all threads.
fn cpu_seconds() -> f64 {
    let time = nix::time::clock_gettime(nix::time::ClockId::CLOCK_PROCESS_CPUTIME_ID)
        .expect("this clock exists");
    time.tv_sec() as f64 + time.tv_nsec() as f64 * 1e-9
}

struct Answer {
    parameters: u64,
    runs: usize,
    tokens_per_second: f64,
    flops_per_second: f64,
    growth_in_steps: Option<f64>,
    recording_share: f64,
    planning_seconds: f64,
    trials: usize,
}

impl Answer {
    fn new(trial: &Trial, runs: &[Run], planning_seconds: f64, trials: usize) -> Self {
        let seconds = median(
            runs.iter().filter_map(|run| last_step(&run.events)).map(|(seconds, _)| seconds),
        );
        let flops = trial.plan.train_flops(trial.settings.tokens) as f64;
        let growths = runs.iter().flat_map(|run| growth_in_steps(trial, &run.events));
        Self {
            parameters: n_parameters(trial.plan.target()),
            runs: runs.len(),
            tokens_per_second: trial.settings.tokens as f64 / seconds,
            flops_per_second: flops / seconds,
            growth_in_steps: (!trial.plan.stages().is_empty()).then(|| median(growths)),
            recording_share: median(runs.iter().map(|run| run.recording_seconds / run.seconds)),
            planning_seconds,
            trials,
        }
    }

    fn as_json(&self) -> String {
        crate::json(&json!({
            "parameters": self.parameters, "runs": self.runs,
            "tokens_per_second": self.tokens_per_second,
            "flops_per_second": self.flops_per_second, "growth_in_steps": self.growth_in_steps,
            "recording_share": self.recording_share, "planning_seconds": self.planning_seconds,
            "trials": self.trials,
        }))
    }

    fn as_text(&self) -> String {
        let growth = self.growth_in_steps.map_or_else(
            || "no trial of the sweep grows".into(),
            |steps| {
                format!("{steps:.2} training steps of the grown model (median; probes included)")
            },
        );
        format!(
            "training          {} tokens/s, {}FLOP/s, growing to {} parameters\n\
             a growth event    {growth}\n\
             recording         {:.2} % of training time (median of {} runs)\n\
             planning          {:.2} s for {} trials",
            count(self.tokens_per_second),
            scaled(self.flops_per_second),
            count(self.parameters as f64),
            100.0 * self.recording_share,
            self.runs,
            self.planning_seconds,
            self.trials
        )
    }
}

fn last_step(events: &[Event]) -> Option<(f64, u64)> {
    events.iter().rev().find_map(|event| match event {
        Event::Step(step) => Some((step.at.wall_seconds, step.at.step)),
        _ => None,
    })
}

/// For each growth event: its seconds divided by those of a step between it and the next growth.
fn growth_in_steps(trial: &Trial, events: &[Event]) -> Vec<f64> {
    let growths: Vec<&GrowthEvent> = events
        .iter()
        .filter_map(|e| if let Event::Growth(g) = e { Some(g) } else { None })
        .collect();
    let in_steps = |(number, growth): (usize, &&GrowthEvent)| {
        let until = growths.get(number + 1).map_or(trial.steps(), |next| next.at.step);
        let steps =
            events.iter().filter_map(|e| if let Event::Step(s) = e { Some(s.at) } else { None });
        let mut stretch = steps.filter(|at| (growth.at.step + 1..=until).contains(&at.step));
        let (first, last) = (stretch.next()?, stretch.next_back()?);
        let seconds = (last.wall_seconds - first.wall_seconds) / (last.step - first.step) as f64;
        Some(growth.seconds / seconds)
    };
    growths.iter().enumerate().filter_map(in_steps).collect()
}
