//! The flat tensors of a training state as slices.

use tch::{Device, Kind, Tensor};

use super::{adamw, tensors::read};
use crate::state::TrainingState;

/// The norm of a flat gradient.
pub(crate) fn norm(gradient: &Tensor) -> f64 {
    adamw::norm(read(gradient))
}

/// The flat tensors of a state that steps, and which birth is each entry's.
pub(crate) fn flat<'a>(
    state: &'a mut TrainingState,
    gradient: &'a Tensor,
) -> (adamw::Flat<'a>, &'a [i32]) {
    let write = |tensor: &Tensor| {
        assert!(
            tensor.kind() == Kind::Float
                && tensor.is_contiguous()
                && tensor.device() == Device::Cpu
        );
        // SAFETY: as asserted; the state is borrowed mutably for as long as the slice lives, and
        // each of its tensors, which share no memory, is taken once.
        unsafe { std::slice::from_raw_parts_mut(tensor.data_ptr().cast::<f32>(), tensor.numel()) }
    };
    let (weights, first, second) =
        (write(&state.weights), write(&state.first_moment), write(&state.second_moment));
    let ages = &state.cohort;
    assert!(ages.kind() == Kind::Int && ages.is_contiguous() && ages.device() == Device::Cpu);
    // SAFETY: as asserted; the state is borrowed for as long as the slice lives, and a step writes
    // none of its ages.
    let ages = unsafe { std::slice::from_raw_parts(ages.data_ptr().cast::<i32>(), ages.numel()) };
    (adamw::Flat { weights, first, second, gradient: read(gradient) }, ages)
}
