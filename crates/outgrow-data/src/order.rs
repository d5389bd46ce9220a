//! The order in which a seed reads the training text.

use outgrow_core::stream::{Stream, stream};
use rand::RngExt;

/// The random order of training sequences of one seed, at any position. Text is drawn without
/// replacement: each pass over the text cuts it into windows, beginning at a random place, and
/// takes each of them once, in a random order.
pub struct Order {
    seed: u64,
}

impl Order {
    /// The order of a trial's seed.
    pub fn new(seed: u64) -> Self {
        Self { seed }
    }

    /// Where sequence `number` begins in a text of so many tokens, of which a sequence has
    /// `seq_len`, and its last target.
    pub(crate) fn start(&self, number: u64, text: usize, seq_len: usize) -> usize {
        let windows = ((text - seq_len) / seq_len).max(1);
        let first_places = seq_len.min(text - windows * seq_len);
        let (pass, index) = (number / windows as u64, number % windows as u64);
        let mut draws = stream(self.seed, &format!("data/{pass}"));
        let first = draws.random_range(0..first_places as u64) as usize;
        first + permuted(&mut draws, index, windows as u64) as usize * seq_len
    }
}

const ROUNDS: usize = 8;

/// Where a random permutation of `0..n`, which the stream draws, puts `index`: a Feistel network
/// over the next even number of bits, walked until it comes back below `n` (Black and Rogaway,
/// Ciphers with arbitrary finite domains, CT-RSA 2002). So a permutation takes no memory, however
/// long the text is.
fn permuted(draws: &mut Stream, index: u64, n: u64) -> u64 {
    let keys: [u64; ROUNDS] = draws.random();
    let half = (u64::BITS - (n - 1).leading_zeros()).div_ceil(2).max(1);
    let mask = (1 << half) - 1;
    let mut place = index;
    loop {
        let halves = keys.iter().fold((place >> half, place & mask), |(left, right), key| {
            (right, left ^ (mixed(right ^ key) & mask))
        });
        place = halves.0 << half | halves.1;
        if place < n {
            return place;
        }
    }
}

/// Every bit of the result depends on every bit of `x` (the finalizer of SplitMix64, Steele et al.
/// 2014).
fn mixed(x: u64) -> u64 {
    let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_pass_takes_each_window_once(seed in any::<u64>(), text in 9_usize..2_000, pass in 0_u64..3) {
            let (order, seq_len) = (Order::new(seed), 8);
            let windows = ((text - seq_len) / seq_len).max(1) as u64;
            let numbers = pass * windows..(pass + 1) * windows;
            let mut starts: Vec<usize> =
                numbers.map(|number| order.start(number, text, seq_len)).collect();
            starts.sort_unstable();
            prop_assert!(starts.windows(2).all(|pair| pair[1] - pair[0] == seq_len));
            prop_assert!(starts[0] < seq_len && starts.last().unwrap() + seq_len < text);
        }
    }

    #[test]
    fn passes_and_seeds_differ_in_order() {
        let starts = |seed, pass: u64| -> Vec<usize> {
            let order = Order::new(seed);
            (pass * 124..(pass + 1) * 124).map(|number| order.start(number, 1_000, 8)).collect()
        };
        let first = starts(1, 0);
        assert_ne!(first, starts(1, 1));
        assert_ne!(first, starts(2, 0));
        // Neighbours of an order lie apart in the text.
        let apart: usize = first.windows(2).map(|pair| pair[0].abs_diff(pair[1])).sum();
        let mean = apart as f64 / 123.0;
        assert!((200.0..470.0).contains(&mean), "{mean} of 1,000");
    }

    #[test]
    fn each_place_of_a_permutation_is_as_likely_as_any_other() {
        let mut counts = [[0_u32; 5]; 5];
        for seed in 0..5_000 {
            for index in 0..5 {
                counts[index as usize]
                    [permuted(&mut stream(seed, "permutation"), index, 5) as usize] += 1;
            }
        }
        assert!(counts.as_flattened().iter().all(|n| (900..1_100).contains(n)), "{counts:?}");
    }
}
