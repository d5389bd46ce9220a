//! AdamW on the flat state, with an age for each entry.

use outgrow_core::sweep::OptimizerSpec;
use tch::{Tensor, no_grad};

use crate::state::TrainingState;

/// One AdamW step (Loshchilov & Hutter 2019, decoupled decay) with clipping of the global gradient norm; gives that norm
/// before clipping, still on the device.
///
/// Bias correction uses each entry's own age: with a step counter shared by old and new entries, an entry born at step
/// 1,000 under β₂ = 0.999 would first move by 3.2 times the learning rate and by up to 6.6 times within its first dozen steps.
pub fn step(state: &mut TrainingState, gradient: &Tensor, spec: &OptimizerSpec, learning_rate: f64) -> Tensor {
    no_grad(|| {
        state.step += 1;
        let norm = gradient.norm();
        let gradient = clip(gradient, &norm, spec.clip_norm);
        let _ = state.first_moment.lerp_(&gradient, 1.0 - spec.beta1);
        let _ = state.second_moment.lerp_(&gradient.square(), 1.0 - spec.beta2);
        if spec.weight_decay > 0.0 {
            let mut decayed = state.weights.narrow(0, 0, state.layout().decayed());
            let _ = decayed.g_mul_scalar_(1.0 - learning_rate * spec.weight_decay);
        }
        let update = match corrections(state, spec) {
            Corrections::Same(c1, c2) => {
                let denominator = (state.second_moment.sqrt() / c2.sqrt()).g_add_scalar_(spec.eps);
                state.first_moment.g_div(&denominator).g_mul_scalar_(learning_rate / c1)
            }
            Corrections::PerEntry(c1, root_c2) => {
                let denominator = state.second_moment.sqrt().g_div_(&root_c2).g_add_scalar_(spec.eps);
                state.first_moment.g_div(&denominator).g_div_(&c1).g_mul_scalar_(learning_rate)
            }
        };
        let _ = state.weights.g_sub_(&update);
        norm
    })
}

fn clip(gradient: &Tensor, norm: &Tensor, clip_norm: f64) -> Tensor {
    match clip_norm {
        0.0 => gradient.shallow_clone(),
        // Without a look at the norm from the host, which would wait for the device.
        max => gradient * (norm + 1e-12).reciprocal().g_mul_scalar_(max).clamp_max_(1.0),
    }
}

enum Corrections {
    /// 1 − β₁ᵃ and 1 − β₂ᵃ, the same for all entries.
    Same(f64, f64),
    /// 1 − β₁ᵃ and √(1 − β₂ᵃ), entry by entry.
    PerEntry(Tensor, Tensor),
}

fn corrections(state: &TrainingState, spec: &OptimizerSpec) -> Corrections {
    let of = |beta: f64, born: i64| 1.0 - beta.powi((state.step - born).min(i32::MAX as i64) as i32);
    let pairs: Vec<(f64, f64)> = state.cohorts.iter().map(|&b| (of(spec.beta1, b), of(spec.beta2, b))).collect();
    // What float32 can't tell apart need not be looked up.
    let same = |a: &(f64, f64), b: &(f64, f64)| (a.0 - b.0).abs() < 1e-9 && (a.1 - b.1).abs() < 1e-9;
    if pairs.iter().all(|pair| same(pair, &pairs[0])) {
        return Corrections::Same(pairs[0].0, pairs[0].1);
    }
    let look_up = |values: Vec<f64>| {
        let table = Tensor::from_slice(&values).to_kind(state.master()).to_device(state.weights.device());
        table.index_select(0, &state.cohort)
    };
    let first = look_up(pairs.iter().map(|pair| pair.0).collect());
    let second = look_up(pairs.iter().map(|pair| pair.1.sqrt()).collect());
    Corrections::PerEntry(first, second)
}
