//! How often the intervals of the frontier's estimator hold the truth: a Markdown table.
//! `scripts/calibrate-frontier [SIMULATIONS]` runs it.

use rayon::prelude::*;

#[path = "../tests/planted/mod.rs"]
mod planted;
#[path = "../tests/planted/tally.rs"]
mod tally;

use planted::Setting;
use tally::{Tally, simulate};

const COLUMNS: [(&str, &str); 12] = [
    ("enclosed", "enclosed"),
    ("undercut", "undercut"),
    ("L*", "L*"),
    ("g", "g"),
    ("m", "m"),
    ("N* exponent", "size"),
    ("α", "alpha"),
    ("β", "beta"),
    ("loss exponent", "loss"),
    ("null arm", "null"),
    ("family", "family"),
    ("null arm, best size", "naive"),
];

fn main() {
    let simulations = std::env::args().nth(1).map_or(2000, |n| n.parse().expect("a number"));
    let names: Vec<&str> = COLUMNS.iter().map(|(name, _)| *name).collect();
    println!("| law | noise | across sizes | seeds | {} |", names.join(" | "));
    println!("|---|---:|---:|---:|{}", "---:|".repeat(names.len()));
    for setting in settings() {
        let one = |number: u64| simulate(&setting, number);
        let tally = (0..simulations).into_par_iter().map(one).reduce(Tally::default, Tally::and);
        println!("{}", row(&setting, &tally));
    }
}

/// All settings of the calibration.
fn settings() -> Vec<Setting> {
    let mut settings = vec![];
    for truth in planted::truths() {
        for noise in [0.003, 0.01] {
            for across in [0.0, 0.5] {
                settings.extend([3, 5, 8].map(|seeds| Setting { truth, seeds, noise, across }));
            }
        }
    }
    settings
}

fn row(setting: &Setting, tally: &Tally) -> String {
    let share = |key: &str| match tally.share(key) {
        Some(share) => format!("{:.1}", 100.0 * share),
        None => String::new(),
    };
    let cells: Vec<String> = COLUMNS.iter().map(|(_, key)| share(key)).collect();
    let Setting { truth, seeds, noise, across } = setting;
    format!("| {} | {noise} | {across} | {seeds} | {} |", truth.name, cells.join(" | "))
}
