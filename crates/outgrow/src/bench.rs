//! How fast models train on this machine.

mod preset;

use outgrow_core::{
    Architecture, Sweep,
    flops::train_flops,
    model::n_parameters,
    sweep::{Precision, StepSettings},
};
use outgrow_train::{
    Device,
    bench::{Steps, peak},
    check_room, device,
};
use serde::Serialize;

pub use self::preset::{Preset, PresetSizes};
use crate::{
    devices::check_device,
    error::Error,
    readable::{count, flops, table},
};

/// A turn of steps lasts about so long.
const TURN_SECONDS: f64 = 0.7;
/// Steps before anything is measured: libtorch sets itself up, buffers are made.
const WARM_UP: usize = 3;

/// A model whose steps are measured.
#[derive(Clone, Debug)]
pub struct BenchModel {
    /// For people.
    pub name: String,
    /// How it steps; its model is the plan's initial one.
    pub settings: StepSettings,
    /// Sequences of a step.
    pub batch_size: usize,
}

impl BenchModel {
    /// The model of a preset.
    pub fn of_preset(preset: Preset, precision: Precision) -> Self {
        let sizes = preset.sizes();
        Self {
            name: preset.name().to_owned(),
            settings: sizes.step_settings(precision),
            batch_size: sizes.batch_size,
        }
    }

    /// The initial and the target model of a sweep, stepped as its trials are.
    pub fn of_sweep(sweep: &Sweep) -> [Self; 2] {
        let training = &sweep.spec().training;
        let batch_size = training.batch_size;
        [("initial", sweep.initial()), ("target", sweep.target())].map(|(name, model)| Self {
            name: name.to_owned(),
            settings: StepSettings {
                optimizer: training.optimizer.clone(),
                step_tokens: (batch_size * model.seq_len) as u64,
                ..StepSettings::usual(model, training.precision)
            },
            batch_size,
        })
    }

    fn architecture(&self) -> &Architecture {
        self.settings.plan.initial()
    }
}

/// Where and how often steps are measured.
#[derive(Clone, Debug)]
pub struct BenchOptions {
    /// None is the first device there is.
    pub device: Option<Device>,
    /// CPU threads.
    pub threads: u16,
    /// How often each model has its turn.
    pub turns: u16,
}

impl Default for BenchOptions {
    fn default() -> Self {
        Self { device: None, threads: 1, turns: 3 }
    }
}

/// Speed of this machine.
#[derive(Clone, Debug, Serialize)]
pub struct Speed {
    /// The device, in words.
    pub device: String,
    /// CPU threads.
    pub threads: u16,
    /// How often each model had its turn.
    pub turns: u16,
    /// Of a product of two large matrices in the first model's precision.
    pub peak_flops_per_second: f64,
    /// A line for each model.
    pub models: Vec<ModelSpeed>,
}

/// Speed of one model.
#[derive(Clone, Debug, Serialize)]
pub struct ModelSpeed {
    /// As it was called.
    pub name: String,
    /// Of the model.
    pub parameters: u64,
    /// Tokens of a step.
    pub step_tokens: u64,
    /// Model FLOPs of training on a token.
    pub flops_per_token: f64,
    /// Median, smallest and largest of the turns.
    pub tokens_per_second: [f64; 3],
    /// Median.
    pub steps_per_second: f64,
    /// Model FLOPs per second, median.
    pub flops_per_second: f64,
    /// The same as a share of the peak.
    pub mfu: f64,
}

impl Speed {
    /// All of it, for people; if it `fits`, as narrow as the terminal.
    pub fn describe(&self, fits: bool) -> String {
        let row = |model: &ModelSpeed| {
            let [median, low, high] = model.tokens_per_second.map(count);
            vec![
                model.name.clone(),
                count(model.parameters as f64),
                format!("{:.2}", model.steps_per_second),
                format!("{median} [{low}, {high}]"),
                format!("{}/s", flops(model.flops_per_second)),
                format!("{:.0} %", 100.0 * model.mfu),
            ]
        };
        let header = ["", "parameters", "steps/s", "tokens/s [extremes]", "compute", "MFU"];
        let rows: Vec<_> = self.models.iter().map(row).collect();
        let Self { device, threads, turns, peak_flops_per_second: peak, .. } = self;
        format!(
            "{}\n\n{threads} thread(s) of {device}, n = {turns}; the peak is {}/s, of a large \
             matrix product",
            table(&header, &rows, &[1, 2, 3, 4, 5], fits),
            flops(*peak),
        )
    }
}

/// Lets models step on random tokens, in turns, so that a noisy machine disturbs all alike.
///
/// # Errors
/// If this machine has no such device, or no memory for a model.
pub fn bench(models: &[BenchModel], options: &BenchOptions) -> Result<Speed, Error> {
    device::initialise(usize::from(options.threads));
    let there = Device::all();
    let device = options.device.unwrap_or(there[0]);
    check_device(device, &there)?;
    let [first, ..] = models else { return Err(Error::Input("there is no model".into())) };
    for model in models {
        check_room(model.architecture()).map_err(Error::environment(&model.name))?;
    }
    let mut all: Vec<Turns> = models.iter().map(|model| Turns::new(model, device)).collect();
    let mut peaks = vec![];
    for _ in 0..options.turns {
        peaks.push(peak(first.settings.precision, device));
        all.iter_mut().for_each(Turns::take);
    }
    let peak = median(peaks);
    Ok(Speed {
        device: device.describe(),
        threads: options.threads,
        turns: options.turns,
        peak_flops_per_second: peak,
        models: all.into_iter().map(|turns| turns.speed(peak)).collect(),
    })
}

/// A model and what it did so far.
struct Turns<'a> {
    model: &'a BenchModel,
    steps: Steps,
    /// Steps of a turn.
    number: usize,
    /// Tokens per second, turn by turn.
    speeds: Vec<f64>,
}

impl<'a> Turns<'a> {
    fn new(model: &'a BenchModel, device: Device) -> Self {
        let mut steps = Steps::new(model.settings.clone(), model.batch_size, device, 1);
        steps.run(WARM_UP, &mut |_| ());
        let once = steps.run(WARM_UP, &mut |_| ()).0 / WARM_UP as f64;
        Self { model, steps, number: ((TURN_SECONDS / once) as usize).max(1), speeds: vec![] }
    }

    fn take(&mut self) {
        let (seconds, _) = self.steps.run(self.number, &mut |_| ());
        let tokens = self.number as u64 * self.model.settings.step_tokens;
        self.speeds.push(tokens as f64 / seconds);
    }

    fn speed(self, peak: f64) -> ModelSpeed {
        let (architecture, step_tokens) =
            (self.model.architecture(), self.model.settings.step_tokens);
        let flops_per_token = flops_per_token(architecture);
        let [tokens, low, high] = spread(&self.speeds);
        ModelSpeed {
            name: self.model.name.clone(),
            parameters: n_parameters(architecture),
            step_tokens,
            flops_per_token,
            tokens_per_second: [tokens, low, high],
            steps_per_second: tokens / step_tokens as f64,
            flops_per_second: tokens * flops_per_token,
            mfu: tokens * flops_per_token / peak,
        }
    }
}

/// Model FLOPs of training on a token, forward and backward.
pub fn flops_per_token(architecture: &Architecture) -> f64 {
    let seq_len = architecture.seq_len;
    train_flops(architecture, seq_len) as f64 / seq_len as f64
}

/// Median, smallest and largest of some numbers.
pub fn spread(values: &[f64]) -> [f64; 3] {
    let low = values.iter().copied().fold(f64::INFINITY, f64::min);
    let high = values.iter().copied().fold(0.0, f64::max);
    [median(values.iter().copied()), low, high]
}

/// The middle of some numbers; not a number if there are none.
pub fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => values[middle],
        _ => (values[middle - 1] + values[middle]) / 2.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn presets_are_found_by_name_and_step() {
        for preset in Preset::ALL {
            assert_eq!(preset.name().parse(), Ok(preset));
        }
        assert!("gpt3".parse::<Preset>().is_err_and(|why| why.contains("nanogpt-cpu, ")));
        let model = BenchModel::of_preset(Preset::NanogptCpu, Precision::Float32);
        let options = BenchOptions { device: Some(Device::Cpu), threads: 1, turns: 1 };
        let speed = bench(&[model], &options).expect("measured");
        let [model] = &speed.models[..] else { panic!("one model") };
        assert_eq!((model.step_tokens, model.name.as_str()), (768, "nanogpt-cpu"));
        assert!(model.mfu > 0.0);
        assert_eq!(model.steps_per_second, model.tokens_per_second[0] / 768.0);
        assert!(bench(&[], &options).is_err());
    }

    #[test]
    fn the_middle_of_numbers() {
        assert_eq!([median([3.0, 1.0, 2.0]), median([4.0, 1.0])], [2.0, 2.5]);
        assert!(median([]).is_nan());
        assert_eq!(spread(&[2.0, 5.0, 3.0]), [3.0, 2.0, 5.0]);
    }
}
