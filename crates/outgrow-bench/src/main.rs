//! Benchmarks of outgrow itself, for those who work on it: not installed with the command.
//!
//! All numbers are medians; on a shared machine trust only ratios.

mod contender;
mod scaling;
mod steps;
mod sweep;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use outgrow::{Error, bench::Preset};
use outgrow_core::sweep::Precision;
use outgrow_train::Device;
use serde::{Deserialize, de::value};

#[derive(Parser)]
#[command(name = "outgrow-bench", about = "Benchmarks of outgrow itself", max_term_width = 100)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Steps(steps::StepsArgs),
    Sweep(sweep::SweepArgs),
    Scaling(scaling::ScalingArgs),
    #[command(hide = true)]
    Serve(contender::Serve),
}

/// Where it is measured, and how it is told.
#[derive(clap::Args)]
struct Common {
    /// Turns of everyone, or trainings of a sweep
    #[arg(long, default_value_t = 3, value_name = "N", value_parser = positive())]
    runs: u16,
    /// Where to compute: cpu, cuda:0, ... [default: the first GPU, or cpu]
    #[arg(long)]
    device: Option<Device>,
    /// CPU threads
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = positive())]
    threads: u16,
    /// Print it as JSON
    #[arg(long)]
    json: bool,
}

/// What steps, and in which numbers.
#[derive(clap::Args, Clone, Copy)]
struct Model {
    /// nanogpt-cpu, nanogpt-shakespeare or gpt2
    #[arg(long, default_value = "nanogpt-cpu")]
    preset: Preset,
    /// float32, bfloat16 or float64
    #[arg(long, default_value = "float32", value_parser = precision)]
    precision: Precision,
}

/// A parser of numbers from 1 to 65535.
fn positive() -> clap::builder::RangedI64ValueParser<u16> {
    clap::value_parser!(u16).range(1..)
}

/// A precision as sweep files name it.
fn precision(text: &str) -> Result<Precision, value::Error> {
    Precision::deserialize(value::StrDeserializer::new(text))
}

fn main() -> ExitCode {
    outgrow::notes_to_stderr();
    let done = match Args::parse().command {
        Command::Steps(args) => steps::bench(&args).map(|text| println!("{text}")),
        Command::Sweep(args) => sweep::bench(&args).map(|text| println!("{text}")),
        Command::Scaling(args) => scaling::bench(&args).map(|text| println!("{text}")),
        Command::Serve(args) => contender::serve(&args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

impl Common {
    /// The device that was named, or the first there is; makes libtorch ready.
    fn device(&self) -> Result<Device, Error> {
        outgrow_train::device::initialise(usize::from(self.threads));
        let there = Device::all();
        let device = self.device.unwrap_or(there[0]);
        outgrow::devices::check_device(device, &there).map(|()| device)
    }
}

/// An empty folder for what need not stay.
fn folder() -> Result<tempfile::TempDir, Error> {
    tempfile::tempdir().map_err(Error::environment("a temporary folder"))
}

/// JSON for programs.
fn json(value: &serde_json::Value) -> String {
    serde_json::to_string_pretty(value).expect("plain data")
}
