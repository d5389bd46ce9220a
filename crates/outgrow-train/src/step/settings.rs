//! The kinds of a step's numbers, and how its gradients are computed.

use outgrow_core::{
    Trial,
    sweep::{Precision, memory::Backward},
};
use tch::Kind;

use crate::{device::Device, fused};

/// The kind that activations are computed in, and that of the master weights.
pub fn kinds(precision: Precision) -> (Kind, Kind) {
    match precision {
        Precision::Float32 => (Kind::Float, Kind::Float),
        Precision::Bfloat16 => (Kind::BFloat16, Kind::Float),
        Precision::Float64 => (Kind::Double, Kind::Double),
    }
}

/// How the gradients of a trial are computed here, so many replicates as one model: fused where that
/// is possible.
pub fn backward(trial: &Trial, device: Device, together: usize) -> Backward {
    let kind = kinds(trial.settings.training.precision).0;
    // Layers that share weights until they are untied are not served.
    let serves =
        |stages: usize| fused::serves(trial.plan.architecture_after(stages), device.tch(), kind);
    match together == 1 && (0..=trial.plan.stages().len()).all(serves) {
        true => Backward::Fused,
        false => Backward::Autograd,
    }
}
