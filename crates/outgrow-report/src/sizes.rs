//! How many parameters arms have.

use outgrow_core::rows::TrialRow;
use serde::Serialize;

use crate::numbers::short;

/// Trainable parameters of an arm at its first and at its last token: of its plans the fewest and
/// the most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[allow(missing_docs)]
pub struct Sizes {
    pub first: [u64; 2],
    pub last: [u64; 2],
}

impl Sizes {
    /// Of some trials; none of none.
    pub fn of<'a>(trials: impl Iterator<Item = &'a TrialRow>) -> Option<Self> {
        let ends = trials.filter_map(|trial| {
            Some([trial.phases.first()?.parameters, trial.phases.last()?.parameters])
        });
        ends.fold(None, |all, [first, last]| {
            let all = all.unwrap_or(Self { first: [first; 2], last: [last; 2] });
            let with = |[least, most]: [u64; 2], one: u64| [least.min(one), most.max(one)];
            Some(Self { first: with(all.first, first), last: with(all.last, last) })
        })
    }

    /// "31k", "19k → 42k", "12k–19k → 42k".
    pub fn words(&self) -> String {
        let end = |[least, most]: [u64; 2]| {
            let both = [least, most].map(|n| short(n as f64));
            if both[0] == both[1] { both[0].clone() } else { both.join("–") }
        };
        match self.first == self.last {
            true => end(self.last),
            false => format!("{} → {}", end(self.first), end(self.last)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_short() {
        let words = |first, last| Sizes { first, last }.words();
        assert_eq!(words([31_200; 2], [31_200; 2]), "31k");
        assert_eq!(words([9_640; 2], [1_234_567; 2]), "9.6k → 1.2M");
        assert_eq!(words([12_000, 19_100], [235_000; 2]), "12k–19k → 235k");
        assert_eq!(words([10; 2], [30; 2]), "10 → 30");
    }
}
