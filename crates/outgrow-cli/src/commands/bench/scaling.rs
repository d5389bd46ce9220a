//! How costs grow: a token's time with the model, a sweep's with the number of its trials.

use super::Bench;
use std::{path::Path, process::Command, time::Instant};

use outgrow::{Error, devices::check_device};
use outgrow_core::model::n_parameters;
use outgrow_core::{flops, sweep::Precision};
use outgrow_data::publish::NewFolder;
use outgrow_report::{Scaling, ScalingPoint, scaling};
use outgrow_train::{
    Device,
    bench::{Steps, peak},
    device,
};
use serde_json::json;

use super::{median, preset::Sizes, with_folder};
use crate::output::{count, print, print_json, scaled, table};

/// Layers and width, heads of 32: from 30 thousand parameters to 19 million.
const LADDER: [(usize, usize); 8] =
    [(2, 32), (2, 64), (3, 96), (4, 128), (4, 192), (5, 256), (6, 384), (6, 512)];
/// Trials of a sweep.
const TRIALS: [usize; 7] = [1, 2, 4, 8, 16, 32, 64];
/// A turn of steps lasts about so long.
const TURN_SECONDS: f64 = 0.5;
/// The sweep, but for its number of trials.
const SWEEP: &str = include_str!("scaling.toml");

/// Measures both, and writes the figures to `folder`.
pub fn bench(args: &Bench, folder: &Path) -> Result<(), Error> {
    device::initialise(usize::from(args.threads));
    let there = Device::all();
    let device = args.device.unwrap_or(there[0]);
    check_device(device, &there)?;
    let new = NewFolder::create(folder)?;
    let (peak, steps) = tokens(args, device);
    let sweeps = sweeps(args, device)?;
    for figure in [&steps, &sweeps] {
        let files = scaling(figure).map_err(|error| Error::Environment(error.to_string()))?;
        files.iter().try_for_each(|(name, bytes)| new.write(name, bytes))?;
    }
    new.finish()?;
    if args.json {
        let points = |of: &Scaling| {
            let point = |p: &ScalingPoint| json!({ "size": p.size, "measured": p.measured, "expected": p.expected });
            of.points.iter().map(point).collect::<Vec<_>>()
        };
        return print_json(
            &json!({ "peak_flops_per_second": peak, "threads": args.threads, "turns": args.runs,
            "microseconds_per_token": points(&steps), "seconds_per_sweep": points(&sweeps) }),
        );
    }
    let rows = |of: &Scaling, unit: f64| {
        let row = |p: &ScalingPoint| {
            let [median, low, high] = p.measured;
            let ratio = format!(
                "{:.2} [{:.2}, {:.2}]",
                median / p.expected,
                low / p.expected,
                high / p.expected
            );
            vec![count(p.size * unit), format!("{median:.2}"), ratio]
        };
        of.points.iter().map(row).collect::<Vec<_>>()
    };
    let header = |of: &'static str, cost: &'static str| [of, cost, "to the expected [extremes]"];
    print(&format!(
        "{}\n\n{}\n\n{}\n\n{}\n\nfigures (as SVG, PDF and PNG) and numbers: {}",
        steps.caption,
        table(&header("parameters", "µs a token"), rows(&steps, 1e6), &[0, 1, 2]),
        sweeps.caption,
        table(&header("trials", "seconds"), rows(&sweeps, 1.0), &[0, 1, 2]),
        folder.display()
    ))
}

/// Microseconds of a training token, size by size, and the peak that they are held to.
fn tokens(args: &Bench, device: Device) -> (f64, Scaling) {
    let precision: Precision = args.precision.into();
    let (seq_len, batch) = (64, 12);
    let sizes = LADDER.map(|(n_layers, d_model)| {
        let sizes = Sizes { n_layers, n_heads: d_model / 32, d_model, seq_len, batch, vocab: 256 };
        sizes.architecture()
    });
    let mut speeds = vec![vec![]; sizes.len()];
    let mut peaks = vec![];
    for _ in 0..args.runs {
        peaks.push(peak(precision, device));
        for (architecture, speeds) in sizes.iter().zip(&mut speeds) {
            let mut training = Steps::new(architecture.clone(), batch, precision, device, 1);
            // Buffers are made, libtorch sets itself up.
            training.run(2, &mut |_| ());
            let once = training.run(2, &mut |_| ()).0 / 2.0;
            let steps = ((TURN_SECONDS / once) as usize).max(1);
            let seconds = training.run(steps, &mut |_| ()).0;
            speeds.push(1e6 * seconds / (steps * batch * seq_len) as f64);
        }
    }
    let peak = median(peaks.into_iter());
    let points = sizes.iter().zip(speeds).map(|(architecture, speeds)| {
        let flops = flops::train_flops(architecture, seq_len) as f64 / seq_len as f64;
        point(n_parameters(architecture) as f64 / 1e6, &speeds, 1e6 * flops / peak)
    });
    let points = points.collect();
    let caption = format!(
        "Time of a training token against the number of parameters ({precision:?}, {} thread(s) of {}, sequences of {seq_len}, \
         batches of {batch}): median and extremes of n = {} turns, beside its FLOPs at the peak of a large matrix product ({}FLOP/s).",
        args.threads,
        device.describe(),
        args.runs,
        scaled(peak)
    );
    let (size, cost, expected) = ("Parameters (millions)", "Time per token (µs)", "FLOPs at peak");
    (peak, Scaling { name: "time_per_token", caption, size, cost, expected, points })
}

/// Seconds of `outgrow run`, for sweeps of more and more trials.
fn sweeps(args: &Bench, device: Device) -> Result<Scaling, Error> {
    let mut seconds = vec![vec![]; TRIALS.len()];
    for _ in 0..args.runs {
        for (trials, seconds) in TRIALS.iter().zip(&mut seconds) {
            seconds.push(with_folder(|folder| one_sweep(args, device, *trials, folder))?);
        }
    }
    let most = median(seconds.last().expect("there are sizes").iter().copied());
    let per_trial = most / TRIALS[TRIALS.len() - 1] as f64;
    let points = TRIALS
        .iter()
        .zip(seconds)
        .map(|(&n, seconds)| point(n as f64, &seconds, per_trial * n as f64));
    let caption = format!(
        "Time of a sweep against the number of its trials (100,000 tokens each of a model of 2 layers, 32 wide, start of the program \
         and preparation of the text included; as many workers as there are cores): median and extremes of n = {} turns, beside \
         the time of the largest sweep divided by its trials.",
        args.runs
    );
    let (size, cost, expected) = ("Trials", "Time (s)", "proportional to trials");
    Ok(Scaling { name: "time_per_sweep", caption, size, cost, expected, points: points.collect() })
}

fn one_sweep(args: &Bench, device: Device, trials: usize, folder: &Path) -> Result<f64, Error> {
    let program = std::env::current_exe().map_err(Error::environment("this program's own path"))?;
    let file = folder.join("scaling.toml");
    let text = SWEEP.replace("REPLICATES", &trials.to_string());
    std::fs::write(&file, text).map_err(Error::environment(file.display()))?;
    let mut command = Command::new(program);
    command.arg("--db").arg(folder.join("scaling.db")).arg("run").arg(&file);
    command.args(["--threads", &args.threads.to_string(), "--devices", &device.to_string()]);
    let began = Instant::now();
    let output = command.output().map_err(Error::environment("a sweep"))?;
    let seconds = began.elapsed().as_secs_f64();
    if output.status.success() {
        return Ok(seconds);
    }
    let why = String::from_utf8_lossy(&output.stderr);
    Err(Error::Environment(format!("a sweep of {trials} trials failed: {why}")))
}

fn point(size: f64, measured: &[f64], expected: f64) -> ScalingPoint {
    let (low, high) =
        measured.iter().fold((f64::INFINITY, 0.0f64), |(a, b), m| (m.min(a), m.max(b)));
    ScalingPoint { size, measured: [median(measured.iter().copied()), low, high], expected }
}
