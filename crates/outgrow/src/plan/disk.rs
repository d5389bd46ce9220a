//! What the checkpoints of a sweep will take on disk.

use std::collections::BTreeMap;

use outgrow_core::{
    Architecture, KeepFinal, Trial,
    model::{n_parameters, parameters},
    sweep::{Member, Precision},
};

use super::Plan;
use crate::readable::bytes;

/// Bytes of checkpoints, predicted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DiskUse {
    /// At most while it runs.
    pub most: u64,
    /// Once all trials are complete.
    pub at_end: u64,
}

impl DiskUse {
    /// In a line.
    pub fn describe(&self) -> String {
        let [most, at_end] = [self.most, self.at_end].map(bytes);
        format!("checkpoints: at most {most} while it runs, {at_end} at the end (--keep-final)")
    }
}

impl Plan {
    /// What its checkpoints take on disk with so many workers, which keep so many checkpoints of a
    /// trial that they are at, and this of one that is complete. The states at the ends of shared
    /// prefixes are counted as if all were there at once.
    pub fn disk(&self, workers: usize, keep: usize, keep_final: KeepFinal) -> DiskUse {
        let trials = || self.members.iter().map(|Member { trial, .. }| trial);
        // A trial may stand in several places.
        let finals: BTreeMap<String, u64> = trials()
            .map(|trial| {
                let (target, keep) = (trial.plan.target(), keep as u64);
                let bytes = match keep_final {
                    KeepFinal::Weights => checkpoint(trial, target, false),
                    KeepFinal::All => keep * checkpoint(trial, target, true),
                    KeepFinal::None => 0,
                };
                (trial.id(), bytes)
            })
            .collect();
        let at_end: u64 = finals.values().sum();
        let largest = trials().map(|trial| checkpoint(trial, trial.plan.target(), true)).max();
        // One more while it is written.
        let at_work = workers.min(finals.len()) as u64 * (keep as u64 + 1);
        let most = at_end + at_work * largest.unwrap_or(0) + self.prefix_bytes();
        DiskUse { most, at_end }
    }

    /// Of the states that trials begin from.
    fn prefix_bytes(&self) -> u64 {
        let shared = self.shared_prefixes();
        let states: BTreeMap<(usize, u64), u64> = shared
            .iter()
            .filter_map(|(_, prefix)| *prefix)
            .map(|prefix| {
                let trial = &shared[prefix.of].0.trial;
                let tokens = prefix.step * trial.step_tokens();
                let before =
                    trial.plan.stages().iter().filter(|stage| stage.tokens < tokens).count();
                let bytes = checkpoint(trial, trial.plan.architecture_after(before), true);
                ((prefix.of, prefix.step), bytes)
            })
            .collect();
        states.values().sum()
    }
}

/// Of a checkpoint: weights, and with the optimizer two moments and the birth step of each entry.
fn checkpoint(trial: &Trial, architecture: &Architecture, optimizer: bool) -> u64 {
    let each = match trial.settings.training.precision {
        Precision::Float64 => 8,
        Precision::Float32 | Precision::Bfloat16 => 4,
    };
    let (entries, tensors) = (n_parameters(architecture), parameters(architecture).len() as u64);
    let (per_entry, files) = if optimizer { (3 * each + 4, 4) } else { (each, 1) };
    entries * per_entry + tensors * files * PER_TENSOR + HEAD
}

/// Bytes that name a tensor in its file.
const PER_TENSOR: u64 = 110;

/// Bytes of a head, but for its sizes.
const HEAD: u64 = 2000;
