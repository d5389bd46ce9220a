//! `outgrow worker`: one process that trains trials.

use std::{
    path::PathBuf,
    sync::{Arc, atomic::AtomicBool},
};

use outgrow_core::{Event, Sweep, event::Control, event::Outcome};
use outgrow_runner::{Work, work};
use outgrow_store::{Claim, Environment, SweepSummary};
use outgrow_train::{Corpus, Options, TrainError, device, train};
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
        begin: claim.begin.as_ref().map(PathBuf::from),
        snapshots: claim.snapshots.iter().map(|&step| (step, place.snapshot(&claim.trial.id(), step))).collect(),
    };
    train(&claim.trial, corpus, &options, on_event).map_err(|error| {
        let text = format!("{} trial {}: {error}", summary.name, claim.trial.id());
        match error {
            // The disk is full, or a folder is read-only: not the trial's fault.
            TrainError::Checkpoint(_) => outgrow_runner::Failure::Place(text),
            _ => outgrow_runner::Failure::Trial(error.to_string()),
        }
    })
}
