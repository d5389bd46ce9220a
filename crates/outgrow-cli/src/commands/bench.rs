//! `outgrow bench`.

use std::path::PathBuf;

use outgrow::{
    Error, SweepFile,
    bench::{BenchModel, BenchOptions, Preset, bench as measure},
};
use outgrow_core::sweep::Precision;
use outgrow_train::Device;

use crate::{
    output::{is_terminal, print, print_json},
    values::{one_of, positive},
};

/// Measure training speed on this machine
///
/// Of a sweep, its initial and its target model step on random tokens, as its trials would step
/// them; without one, the model of a preset. Medians of turns; on a shared machine trust only
/// ratios.
#[derive(clap::Args)]
pub struct Bench {
    /// A sweep file
    pub sweep: Option<PathBuf>,
    /// Without a sweep file: the model
    #[arg(long, default_value = "nanogpt-cpu", conflicts_with = "sweep", value_parser = one_of(Preset::ALL.map(|preset| (preset.name(), preset.about(), preset))))]
    pub preset: Preset,
    /// Without a sweep file: in what the model computes
    #[arg(long, default_value = "float32", conflicts_with = "sweep", value_parser = one_of(PRECISIONS))]
    pub precision: Precision,
    /// How often each model has its turn
    #[arg(long, default_value_t = 3, value_name = "N", value_parser = positive())]
    pub runs: u16,
    /// Where to compute: cpu, cuda:0, ... [default: the first GPU, or cpu]
    #[arg(long)]
    pub device: Option<Device>,
    /// CPU threads
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = positive())]
    pub threads: u16,
    /// Print it as JSON
    #[arg(long)]
    pub json: bool,
}

const PRECISIONS: [(&str, &str, Precision); 3] = [
    ("float32", "All in float32", Precision::Float32),
    (
        "bfloat16",
        "Activations in bfloat16, master weights and optimizer in float32",
        Precision::Bfloat16,
    ),
    ("float64", "All in float64", Precision::Float64),
];

/// Measures how fast models step.
pub fn bench(args: &Bench) -> Result<(), Error> {
    let models = match &args.sweep {
        Some(path) => BenchModel::of_sweep(SweepFile::read(path)?.sweep()).to_vec(),
        None => vec![BenchModel::of_preset(args.preset, args.precision)],
    };
    let &Bench { device, threads, runs: turns, .. } = args;
    let speed = measure(&models, &BenchOptions { device, threads, turns })?;
    match args.json {
        true => print_json(&speed),
        false => print(&speed.describe(is_terminal())),
    }
}
