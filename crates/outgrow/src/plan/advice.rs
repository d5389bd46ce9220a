//! A small change of a sweep file that would save compute.

use outgrow_core::{
    Sweep,
    sweep::{LearningRateSchedule, in_order},
};

use super::{Cost, Plan, begun, saved};

/// Savings below this share are not worth a change.
const LEAST: f64 = 0.02;

impl Plan {
    /// Says so where a warm-up in tokens instead of a share of them would let trials share their
    /// beginnings.
    pub(super) fn advice(&self, cost: &Cost) -> Option<String> {
        let mut spec = self.sweep.spec().clone();
        let tokens = spec.training.tokens as f64;
        let (LearningRateSchedule::Wsd { warmup, .. } | LearningRateSchedule::Constant { warmup }) =
            &mut spec.training.schedule
        else {
            return None;
        };
        if *warmup == 0.0 || *warmup >= 1.0 {
            return None;
        }
        *warmup = (*warmup * tokens).round().max(1.0);
        let warmup = *warmup;
        let other = Sweep::new(spec).ok()?;
        let members = other.members(&self.text.digest).ok()?;
        let other = other.expected(members);
        let less = (saved(&begun(in_order(&other))) - cost.saved_flops) / cost.train_flops;
        (less >= LEAST).then(|| {
            format!(
                "training.schedule.warmup = {warmup} (tokens, not a share of them) would let more \
                 trials share their beginnings: {:.0} % less to train",
                100.0 * less
            )
        })
    }
}
