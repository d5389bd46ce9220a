//! Mutated inputs for readers of untrusted input.

use std::{
    fs,
    time::{Duration, Instant},
};

/// Numbers and words that readers stumble over.
const NASTY: [&[u8]; 16] = [
    b"0",
    b"-1",
    b"4294967296",
    b"9223372036854775807",
    b"18446744073709551615",
    b"1e308",
    b"1e999",
    b"nan",
    b"inf",
    b"",
    b"\0",
    b"\"",
    b"[[[[[[[[",
    b"{",
    b"\xff\xfe",
    b"../../..",
];

/// How many inputs to try: few in an ordinary run of tests, as many as `OUTGROW_FUZZ` says otherwise.
fn cases() -> u64 {
    std::env::var("OUTGROW_FUZZ").ok().and_then(|n| n.parse().ok()).unwrap_or(3_000)
}

/// Numbers of a fixed sequence (splitmix64).
struct Draws(u64);

impl Draws {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % n.max(1) as u64) as usize
    }
}

/// Hands mutations of `examples`, which are whole inputs, to `read`.
///
/// # Panics
/// If `read` panics, takes more than a second for one of them, or the process comes to more than a gigabyte of memory; the input is
/// written to a file then.
pub fn fuzz(name: &str, examples: &[&[u8]], mut read: impl FnMut(&[u8])) {
    let (mut draws, before) = (Draws(1), peak_bytes());
    for case in 0..cases() {
        let input = mutated(examples, &mut draws);
        let began = Instant::now();
        let fine = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| read(&input))).is_ok();
        let took = began.elapsed();
        if !fine || took > Duration::from_secs(1) {
            let file = std::env::temp_dir().join(format!("outgrow-fuzz-{name}-{case}"));
            let _ = fs::write(&file, &input);
            panic!("{name}: input {case} is in {}: fine {fine}, took {took:?}", file.display());
        }
    }
    let grown = peak_bytes().saturating_sub(before);
    assert!(grown < 1 << 30, "{name}: took {grown} bytes");
    println!("{name}: {} inputs, {} MB more at the peak", cases(), grown >> 20);
}

fn mutated(examples: &[&[u8]], draws: &mut Draws) -> Vec<u8> {
    let mut input = examples[draws.below(examples.len())].to_vec();
    for _ in 0..=draws.below(4) {
        let at = draws.below(input.len() + 1);
        let to = (at + draws.below(12)).min(input.len());
        match draws.below(7) {
            0 if at < input.len() => input[at] ^= 1 << draws.below(8),
            1 => drop(input.drain(at..to)),
            2 => input.truncate(at),
            3 => drop(input.splice(at..to, NASTY[draws.below(NASTY.len())].iter().copied())),
            4 => numbers(&mut input, at, draws),
            5 => {
                let other = examples[draws.below(examples.len())];
                let from = draws.below(other.len() + 1);
                let piece = &other[from..(from + draws.below(60)).min(other.len())];
                drop(input.splice(at..at, piece.iter().copied()));
            }
            _ => {
                let piece = input[at..to].to_vec();
                drop(input.splice(at..at, piece.repeat(1 + draws.below(20))));
            }
        }
    }
    input
}

/// Puts a nasty number in the place of the next one.
fn numbers(input: &mut Vec<u8>, at: usize, draws: &mut Draws) {
    let digit = |byte: &u8| byte.is_ascii_digit();
    let Some(from) = input[at..].iter().position(digit).map(|found| at + found) else { return };
    let to = input[from..].iter().position(|byte| !digit(byte)).map_or(input.len(), |found| from + found);
    drop(input.splice(from..to, NASTY[draws.below(9)].iter().copied()));
}

/// The most memory that this process has taken.
fn peak_bytes() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or(0) << 10
}
