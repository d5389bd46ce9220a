//! Sweep files are read without a panic, whatever is in them, and expanded without taking the machine with them.

use outgrow_core::{Sweep, Trial};
use outgrow_testkit::fuzz::fuzz;

const SWEEPS: [&[u8]; 3] = [
    include_bytes!("../../outgrow-store/tests/sweep.toml"),
    include_bytes!("../../../experiments/quickstart/sweep.toml"),
    include_bytes!("../../../experiments/operators/sweep.toml"),
];

#[test]
fn sweep_files() {
    fuzz("sweep", &SWEEPS, |input| {
        if let Ok(text) = std::str::from_utf8(input)
            && let Ok(sweep) = Sweep::parse(text)
        {
            // What is printed means the same.
            let again = Sweep::parse(&sweep.resolved()).expect("a resolved sweep is a sweep");
            assert_eq!(again.resolved(), sweep.resolved());
        }
    });
}

#[test]
fn trials_of_a_database() {
    let sweep = Sweep::parse(std::str::from_utf8(SWEEPS[0]).expect("text")).expect("a sweep");
    let members = sweep.members("d").expect("members");
    let trials: Vec<String> = members.iter().map(|m| serde_json::to_string(&m.trial).expect("JSON")).collect();
    let examples: Vec<&[u8]> = trials.iter().map(String::as_bytes).collect();
    fuzz("trial", &examples, |input| {
        if let Ok(trial) = serde_json::from_slice::<Trial>(input) {
            let _ = trial.id();
        }
    });
}
