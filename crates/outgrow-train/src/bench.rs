//! What benchmarks measure: training steps, the bare matrix products of a step, and the peak
//! of a large one.

use std::{path::Path, time::Instant};

use outgrow_core::{
    Architecture,
    model::{Axis, LayerShape},
    stream::stream,
    sweep::{Precision, StepSettings},
};
use outgrow_data::Tokens;
use rand::Rng;
use tch::{Kind, Tensor, no_grad};

use crate::{
    checkpoint::{Checkpoint, CheckpointError},
    device::Device,
    state::TrainingState,
    step::{Phase, Stepper, kinds},
};

/// A training of random tokens that can be stepped for ever.
pub struct Steps {
    batch_size: usize,
    state: TrainingState,
    stepper: Stepper,
    device: Device,
    text: Vec<u8>,
    done: usize,
}

impl Steps {
    /// A fresh model of the settings' initial architecture that takes `batch_size` sequences a
    /// step, or so many `replicates` of it as one.
    pub fn new(settings: StepSettings, batch_size: usize, device: Device, replicates: u16) -> Self {
        let architecture = settings.plan.initial();
        let master = kinds(settings.precision).1;
        let fresh = |seed| TrainingState::fresh(architecture, seed, master, device);
        let state =
            no_grad(|| TrainingState::stack((1..=u64::from(replicates)).map(fresh).collect()));
        let vocabulary = architecture.vocab_size.min(256);
        let mut text = vec![0; 1 << 20];
        stream(1, "bench").fill_bytes(&mut text);
        text.iter_mut().for_each(|byte| *byte = (usize::from(*byte) % vocabulary) as u8);
        let stepper = Stepper::new(settings, device, 1);
        Self { batch_size, state, stepper, device, text, done: 0 }
    }

    /// Trains so many steps; gives the seconds that they took and the last loss. `after` is told of
    /// every part of a step.
    pub fn run(&mut self, steps: usize, after: &mut dyn FnMut(Phase)) -> (f64, f64) {
        let began = Instant::now();
        let seq_len = self.state.architecture().seq_len;
        let batch = self.batch_size * self.state.replicates().unwrap_or(1) as usize;
        let mut loss = f64::NAN;
        for step in 0..steps {
            self.done += 1;
            let starts =
                (0..batch).map(|n| (self.done * batch + n) * 97 % (self.text.len() - seq_len));
            let sequences = starts.map(|start| Tokens::U8(&self.text[start..][..seq_len + 1]));
            let stepped = self.stepper.step(&mut self.state, sequences, 1e-3, after);
            if step + 1 == steps {
                loss = stepped.loss.mean(Kind::Double).double_value(&[]);
            }
        }
        self.waiter()();
        (began.elapsed().as_secs_f64(), loss)
    }

    /// Waits until the device has done what was asked of it.
    pub fn waiter(&self) -> impl Fn() + use<> {
        let device = self.device;
        move || {
            if let Device::Cuda(index) = device {
                tch::Cuda::synchronize(index as i64);
            }
        }
    }

    /// Seconds to write a checkpoint of the state, safely on disk, and its bytes.
    ///
    /// # Errors
    /// If it can't be written.
    pub fn checkpoint(&self, folder: &Path) -> Result<(f64, u64), CheckpointError> {
        // As if it had stepped: a state that has not carries no moments along.
        let mut state = self.state.share();
        state.step = state.step.max(1);
        let began = Instant::now();
        let (_, bytes) = Checkpoint { state, progress: None }.write(folder)?;
        Ok((began.elapsed().as_secs_f64(), bytes))
    }

    /// Seconds that the matrix products of so many steps take by themselves, softmax included and
    /// nothing else.
    pub fn products(&self, steps: usize) -> f64 {
        let (architecture, compute) = (self.state.architecture(), self.stepper.compute());
        no_grad(|| {
            let products =
                Products::new(architecture, self.batch_size, (compute, self.device.tch()));
            let began = Instant::now();
            for _ in 0..steps {
                architecture.layers.iter().for_each(|layer| products.layer(layer));
                products.both_ways(architecture.d_model, architecture.n_outputs);
            }
            self.waiter()();
            began.elapsed().as_secs_f64()
        })
    }
}

/// FLOP/s of a product of two large square matrices of random numbers, the best of five.
pub fn peak(precision: Precision, device: Device) -> f64 {
    let n = if device == Device::Cpu { 1536 } else { 8192 };
    let matrix = || Tensor::randn([n, n], (Kind::Float, device.tch())).to_kind(kinds(precision).0);
    let (a, b) = (matrix(), matrix());
    let once = || {
        let began = Instant::now();
        // Reading one number waits for the device.
        let _ = a.matmul(&b).get(0).get(0).double_value(&[]);
        began.elapsed().as_secs_f64()
    };
    once();
    let best = (0..5).map(|_| once()).fold(f64::INFINITY, f64::min);
    2.0 * (n as f64).powi(3) / best
}

/// Matrices that products are taken of: what is in them does not matter, but that they are not
/// zero.
struct Products {
    rows: i64,
    batch: i64,
    t: i64,
    h: i64,
    numbers: Tensor,
}

impl Products {
    fn new(architecture: &Architecture, batch: usize, options: (Kind, tch::Device)) -> Self {
        let (t, h) = (architecture.seq_len, architecture.d_model);
        let width = |layer: &LayerShape| {
            layer
                .d_ff
                .max(layer.width(Axis::Key))
                .max(layer.width(Axis::Value))
                .max(layer.n_heads() * t)
        };
        let widest =
            architecture.layers.iter().map(width).fold(h.max(architecture.n_outputs), usize::max);
        let numbers =
            (Tensor::randn([(batch * t).max(h) as i64 * widest as i64], (Kind::Float, options.1))
                * 0.1)
                .to_kind(options.0);
        Self { rows: (batch * t) as i64, batch: batch as i64, t: t as i64, h: h as i64, numbers }
    }

    fn of(&self, shape: &[i64]) -> Tensor {
        self.numbers.narrow(0, 0, shape.iter().product()).view(shape)
    }

    /// y = x w, and the gradients of both.
    fn both_ways(&self, from: usize, to: usize) {
        let (from, to) = (from as i64, to as i64);
        let (x, w, dy) =
            (self.of(&[self.rows, from]), self.of(&[from, to]), self.of(&[self.rows, to]));
        let _ = (x.mm(&w), dy.mm(&w.tr()), x.tr().mm(&dy));
    }

    fn layer(&self, layer: &LayerShape) {
        let h = self.h as usize;
        self.both_ways(h, layer.width(Axis::Key));
        self.both_ways(h, layer.width(Axis::Key));
        self.both_ways(h, layer.width(Axis::Value));
        self.both_ways(layer.width(Axis::Value), h);
        self.both_ways(h, layer.d_ff);
        self.both_ways(layer.d_ff, h);
        for group in layer.groups() {
            let of =
                |width: usize| self.of(&[self.batch * group.n_heads as i64, self.t, width as i64]);
            let (q, v) = (of(group.d_k), of(group.d_v));
            let p = q.bmm(&q.transpose(1, 2)).softmax(-1, None);
            let (_, dp) = (p.bmm(&v), v.bmm(&v.transpose(1, 2)));
            let _ = (p.transpose(1, 2).bmm(&v), dp.bmm(&q), dp.transpose(1, 2).bmm(&q));
        }
    }
}
