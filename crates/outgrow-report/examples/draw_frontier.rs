//! Writes the report of a made-up sweep with a frontier, to look at its figures:
//! `cargo run -p outgrow-report --example draw_frontier -- FOLDER ARMS [BUDGET,BUDGET...]`.

#[path = "../tests/born/mod.rs"]
mod born;

use std::{fs, path::Path};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [folder, arms, at @ ..] = &arguments[..] else { panic!("FOLDER ARMS [BUDGETS]") };
    let at: Vec<f64> = match at {
        [] => vec![10.0, 20.0, 40.0],
        [at, ..] => at.split(',').map(|budget| budget.parse().expect("a budget")).collect(),
    };
    let rows = born::rows(&born::Planted {
        arms: born::arms(arms.parse().expect("a number")),
        budgets: &[10.0, 20.0, 40.0, 80.0],
        strategies_at: &at,
        seeds: 5,
    });
    for (path, bytes) in outgrow_report::report(&rows).expect("a report").files {
        let path = Path::new(folder).join(path);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(path, bytes).expect("a file");
    }
}
