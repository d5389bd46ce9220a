//! `outgrow bench`: what a sweep's growing and recording cost, or how fast a preset steps, beside PyTorch.

mod contender;
mod preset;
mod step;
mod sweep;

pub use contender::serve;
pub use preset::Preset;

use crate::{args::Bench, failure::Failure, place::Place};

/// Measures what was asked for.
pub fn bench(place: &Place, args: &Bench) -> Result<(), Failure> {
    match &args.sweep {
        Some(path) => sweep::bench(place, args, path),
        None => step::bench(args),
    }
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
