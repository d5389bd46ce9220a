//! One target under libFuzzer; `scripts/fuzz` says which, and gives libFuzzer its options.
#![no_main]

use std::{env, fs, path::Path, sync::OnceLock};

use libfuzzer_sys::fuzz_target;
use nix::sys::resource::{Resource, rlim_t, setrlimit};
use outgrow_fuzz::{MOST_MEMORY, TARGETS, Target};

fuzz_target!(init: begin(), |input: &[u8]| {
    target().check(input);
});

/// The target that the environment names.
fn target() -> &'static Target {
    static TARGET: OnceLock<&Target> = OnceLock::new();
    TARGET.get_or_init(|| {
        let name = env::var("OUTGROW_FUZZ_TARGET").unwrap_or_default();
        Target::of(&name).unwrap_or_else(|| list())
    })
}

/// Says which there are, with the bytes of the longest input of each.
fn list() -> ! {
    TARGETS.iter().for_each(|target| println!("{} {}", target.name, target.longest));
    std::process::exit(0)
}

/// Writes the seeds to the folder that the environment names, and bounds what can be allocated: one
/// wild allocation ends here and does not take the machine with it.
fn begin() {
    let target = target();
    if let Ok(folder) = env::var("OUTGROW_FUZZ_SEEDS") {
        for (number, seed) in (target.seeds)().iter().enumerate() {
            fs::write(Path::new(&folder).join(format!("seed-{number}")), seed)
                .expect("a seed is written");
        }
    }
    target.prepare();
    let status =
        fs::read_to_string("/proc/self/status").expect("a process may read its own status");
    let data = status
        .lines()
        .find_map(|line| line.strip_prefix("VmData:")?.split_whitespace().next()?.parse().ok());
    let bound = (data.unwrap_or(0u64) << 10) + MOST_MEMORY;
    setrlimit(Resource::RLIMIT_DATA, bound as rlim_t, bound as rlim_t)
        .expect("a process may bound itself");
}
