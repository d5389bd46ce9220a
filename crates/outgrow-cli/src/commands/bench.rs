//! `outgrow bench`: what a sweep's growing and recording cost, how fast a preset steps, beside
//! PyTorch, or how costs grow.

mod contender;
mod preset;
mod scaling;
mod step;
mod sweep;

pub use contender::{BenchServe, serve};
use outgrow_core::sweep::Precision;
use outgrow_train::Device;
pub use preset::Preset;
use std::path::PathBuf;

use std::path::Path;

use outgrow::{Error, Workspace};

/// Measure training speed on this machine
///
/// Of a sweep, the first growing trial is trained again and again in this process, and what it told
/// is recorded at the same pace, in a temporary folder. Of a preset, steps are measured, in turns
/// with PyTorch's if you wish, everyone in a process of its own. All numbers are medians; on a
/// shared machine trust only ratios.
#[derive(clap::Args)]
pub struct Bench {
    /// A sweep file: measures its growth events and recording; without one, the steps of a preset
    pub sweep: Option<PathBuf>,
    /// The model whose steps are measured
    #[arg(long, value_enum, default_value = "nanogpt-cpu", conflicts_with = "sweep")]
    pub preset: Preset,
    /// In what a preset computes
    #[arg(long, value_enum, default_value = "float32", conflicts_with = "sweep")]
    pub precision: PrecisionArg,
    /// Beside ours, let PyTorch train a preset in every way that may be its fastest (needs a
    /// `python3` that imports torch; `scripts/bench` sees to that)
    #[arg(long, conflicts_with = "sweep")]
    pub pytorch: bool,
    /// Also measure so many workers at once on a preset, as 1,2,4,8
    #[arg(long, value_name = "N", value_delimiter = ',', conflicts_with = "sweep", value_parser = clap::value_parser!(u16).range(1..))]
    pub workers: Vec<u16>,
    /// Also measure so many replicates of a preset as one model, beside one after another, as 8,32
    #[arg(long, value_name = "N", value_delimiter = ',', conflicts_with = "sweep", value_parser = clap::value_parser!(u16).range(1..))]
    pub together: Vec<u16>,
    /// Instead: how a token's time grows with the model, and a sweep's with the number of its
    /// trials; writes figures, and the numbers behind them, to this folder
    #[arg(long, value_name = "FOLDER", conflicts_with_all = ["sweep", "preset", "pytorch", "workers", "together"])]
    pub scaling: Option<PathBuf>,
    /// How many trainings of a sweep, turns of a preset, or turns of each size
    #[arg(long, default_value_t = 3, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub runs: u16,
    /// Where to compute: cpu, cuda:0, ... [default: the first GPU, or cpu]
    #[arg(long)]
    pub device: Option<Device>,
    /// CPU threads
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub threads: u16,
    /// Print it as JSON
    #[arg(long)]
    pub json: bool,
}

/// A precision, as it is named in sweep files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum PrecisionArg {
    /// All in float32
    Float32,
    /// Activations in bfloat16, master weights and optimizer in float32
    Bfloat16,
    /// All in float64
    Float64,
}

impl From<PrecisionArg> for Precision {
    fn from(arg: PrecisionArg) -> Self {
        match arg {
            PrecisionArg::Float32 => Precision::Float32,
            PrecisionArg::Bfloat16 => Precision::Bfloat16,
            PrecisionArg::Float64 => Precision::Float64,
        }
    }
}

/// Measures what was asked for.
pub fn bench(workspace: &Workspace, args: &Bench) -> Result<(), Error> {
    match (&args.sweep, &args.scaling) {
        (Some(path), _) => sweep::bench(workspace, args, path),
        (None, Some(folder)) => scaling::bench(args, folder),
        (None, None) => step::bench(args),
    }
}

/// Does something with a new folder for what need not stay.
fn with_folder<T>(work: impl FnOnce(&Path) -> Result<T, Error>) -> Result<T, Error> {
    let folder = std::env::temp_dir().join(format!("outgrow-bench-{}", std::process::id()));
    std::fs::create_dir_all(&folder).map_err(Error::environment(folder.display()))?;
    let done = work(&folder);
    // What is left costs disk in the system's own folder for that, no more.
    let _ = std::fs::remove_dir_all(&folder);
    done
}

/// The middle of some numbers.
fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => values[middle],
        _ => (values[middle - 1] + values[middle]) / 2.0,
    }
}
