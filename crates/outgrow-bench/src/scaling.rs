//! How costs grow: a token's time with the model, a sweep's with the number of its trials.

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::Instant,
};

use outgrow::{
    Error,
    bench::{PresetSizes, flops_per_token, median, spread},
    readable::{count, scaled, table},
};
use outgrow_core::{model::n_parameters, sweep::Precision};
use outgrow_data::publish::NewFolder;
use outgrow_report::{Scaling, ScalingPoint, scaling};
use outgrow_train::{
    Device,
    bench::{Steps, peak},
};
use serde_json::{Value, json};

use crate::Common;

/// How a token's time grows with the model, and a sweep's with the number of its trials
///
/// Sweeps are trained by the command `outgrow` that was built beside this program.
#[derive(clap::Args)]
pub struct ScalingArgs {
    /// Where to write figures, and the numbers behind them
    pub folder: PathBuf,
    /// float32, bfloat16 or float64
    #[arg(long, default_value = "float32", value_parser = crate::precision)]
    precision: Precision,
    #[command(flatten)]
    common: Common,
}

/// Layers and width, heads of 32: from 30 thousand parameters to 19 million.
const LADDER: [(usize, usize); 8] =
    [(2, 32), (2, 64), (3, 96), (4, 128), (4, 192), (5, 256), (6, 384), (6, 512)];
/// Trials of a sweep.
const TRIALS: [usize; 7] = [1, 2, 4, 8, 16, 32, 64];
/// A turn of steps lasts about so long.
const TURN_SECONDS: f64 = 0.5;
/// The sweep, but for its number of trials.
const SWEEP: &str = include_str!("scaling.toml");

/// Measures both, and writes the figures.
pub fn bench(args: &ScalingArgs) -> Result<String, Error> {
    let device = args.common.device()?;
    let program = outgrow_beside()?;
    let new = NewFolder::create(&args.folder)?;
    let (peak, steps) = tokens(args, device);
    let sweeps = sweeps(&args.common, device, &program)?;
    for figure in [&steps, &sweeps] {
        let files = scaling(figure).map_err(|error| Error::Environment(error.to_string()))?;
        files.iter().try_for_each(|(name, bytes)| new.write(name, bytes))?;
    }
    new.finish()?;
    if args.common.json {
        return Ok(crate::json(&json!({
            "peak_flops_per_second": peak, "threads": args.common.threads,
            "turns": args.common.runs, "microseconds_per_token": points(&steps),
            "seconds_per_sweep": points(&sweeps),
        })));
    }
    Ok(format!(
        "{}\n\n{}\n\n{}\n\n{}\n\nfigures (as SVG, PDF and PNG) and numbers: {}",
        steps.caption,
        as_table(&steps, ["parameters", "µs a token"], 1e6),
        sweeps.caption,
        as_table(&sweeps, ["trials", "seconds"], 1.0),
        args.folder.display()
    ))
}

/// The command that was built beside this program.
fn outgrow_beside() -> Result<PathBuf, Error> {
    let own = std::env::current_exe().map_err(Error::environment("this program's own path"))?;
    let program = own.with_file_name("outgrow");
    match program.is_file() {
        true => Ok(program),
        false => Err(Error::Environment(format!(
            "there is no {}: build it by `cargo build --release -p outgrow-cli`",
            program.display()
        ))),
    }
}

fn points(of: &Scaling) -> Vec<Value> {
    let point = |p: &ScalingPoint| json!({ "size": p.size, "measured": p.measured, "expected": p.expected });
    of.points.iter().map(point).collect()
}

fn as_table(of: &Scaling, [size, cost]: [&str; 2], unit: f64) -> String {
    let row = |p: &ScalingPoint| {
        let [median, low, high] = p.measured.map(|measured| measured / p.expected);
        let ratio = format!("{median:.2} [{low:.2}, {high:.2}]");
        vec![count(p.size * unit), format!("{:.2}", p.measured[0]), ratio]
    };
    let rows: Vec<_> = of.points.iter().map(row).collect();
    table(&[size, cost, "to the expected [extremes]"], &rows, &[0, 1, 2], false)
}

/// Microseconds of a training token, size by size, and the peak that they are held to.
fn tokens(args: &ScalingArgs, device: Device) -> (f64, Scaling) {
    let (precision, Common { runs, threads, .. }) = (args.precision, &args.common);
    let (seq_len, batch_size, vocab_size) = (64, 12, 256);
    let sizes = LADDER.map(|(n_layers, d_model)| {
        let n_heads = d_model / 32;
        PresetSizes { n_layers, n_heads, d_model, seq_len, batch_size, vocab_size }
    });
    let mut speeds = vec![vec![]; sizes.len()];
    let mut peaks = vec![];
    for _ in 0..*runs {
        peaks.push(peak(precision, device));
        for (sizes, speeds) in sizes.iter().zip(&mut speeds) {
            speeds.push(token_microseconds(sizes, precision, device));
        }
    }
    let peak = median(peaks);
    let points = sizes.iter().zip(speeds).map(|(sizes, speeds)| {
        let architecture = sizes.architecture();
        let expected = 1e6 * flops_per_token(&architecture) / peak;
        point(n_parameters(&architecture) as f64 / 1e6, &speeds, expected)
    });
    let points = points.collect();
    let caption = format!(
        "Time of a training token against the number of parameters ({precision:?}, {threads} \
         thread(s) of {}, sequences of {seq_len}, batches of {batch_size}): median and extremes \
         of n = {runs} turns, beside its FLOPs at the peak of a large matrix product \
         ({}FLOP/s).",
        device.describe(),
        scaled(peak)
    );
    let (size, cost, expected) = ("Parameters (millions)", "Time per token (µs)", "FLOPs at peak");
    (peak, Scaling { name: "time_per_token", caption, size, cost, expected, points })
}

fn token_microseconds(sizes: &PresetSizes, precision: Precision, device: Device) -> f64 {
    let mut training = Steps::new(sizes.step_settings(precision), sizes.batch_size, device, 1);
    // Buffers are made, libtorch sets itself up.
    training.run(2, &mut |_| ());
    let once = training.run(2, &mut |_| ()).0 / 2.0;
    let steps = ((TURN_SECONDS / once) as u64).max(1);
    let seconds = training.run(steps as usize, &mut |_| ()).0;
    1e6 * seconds / (steps * sizes.step_tokens()) as f64
}

/// Seconds of `outgrow run`, for sweeps of more and more trials.
fn sweeps(args: &Common, device: Device, program: &Path) -> Result<Scaling, Error> {
    let mut seconds = vec![vec![]; TRIALS.len()];
    for _ in 0..args.runs {
        for (trials, seconds) in TRIALS.iter().zip(&mut seconds) {
            seconds.push(one_sweep(args, device, *trials, program)?);
        }
    }
    let most = median(seconds.last().expect("there are sizes").iter().copied());
    let per_trial = most / TRIALS[TRIALS.len() - 1] as f64;
    let points = TRIALS
        .iter()
        .zip(seconds)
        .map(|(&n, seconds)| point(n as f64, &seconds, per_trial * n as f64));
    let caption = format!(
        "Time of a sweep against the number of its trials (100,000 tokens each of a model of 2 \
         layers, 32 wide, start of the program and preparation of the text included; as many \
         workers as there are cores): median and extremes of n = {} turns, beside the time of the \
         largest sweep divided by its trials.",
        args.runs
    );
    let (size, cost, expected) = ("Trials", "Time (s)", "proportional to trials");
    Ok(Scaling { name: "time_per_sweep", caption, size, cost, expected, points: points.collect() })
}

fn one_sweep(args: &Common, device: Device, trials: usize, program: &Path) -> Result<f64, Error> {
    let folder = crate::folder()?;
    let folder = folder.path();
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
    ScalingPoint { size, measured: spread(measured), expected }
}
