//! `outgrow run`.

use outgrow_core::sweep::memory;
use std::process::Command;

use outgrow_core::sweep::Member;
use outgrow_runner::{Crew, Ended, News, supervise};
use outgrow_store::{Store, SweepStatus};
use outgrow_train::{Device, backward, device};

use super::check_device;
use crate::{
    args::Run,
    failure::Failure,
    output::{count, print_json},
    place::{DB, FILES, Place, read_sweep, runtime},
    progress::Progress,
};

/// Plans what is missing, trains it, shows progress.
pub fn run(place: &Place, args: &Run) -> Result<(), Failure> {
    let sweep = read_sweep(&args.sweep)?;
    let devices = devices(args)?;
    // What can be refused is refused before anything is written: the sweep, then the database, then
    // the text.
    let members = sweep.members("").map_err(Failure::input(args.sweep.display()))?;
    let runtime = runtime()?;
    let existing = runtime.block_on(place.existing())?;
    let digest = place.prepare(&sweep, &args.sweep)?;
    super::namesake::tell(place, &sweep, &digest)?;
    let members = trained_on(members, &digest);
    runtime.block_on(async {
        let store = match existing {
            Some(store) => store,
            None => place.store().await?,
        };
        let inserted = store.insert_sweep(&sweep, &digest, &members, args.alone).await?;
        if args.retry_failed {
            store.retry_failed(&inserted.sweep).await?;
        }
        let crew = crew(args, &devices, &members);
        let ended = train(&store, place, args, &inserted.sweep, &devices, crew).await;
        let status = match (store.status(&inserted.sweep).await, &ended) {
            // Whoever wants to stop does not want to wait.
            (Err(error), Ok(Ended::Interrupted)) if error.is_passing() => {
                let again = args.sweep.display();
                return Err(Failure::Interrupted(format!(
                    "stopped ({error}); `outgrow run {again}` goes on from there"
                )));
            }
            (status, _) => status?,
        };
        let failures = store.failures(&inserted.sweep).await?;
        store.close().await;
        conclude(args, &sweep.spec().name, &status, &failures, ended?)
    })
}

/// Members that were planned before the digest of their text was known.
fn trained_on(mut members: Vec<Member>, digest: &str) -> Vec<Member> {
    members.iter_mut().for_each(|member| member.trial.settings.data = digest.into());
    members
}

fn devices(args: &Run) -> Result<Vec<Device>, Failure> {
    device::initialise(1);
    let there = Device::all();
    args.devices.iter().try_for_each(|&device| check_device(device, &there))?;
    Ok(if args.devices.is_empty() { there } else { args.devices.clone() })
}

/// How many workers to run: one for each core, or a few for each GPU, as far as memory is predicted
/// to allow.
fn crew(args: &Run, devices: &[Device], members: &[Member]) -> usize {
    if let Some(workers) = args.workers {
        return usize::from(workers);
    }
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let of_device = |device: &Device| {
        let most = match device {
            Device::Cpu => cores / usize::from(args.threads),
            Device::Cuda(_) => WORKERS_PER_GPU.min(cores / devices.len()),
        };
        let needed = members.iter().map(|Member { trial, .. }| {
            device.base_bytes() + memory::training_bytes(trial, 1, backward(trial, *device, 1))
        });
        let bytes = needed.max().unwrap_or(1);
        let fit = device.free_bytes().map_or(1, |free| (free / bytes) as usize);
        if fit < most {
            eprintln!(
                "note: {device} has memory for {fit} worker(s) of {}B each, as predicted, and not for {most}",
                count(bytes as f64)
            );
        }
        most.min(fit).max(1)
    };
    // Devices are used in turn, so all get as many as the smallest can take.
    devices.len() * devices.iter().map(of_device).min().unwrap_or(1)
}

/// Small models leave a GPU idle most of the time, so a few share it.
const WORKERS_PER_GPU: usize = 4;

async fn train(
    store: &Store,
    place: &Place,
    args: &Run,
    sweep: &str,
    devices: &[Device],
    crew: usize,
) -> Result<Ended, Failure> {
    let status = store.status(sweep).await?;
    let open = (status.total() - status.ended()) as usize;
    if open == 0 {
        return Ok(Ended::Done);
    }
    let program =
        std::env::current_exe().map_err(Failure::environment("cannot find this program"))?;
    let crew = crew.min(open);
    let command = |number: usize| {
        let mut command = Command::new(&program);
        // In the environment: the command line of a process is for everybody to read.
        command.env(DB, &place.db);
        if let Some(files) = &place.files {
            command.env(FILES, files);
        }
        command
            .args(["worker", sweep, "--threads", &args.threads.to_string()])
            .args(args.keeping.options());
        command.args(["--device", &devices[number % devices.len()].to_string()]);
        command.args(["--share", &crew.div_ceil(devices.len()).to_string()]);
        if let Some(together) = args.together {
            command.args(["--together", &together.to_string()]);
        }
        command
    };
    let crew = Crew { size: crew, command: &command };
    let mut progress = Progress::new();
    let mut tell = |news: News| match news {
        News::Status(status) => progress.show(status),
        News::Line(line) | News::Note(line) => progress.note(&line),
    };
    let ended = supervise(store, sweep, &crew, &mut tell).await;
    progress.end();
    Ok(ended?)
}

fn conclude(
    args: &Run,
    name: &str,
    status: &SweepStatus,
    failures: &[(String, String)],
    ended: Ended,
) -> Result<(), Failure> {
    if args.json {
        print_json(
            &serde_json::json!({ "sweep": name, "ended": format!("{ended:?}").to_lowercase(),
            "trials": super::status::states(status), "failures": failures }),
        )?;
    }
    for (label, error) in failures {
        eprintln!("{}", crate::output::shown(&format!("{label}: {error}")));
    }
    let again = format!("`outgrow run {}` goes on from there", args.sweep.display());
    match ended {
        Ended::Interrupted => Err(Failure::Interrupted(format!(
            "stopped with {} of {} trials done; {again}",
            status.ended(),
            status.total()
        ))),
        Ended::Broken => Err(Failure::Environment(format!(
            "the workers gave up (see above); nothing is lost, {again}"
        ))),
        Ended::Done if status.count("failed") > 0 => Err(Failure::Result(format!(
            "{} of {} trials failed (see above); --retry-failed trains them again",
            status.count("failed"),
            status.total()
        ))),
        Ended::Done if args.json => Ok(()),
        Ended::Done => {
            let text = format!("{name}: {} of {} trials are done", status.ended(), status.total());
            crate::output::print(&format!("{text}; `outgrow report {name}` draws them"))
        }
    }
}
