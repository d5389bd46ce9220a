//! What a strategy saves against the controls.

use serde::Serialize;

use crate::{
    interval::{Interval, by_seed},
    tested::{LEVEL, Tested},
};

/// A strategy against the control, seed by seed. A trial that never reached the control's loss is
/// censored: it counts with the most that it can have saved, and the means that it is in are upper
/// bounds.
#[derive(Clone, Debug, Serialize)]
pub struct Comparison {
    /// Final loss minus the control's, under the same seed.
    pub loss_difference: Option<Tested>,
    /// What each trial saved.
    pub savings: Vec<Saving>,
    /// Complete trials that reached the control's final loss, and all complete trials.
    pub reached: [usize; 2],
    /// Compute saved on the way to the control's final loss, as a fraction, every FLOP since the
    /// smallest model counted (all-in).
    pub compute: Option<Interval>,
    /// The same with the model before its first growth for free (sunk).
    pub sunk: Option<Interval>,
    /// The same as `compute`, with compute counted as 6 × parameters without embeddings × tokens.
    pub six_nd: Option<Interval>,
    /// Tokens saved likewise.
    pub tokens: Option<Interval>,
    /// Wall time saved likewise.
    pub wall: Option<Interval>,
    /// `compute` tested against zero; none where a trial did not reach the loss, for of bounds
    /// there is no test.
    pub test: Option<Tested>,
    /// Final loss minus that of the target size with the same compute, its schedule ending at
    /// that budget.
    pub same_flops: Option<Gap>,
    /// Final loss minus that of the target size with the same tokens.
    pub same_tokens: Option<Gap>,
    /// Final loss minus that of the best size that never grows, with the same compute.
    pub best_fixed_size: Option<Gap>,
}

impl Comparison {
    /// Whether some trial never reached the control's loss: the savings are upper bounds then.
    pub fn is_censored(&self) -> bool {
        self.reached[0] < self.reached[1]
    }

    /// Whether a saving in it was read before the end of a schedule.
    pub fn is_on_the_way(&self) -> bool {
        self.savings.iter().any(|saving| saving.on_the_way)
    }

    /// Whether the saving is told from zero, all strategies asked at once.
    pub fn is_significant(&self) -> bool {
        self.test.as_ref().is_some_and(Tested::is_significant)
    }

    /// The p-value of the saving, all strategies asked at once.
    pub fn p_corrected(&self) -> Option<f64> {
        self.test.as_ref()?.p_corrected
    }

    /// The compute saved with the interval that goes with that p-value.
    pub fn compute_corrected(&self) -> Option<Interval> {
        self.corrected(|saving| saving.compute)
    }

    /// What is saved by a convention, with the interval at the level at which the compute saved is
    /// judged; at 95 % where it is a bound, which is not judged. Nothing saves more than all.
    pub fn corrected(&self, of: fn(&Saving) -> f64) -> Option<Interval> {
        let values = by_seed(self.savings.iter().map(|saving| (saving.replicate, of(saving))));
        let level = self.test.as_ref().map_or(LEVEL, |test| test.level);
        let found = Interval::at(&values.into_values().collect::<Vec<_>>(), level)?;
        Some(found.within([f64::NEG_INFINITY, 1.0]))
    }

    /// Seeds with which the compute saved would be told from zero with 80 % power, at the level at
    /// which it is judged.
    pub fn seeds_needed(&self) -> Option<usize> {
        self.test.as_ref()?.seeds_needed()
    }
}

/// A difference of final losses, seed by seed.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[allow(missing_docs)]
pub struct Gap {
    pub against: String,
    /// The strategy's loss minus the control's.
    pub difference: Tested,
}

/// What one trial saved on the way to its control's final loss.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[allow(missing_docs)]
pub struct Saving {
    pub plan: usize,
    pub replicate: usize,
    /// Whether it reached that loss. If not, the numbers are the most that it can have saved.
    pub reached: bool,
    /// Whether it reached it before its last evaluation: in the middle of its schedule.
    pub on_the_way: bool,
    /// Fraction of the control's FLOPs saved.
    pub compute: f64,
    /// With the source model for free.
    pub sunk: f64,
    /// With compute counted as 6ND.
    pub six_nd: f64,
    /// Fraction of the control's tokens.
    pub tokens: f64,
    /// Fraction of the control's wall time.
    pub wall: f64,
}
