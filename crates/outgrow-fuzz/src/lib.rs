//! The readers of untrusted input, each as a function of bytes: what `scripts/fuzz` drives, and
//! what a test replays the kept inputs through.
//!
//! A target is a function here and a line of [`TARGETS`]. It may refuse an input, and must not
//! panic, hang, or take more than [`LONGEST`] or [`MOST_MEMORY`].

mod databases;
mod models;
mod plans;
mod texts;

use std::{path::PathBuf, time::Duration};

use nix::sys::{
    resource::{Usage, UsageWho, getrusage},
    time::TimeVal,
};

/// Processor time that one input may take, on all threads together.
pub const LONGEST: Duration = Duration::from_secs(1);
/// Memory that the process may come to.
pub const MOST_MEMORY: u64 = 1 << 30;

/// A reader of untrusted input.
pub struct Target {
    /// What it reads; its kept inputs lie in the folder of this name in `corpus`.
    pub name: &'static str,
    /// Whether the input was read; if not, it was refused.
    read: fn(&[u8]) -> bool,
    /// Inputs to begin with, made by the project's own writers, so that they are of today's
    /// formats.
    pub seeds: fn() -> Vec<Vec<u8>>,
    /// Bytes of the longest input that is tried.
    pub longest: usize,
}

const fn target(
    name: &'static str,
    read: fn(&[u8]) -> bool,
    seeds: fn() -> Vec<Vec<u8>>,
    longest: usize,
) -> Target {
    Target { name, read, seeds, longest }
}

/// All of them.
pub const TARGETS: [Target; 23] = [
    target("sweep", plans::sweep, plans::sweeps, 8192),
    target("trial", plans::trial, plans::trials, 4096),
    target("growths", plans::growths, plans::lists_of_growths, 4096),
    target("checkpoint-head", models::checkpoint_head, models::checkpoint_heads, 4096),
    target("checkpoint-model", models::checkpoint_model, models::checkpoint_models, 8192),
    target(
        "checkpoint-optimizer",
        models::checkpoint_optimizer,
        models::checkpoint_optimizers,
        16384,
    ),
    target("hub-config", models::hub_config, models::hub_configs, 4096),
    target("hub-grown", models::hub_grown, models::hub_configs, 4096),
    target("hub-index", models::hub_index, models::hub_indices, 4096),
    target("hub-model", models::hub_model, models::hub_models, 16384),
    target("tokenizer", texts::tokenizer, texts::tokenizers, 16384),
    target("tokenizer-config", texts::tokenizer_config, texts::tokenizer_configs, 1024),
    target("prepared", texts::prepared, texts::prepared_heads, 2048),
    target("text", texts::text, texts::texts, 4096),
    target("json-lines", texts::json_lines, texts::lines, 4096),
    target("json", texts::json, texts::arrays, 4096),
    target("gzip", texts::gzip, texts::gzips, 4096),
    target("zstd", texts::zstd, texts::zstds, 4096),
    target("parquet", texts::parquet, texts::parquets, 8192),
    target("address", databases::address, databases::addresses, 256),
    target("query", databases::query, databases::queries, 1024),
    target("database", databases::database, databases::databases, 1 << 20),
    target("spool", databases::spool, databases::spools, 4096),
];

impl Target {
    /// The target of a name.
    pub fn of(name: &str) -> Option<&'static Self> {
        const { &TARGETS }.iter().find(|target| target.name == name)
    }

    /// Where its kept inputs lie.
    pub fn corpus(&self) -> PathBuf {
        [env!("CARGO_MANIFEST_DIR"), "corpus", self.name].iter().collect()
    }

    /// Makes ready what it needs once in a thread, so that no input pays for that.
    pub fn prepare(&self) {
        (self.read)(b"");
    }

    /// Hands it an input; gives whether it was read.
    ///
    /// # Panics
    /// If the reader panics, or takes more time or memory than it may.
    pub fn check(&self, input: &[u8]) -> bool {
        let before = processor_time(&usage());
        let was_read = (self.read)(input);
        let after = usage();
        let took = processor_time(&after).saturating_sub(before);
        assert!(took <= LONGEST, "{}: an input took {took:?}, allowed are {LONGEST:?}", self.name);
        let memory = (after.max_rss() as u64) << 10;
        assert!(
            memory <= MOST_MEMORY,
            "{}: the process took {memory} bytes, allowed are {MOST_MEMORY}",
            self.name
        );
        was_read
    }
}

fn usage() -> Usage {
    getrusage(UsageWho::RUSAGE_SELF).expect("a process may ask for its own usage")
}

fn processor_time(usage: &Usage) -> Duration {
    let duration =
        |time: TimeVal| Duration::new(time.tv_sec() as u64, time.tv_usec() as u32 * 1000);
    duration(usage.user_time()) + duration(usage.system_time())
}
