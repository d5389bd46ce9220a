//! `outgrow bench`: what a sweep's growing and recording cost, how fast a preset steps, beside
//! PyTorch, or how costs grow.

mod contender;
mod preset;
mod scaling;
mod step;
mod sweep;

pub use contender::serve;
pub use preset::Preset;

use std::path::Path;

use crate::{args::Bench, failure::Failure, place::Place};

/// Measures what was asked for.
pub fn bench(place: &Place, args: &Bench) -> Result<(), Failure> {
    match (&args.sweep, &args.scaling) {
        (Some(path), _) => sweep::bench(place, args, path),
        (None, Some(folder)) => scaling::bench(args, folder),
        (None, None) => step::bench(args),
    }
}

/// Does something with a new folder for what need not stay.
fn with_folder<T>(work: impl FnOnce(&Path) -> Result<T, Failure>) -> Result<T, Failure> {
    let folder = std::env::temp_dir().join(format!("outgrow-bench-{}", std::process::id()));
    std::fs::create_dir_all(&folder).map_err(Failure::environment(folder.display()))?;
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
