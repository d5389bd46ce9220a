//! Running sums between two records, and the clock.

use std::time::Instant;

use tch::{Kind, Tensor};

use crate::{checkpoint::Window, device::Device, step::Stepped};

/// The running window, its numbers left on the device until they are asked for, one for each
/// member.
pub(super) struct DeviceWindow {
    loss: Tensor,
    steps: u64,
    gradient_norm: Tensor,
}

impl DeviceWindow {
    /// From the sums of each member.
    pub(super) fn new(windows: &[Window], device: Device) -> Self {
        let each = |of: fn(&Window) -> f64| {
            Tensor::from_slice(&windows.iter().map(of).collect::<Vec<f64>>())
                .to_device(device.tch())
        };
        let (loss, gradient_norm) =
            (each(|window| window.loss), each(|window| window.gradient_norm));
        Self { loss, steps: windows[0].steps, gradient_norm }
    }

    /// Adds a step.
    pub(super) fn add(&mut self, stepped: &Stepped) {
        self.loss = &self.loss + stepped.loss.to_kind(Kind::Double);
        self.gradient_norm =
            self.gradient_norm.maximum(&stepped.gradient_norm.to_kind(Kind::Double));
        self.steps += 1;
    }

    /// The sums of each member; waits for the device.
    pub(super) fn read(&self) -> Vec<Window> {
        let numbers = |of: &Tensor| Vec::<f64>::try_from(of).expect("a number for each member");
        let window = |(loss, gradient_norm)| Window { loss, steps: self.steps, gradient_norm };
        numbers(&self.loss).into_iter().zip(numbers(&self.gradient_norm)).map(window).collect()
    }
}

/// Seconds of training: it stands still while evaluating and saving.
pub(super) struct Clock {
    before: f64,
    since: Instant,
}

impl Clock {
    /// Goes on from so many seconds.
    pub(super) fn starting_at(seconds: f64) -> Self {
        Self { before: seconds, since: Instant::now() }
    }

    /// Seconds of training so far.
    pub(super) fn seconds(&self) -> f64 {
        self.before + self.since.elapsed().as_secs_f64()
    }

    /// Goes on from so many seconds, which forgets the time since they were read.
    pub(super) fn resume_at(&mut self, seconds: f64) {
        *self = Self::starting_at(seconds);
    }
}
