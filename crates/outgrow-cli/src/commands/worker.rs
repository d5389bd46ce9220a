//! `outgrow worker`: one process that trains trials.

use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    path::PathBuf,
    sync::{Arc, atomic::AtomicBool},
};

use outgrow_core::{Event, Sweep, cost, event::Control, event::Outcome};
use outgrow_runner::{Work, work};
use outgrow_store::{Claim, Environment, SweepSummary};
use outgrow_train::{Corpus, Device, Options, TrainError, device, train};
use signal_hook::consts::{SIGINT, SIGTERM};

use crate::{
    args::Worker,
    failure::Failure,
    place::{Place, runtime},
};

/// Trains until nothing is left, or until told to stop.
pub fn worker(place: &Place, args: &Worker) -> Result<(), Failure> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        let flag = signal_hook::flag::register(signal, stop.clone());
        flag.map_err(Failure::environment("cannot listen to signals"))?;
    }
    say_nothing_of_memory();
    device::initialise(usize::from(args.threads));
    let summary =
        runtime()?.block_on(async { Ok::<_, Failure>(place.reading().await?.find_sweep(&args.sweep).await?) })?;
    let corrupt = Failure::environment(format!("sweep {} in the database", summary.name));
    let sweep = Sweep::parse(&summary.spec).map_err(corrupt)?;
    let corpus = Corpus::prepared(&summary.data_digest, &place.text(), sweep.spec().data.seq_len)
        .map_err(Failure::environment("training text"))?;
    let job = Work { database: &place.db, sweep: &summary.id, environment: environment(args), stop: &stop };
    let every_tokens = sweep.spec().checkpoints.every_tokens;
    let mut one = |claim: &Claim, on_event: &mut dyn FnMut(Event) -> Control| {
        trial(place, args, &summary, &corpus, every_tokens, claim, on_event)
    };
    Ok(work(&job, &mut one)?)
}

fn environment(args: &Worker) -> Environment {
    Environment {
        host: outgrow_runner::this_process().host,
        device: args.device.describe(),
        threads: usize::from(args.threads),
        versions: format!(
            "outgrow {} ({}), libtorch {}",
            env!("CARGO_PKG_VERSION"),
            env!("OUTGROW_COMMIT"),
            device::LIBTORCH_VERSION
        ),
    }
}

fn trial(
    place: &Place,
    args: &Worker,
    summary: &SweepSummary,
    corpus: &Corpus,
    checkpoint_every_tokens: u64,
    claim: &Claim,
    on_event: &mut dyn FnMut(Event) -> Control,
) -> Result<Outcome, outgrow_runner::Failure> {
    let options = Options {
        device: args.device,
        checkpoints: place.checkpoints(&claim.trial.id()),
        checkpoint_every_tokens,
        resume: claim.checkpoints.iter().map(PathBuf::from).collect(),
        parts: parts(args.device, claim),
        begin: claim.begin.as_ref().map(PathBuf::from),
        snapshots: claim.snapshots.iter().map(|&step| (step, place.snapshot(&claim.trial.id(), step))).collect(),
    };
    let name = format!("{} trial {}", summary.name, claim.trial.id());
    // libtorch's complaints come as panics. What was recorded is safe, and nothing of the attempt is used afterwards.
    let caught = catch_unwind(AssertUnwindSafe(|| train(&claim.trial, corpus, &options, on_event)));
    let trained = caught.unwrap_or_else(|panic| match out_of_memory(&*panic) {
        true => Err(TrainError::Memory { parts: options.parts }),
        false => resume_unwind(panic),
    });
    trained.map_err(|error| {
        let text = format!("{name}: {error}");
        match error {
            TrainError::Memory { .. } => {
                eprintln!("{text}; the next attempt cuts it further");
                outgrow_runner::Failure::Memory(error.to_string())
            }
            // The disk is full, or a folder is read-only: not the trial's fault.
            TrainError::Checkpoint(_) => outgrow_runner::Failure::Place(text),
            _ => outgrow_runner::Failure::Trial(error.to_string()),
        }
    })
}

/// Into how many parts the batch must be cut here, as it is predicted. Where not even one sequence is predicted to fit, one at a
/// time is tried all the same: predictions err on the safe side.
fn parts(device: Device, claim: &Claim) -> usize {
    let most = claim.trial.settings.training.batch_size;
    let predicted =
        device.free_bytes().map(|free| cost::parts_that_fit(&claim.trial, free, claim.parts).unwrap_or(most));
    let parts = predicted.unwrap_or(claim.parts);
    if parts > claim.parts {
        eprintln!(
            "trial {}: its batch is trained in {parts} parts to fit into the memory of {device}",
            claim.trial.id()
        );
    }
    parts
}

/// Running out of memory is an outcome, told in a line; a panic's long message would hide it.
fn say_nothing_of_memory() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if !out_of_memory(panic.payload()) {
            usual(panic);
        }
    }));
}

/// Whether that is what libtorch panicked about, on a processor or on a GPU.
fn out_of_memory(panic: &(dyn Any + Send)) -> bool {
    let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    text.is_some_and(|text| MEMORY.iter().any(|said| text.contains(said)))
}

/// What libtorch says when there is not enough.
const MEMORY: [&str; 4] = ["out of memory", "not enough memory", "can't allocate memory", "ALLOC_FAILED"];
