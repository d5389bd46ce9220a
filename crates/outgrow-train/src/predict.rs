//! The final loss of a growth plan, predicted by a small transformer that reads what happens in it.
//!
//! After NAR-Former (Yi et al. 2022, arXiv:2211.08024): an element for each operation, an encoder, a
//! learned query that reads it, and a loss on differences of pairs beside the squared error. Numbers
//! are read through sines and cosines of growing frequency beside themselves. Elements have no order,
//! for places are among their numbers: re-ordering the growths of a stage changes nothing by
//! construction, so the paper's third loss, on that, has nothing to do.
//!
//! Several networks that differ in their draws are one predictor: their mean, and their standard
//! deviation as what is not known. They are so small that calls cost more than sums: all of them step
//! at once, as matrices with one more axis.
//!
//! Shapes: m networks, b plans, t elements, w wide.

use std::{collections::HashMap, path::Path};

use outgrow_core::{
    plan::{Element, NUMBERS},
    stream::stream,
};
use rand::seq::SliceRandom;
use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use serde::{Deserialize, Serialize};
use tch::{
    Device, Kind, Tensor,
    nn::{self, OptimizerConfig},
    no_grad,
};

/// How it is built and fitted.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct PredictorSettings {
    pub width: i64,
    pub blocks: usize,
    pub heads: i64,
    pub dropout: f64,
    /// Networks.
    pub members: usize,
    pub epochs: usize,
    pub batch_size: usize,
    /// The highest; it falls to zero along half a cosine.
    pub learning_rate: f64,
    pub weight_decay: f64,
    /// Of the loss on differences of pairs.
    pub pairs: f64,
}

impl Default for PredictorSettings {
    fn default() -> Self {
        Self {
            width: 32,
            blocks: 2,
            heads: 4,
            dropout: 0.1,
            members: 5,
            epochs: 50,
            batch_size: 64,
            learning_rate: 5e-3,
            weight_decay: 0.01,
            pairs: 0.1,
        }
    }
}

impl PredictorSettings {
    /// Refuses what can't be built, or is far larger than any number of plans needs.
    ///
    /// # Errors
    /// Which setting, and what is allowed.
    pub fn check(&self) -> Result<(), String> {
        let Self { width, blocks, heads, dropout, members, batch_size, .. } = *self;
        let refused = |field: &str, allowed: &str| Err(format!("{field} must be {allowed}"));
        if !(1..=1024).contains(&width) {
            return refused("width", "from 1 to 1024");
        }
        if !(1..=width).contains(&heads) || width % heads != 0 {
            return refused("heads", "a divisor of width");
        }
        if blocks > 16 || !(1..=64).contains(&members) || batch_size == 0 {
            return refused("blocks, members and batch_size", "at most 16, from 1 to 64, above 0");
        }
        if !(0.0..1.0).contains(&dropout) {
            return refused("dropout", "from 0 to below 1");
        }
        Ok(())
    }
}

/// Frequencies of sines and cosines.
const FREQUENCIES: usize = 6;

/// A fitted predictor.
pub struct PlanPredictor {
    about: About,
    networks: Networks,
}

/// What is in a file beside weights.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct About {
    settings: PredictorSettings,
    /// Of elements, without those that were in no plan.
    kinds: Vec<String>,
    /// Mean and standard deviation of the losses that it was fitted to.
    mean: f64,
    scale: f64,
    /// The least and the largest of the numbers with which its plans end: target and tokens.
    ends: [[f64; 2]; NUMBERS],
}

/// Numbers of an end that differ by less are the same: budgets are whole steps.
const SAME_END: f64 = 1e-3;
/// So many plans are predicted at once.
const CHUNK: usize = 4096;
/// No file has more kinds.
const MOST_KINDS: usize = 256;

impl PlanPredictor {
    /// Fits losses of plans; none for fewer than three, or settings that [`PredictorSettings::check`]
    /// refuses. The same for the same seed on one machine, if nothing else draws from libtorch's
    /// generator meanwhile.
    pub fn fit(
        plans: &[&[Element]],
        losses: &[f64],
        settings: PredictorSettings,
        seed: u64,
    ) -> Option<Self> {
        if plans.len() < 3 || settings.check().is_err() {
            return None;
        }
        let n = losses.len() as f64;
        let mean = losses.iter().sum::<f64>() / n;
        let variance = losses.iter().map(|loss| (loss - mean).powi(2)).sum::<f64>() / n;
        let mut kinds: Vec<String> = vec![];
        for element in plans.iter().copied().flatten() {
            if !kinds.iter().any(|kind| kind == element.kind) {
                kinds.push(element.kind.to_owned());
            }
        }
        let mut ends = [[f64::INFINITY, f64::NEG_INFINITY]; NUMBERS];
        for end in plans.iter().filter_map(|plan| plan.last()) {
            for (range, number) in ends.iter_mut().zip(end.numbers) {
                *range = [range[0].min(number), range[1].max(number)];
            }
        }
        let about = About { settings, kinds, mean, scale: variance.sqrt().max(1e-12), ends };
        let read = about.read(plans);
        let scaled: Vec<f32> =
            losses.iter().map(|loss| ((loss - mean) / about.scale) as f32).collect();
        let losses = Tensor::from_slice(&scaled);
        let networks = single_threaded(|| {
            tch::manual_seed(seed as i64);
            let networks = Networks::new(&about);
            networks.fit(&read, &losses, &settings, seed);
            networks
        });
        Some(Self { about, networks })
    }

    /// Mean and standard deviation over its networks of each plan's loss.
    pub fn predict(&self, plans: &[&[Element]]) -> Vec<[f64; 2]> {
        plans.chunks(CHUNK).flat_map(|some| self.predict_some(some)).collect()
    }

    /// Whether it has seen nothing like a plan: a growth of that kind, a target of that size, or so many
    /// tokens.
    pub fn is_beyond(&self, plan: &[Element]) -> bool {
        let is_new = |own: &Element| !self.about.kinds.iter().any(|kind| kind == own.kind);
        let is_outside = |([least, most], number): (&[f64; 2], f64)| {
            number < least - SAME_END || number > most + SAME_END
        };
        let ends_elsewhere =
            |end: &Element| self.about.ends.iter().zip(end.numbers).any(is_outside);
        plan.iter().any(is_new) || plan.last().is_some_and(ends_elsewhere)
    }

    fn predict_some(&self, plans: &[&[Element]]) -> Vec<[f64; 2]> {
        let read = self.about.read(plans);
        let said = single_threaded(|| no_grad(|| self.networks.forward(&read, 0.0)));
        let said = said * self.about.scale + self.about.mean;
        let mean = said.mean_dim([0].as_slice(), false, Kind::Double);
        let sd = said.std_dim([0].as_slice(), self.about.settings.members > 1, false);
        let [means, sds] = [mean, sd].map(|all| {
            Vec::<f64>::try_from(all.to_kind(Kind::Double)).expect("one number for each plan")
        });
        means.into_iter().zip(sds).map(|(mean, sd)| [mean, sd]).collect()
    }

    /// Writes it as safetensors, with what it was fitted to as metadata.
    ///
    /// # Errors
    /// In words, if the file can't be written.
    pub fn save(&self, path: &Path) -> Result<(), String> {
        let mut all: Vec<(String, Vec<usize>, Vec<u8>)> = vec![];
        for (name, tensor) in self.networks.store.variables() {
            let flat: Vec<f32> = tensor
                .flatten(0, -1)
                .try_into()
                .map_err(|error: tch::TchError| error.to_string())?;
            let bytes = flat.iter().flat_map(|value| value.to_le_bytes()).collect();
            all.push((name, size(&tensor), bytes));
        }
        all.sort();
        let views = all.iter().map(|(name, shape, bytes)| {
            TensorView::new(Dtype::F32, shape.clone(), bytes).map(|view| (name, view))
        });
        let views: Result<Vec<_>, _> = views.collect();
        let views = views.map_err(|error| error.to_string())?;
        let about = serde_json::to_string(&self.about).map_err(|error| error.to_string())?;
        let metadata = HashMap::from([("outgrow_plan_predictor".to_owned(), about)]);
        safetensors::serialize_to_file(views, Some(metadata), path)
            .map_err(|error| format!("{} can't be written: {error}", path.display()))
    }

    /// Reads what [`Self::save`] wrote.
    ///
    /// # Errors
    /// In words, if the file can't be read or is none of these.
    pub fn load(path: &Path) -> Result<Self, String> {
        let wrong = |why: String| format!("{} is no predictor of plans: {why}", path.display());
        let bytes = std::fs::read(path)
            .map_err(|error| format!("{} can't be read: {error}", path.display()))?;
        let (_, head) = SafeTensors::read_metadata(&bytes).map_err(|e| wrong(e.to_string()))?;
        let about = head.metadata().as_ref().and_then(|all| all.get("outgrow_plan_predictor"));
        let about = about.ok_or_else(|| wrong("it does not say what it was fitted to".into()))?;
        let about: About = serde_json::from_str(about).map_err(|e| wrong(e.to_string()))?;
        about.settings.check().map_err(wrong)?;
        let is_finite = about.mean.is_finite() && about.scale.is_finite();
        if !is_finite || about.kinds.len() > MOST_KINDS {
            return Err(wrong("what it says of its losses or of growths can't be".into()));
        }
        let tensors = SafeTensors::deserialize(&bytes).map_err(|e| wrong(e.to_string()))?;
        let networks = Networks::new(&about);
        for (name, mut tensor) in networks.store.variables() {
            let view = tensors.tensor(&name).map_err(|e| wrong(e.to_string()))?;
            if view.dtype() != Dtype::F32 || view.shape() != size(&tensor) {
                return Err(wrong(format!("{name} is not of its shape")));
            }
            let values = view.data().chunks_exact(4);
            let flat: Vec<f32> =
                values.map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
            no_grad(|| tensor.copy_(&Tensor::from_slice(&flat).view(tensor.size().as_slice())));
        }
        Ok(Self { about, networks })
    }
}

fn size(tensor: &Tensor) -> Vec<usize> {
    tensor.size().iter().map(|size| *size as usize).collect()
}

/// Small products are no faster on several threads, and on one their sums are always the same.
fn single_threaded<T>(work: impl FnOnce() -> T) -> T {
    let before = tch::get_num_threads();
    tch::set_num_threads(1);
    let done = work();
    tch::set_num_threads(before);
    done
}

/// Plans as tensors, the shorter ones filled up.
struct Read {
    /// [b, t, inputs]: which kind, numbers, and their sines and cosines.
    inputs: Tensor,
    /// [b, t]: 0, and −∞ where there is no element.
    mask: Tensor,
}

impl Read {
    fn of(&self, plans: &Tensor) -> Self {
        let [inputs, mask] = [&self.inputs, &self.mask].map(|all| all.index_select(0, plans));
        Self { inputs, mask }
    }
}

impl About {
    fn inputs(&self) -> usize {
        self.kinds.len() + NUMBERS * (1 + 2 * FREQUENCIES)
    }

    fn read(&self, plans: &[&[Element]]) -> Read {
        let most = plans.iter().map(|plan| plan.len()).max().unwrap_or(1).max(1);
        let (mut inputs, mut mask) = (vec![0.0f32; plans.len() * most * self.inputs()], vec![]);
        let mut rows = inputs.chunks_exact_mut(self.inputs());
        for element in plans.iter().flat_map(|plan| (0..most).map(|place| plan.get(place))) {
            mask.push(if element.is_some() { 0.0f32 } else { f32::NEG_INFINITY });
            if let (Some(element), Some(row)) = (element, rows.next()) {
                self.write(element, row);
            }
        }
        let [n, most, each] = [plans.len(), most, self.inputs()].map(|size| size as i64);
        Read {
            inputs: Tensor::from_slice(&inputs).view([n, most, each]),
            mask: Tensor::from_slice(&mask).view([n, most]),
        }
    }

    /// Into a row of zeros.
    fn write(&self, element: &Element, row: &mut [f32]) {
        let (kinds, numbers) = row.split_at_mut(self.kinds.len());
        if let Some(kind) = self.kinds.iter().position(|kind| kind == element.kind) {
            kinds[kind] = 1.0;
        }
        let cells = numbers.chunks_exact_mut(1 + 2 * FREQUENCIES);
        for (number, cells) in element.numbers.iter().zip(cells) {
            cells[0] = *number as f32;
            for (power, pair) in cells[1..].chunks_exact_mut(2).enumerate() {
                let angle = std::f64::consts::PI * f64::from(1 << power) * number;
                pair.copy_from_slice(&[angle.sin() as f32, angle.cos() as f32]);
            }
        }
    }
}

/// Encoders, each with a query and a head.
struct Networks {
    store: nn::VarStore,
    inputs: Linear,
    blocks: Vec<Block>,
    query: Linear,
    head: Linear,
}

/// One for each network: [m, inputs, outputs] and [m, 1, outputs].
struct Linear {
    weights: Tensor,
    bias: Tensor,
}

impl Linear {
    /// Drawn evenly up to one over the root of the inputs.
    fn new(path: &nn::Path, members: usize, [from, to]: [i64; 2]) -> Self {
        let up = (from as f64).powf(-0.5);
        let drawn = nn::Init::Uniform { lo: -up, up };
        Self {
            weights: path.var("weights", &[members as i64, from, to], drawn),
            bias: path.var("bias", &[members as i64, 1, to], drawn),
        }
    }

    /// [m, rows, inputs] → [m, rows, outputs]
    fn forward(&self, x: &Tensor) -> Tensor {
        self.bias.baddbmm(x, &self.weights, 1.0, 1.0)
    }
}

struct Block {
    heads: i64,
    qkv: Linear,
    out: Linear,
    up: Linear,
    down: Linear,
}

impl Networks {
    fn new(about: &About) -> Self {
        let PredictorSettings { width, blocks, heads, members, .. } = about.settings;
        let store = nn::VarStore::new(Device::Cpu);
        let root = store.root();
        let linear = |path: nn::Path, size: [i64; 2]| Linear::new(&path, members, size);
        let block = |number: usize| {
            let path = &root / "blocks" / number;
            Block {
                heads,
                qkv: linear(&path / "qkv", [width, 3 * width]),
                out: linear(&path / "out", [width, width]),
                up: linear(&path / "up", [width, 2 * width]),
                down: linear(&path / "down", [2 * width, width]),
            }
        };
        Self {
            inputs: linear(&root / "inputs", [about.inputs() as i64, width]),
            blocks: (0..blocks).map(block).collect(),
            query: linear(&root / "query", [width, 1]),
            head: linear(&root / "head", [width, 1]),
            store,
        }
    }

    fn fit(&self, read: &Read, losses: &Tensor, settings: &PredictorSettings, seed: u64) {
        let mut optimizer = nn::AdamW { wd: settings.weight_decay, ..Default::default() }
            .build(&self.store, settings.learning_rate)
            .expect("an optimizer of plain tensors");
        let random = &mut stream(seed, "order");
        let mut order: Vec<i64> = (0..losses.size()[0]).collect();
        for epoch in 0..settings.epochs {
            let share = epoch as f64 / settings.epochs as f64;
            let factor = 0.5 * (1.0 + (std::f64::consts::PI * share).cos());
            optimizer.set_lr(settings.learning_rate * factor);
            order.shuffle(random);
            for batch in order.chunks(settings.batch_size) {
                let batch = Tensor::from_slice(batch);
                let said = self.forward(&read.of(&batch), settings.dropout);
                let wrong = said - losses.index_select(0, &batch);
                // The batch is shuffled: each plan beside the next one is a pair at random.
                let pairs = (&wrong - wrong.roll([1], [1])).abs().mean(Kind::Float);
                let loss = wrong.square().mean(Kind::Float) + settings.pairs * pairs;
                // Each network has a gradient of its own.
                optimizer.backward_step(&(loss * settings.members as f64));
            }
        }
    }

    /// [m, b]
    fn forward(&self, read: &Read, dropout: f64) -> Tensor {
        let drop = |x: Tensor| if dropout > 0.0 { x.dropout(dropout, true) } else { x };
        let (m, shape) = (self.inputs.weights.size()[0], read.inputs.size());
        let [b, t, inputs] = shape[..] else { unreachable!("it has three axes") };
        let all = read.inputs.view([1, b * t, inputs]).expand([m, b * t, inputs], false);
        let mut x = self.inputs.forward(&all);
        for block in &self.blocks {
            x = block.forward(&x, &read.mask, &drop);
        }
        let x = normed(&x);
        let weights = self.query.forward(&x).view([m, b, t]) + &read.mask;
        let weights = weights.softmax(-1, Kind::Float).view([m * b, 1, t]);
        let pooled = weights.bmm(&x.view([m * b, t, -1])).view([m, b, -1]);
        self.head.forward(&pooled).squeeze_dim(-1)
    }
}

impl Block {
    /// [m, b·t, w] → [m, b·t, w]
    fn forward(&self, x: &Tensor, mask: &Tensor, drop: &dyn Fn(Tensor) -> Tensor) -> Tensor {
        let (size, elements) = (x.size(), mask.size());
        let ([m, rows, width], [b, t]) = (&size[..], &elements[..]) else {
            unreachable!("these are their axes")
        };
        let each = width / self.heads;
        let qkv = self.qkv.forward(&normed(x)).view([m * b, *t, 3, self.heads, each]);
        let qkv = qkv.permute([2, 0, 3, 1, 4]);
        let [q, k, v] = [0, 1, 2].map(|part| qkv.get(part));
        let scores = q.matmul(&k.transpose(-2, -1)) / (each as f64).sqrt();
        let mask = mask.view([1, *b, 1, 1, *t]);
        let scores = scores.view([*m, *b, self.heads, *t, *t]) + mask;
        let scores = scores.softmax(-1, Kind::Float).view([m * b, self.heads, *t, *t]);
        let read = scores.matmul(&v).transpose(1, 2).reshape([*m, *rows, *width]);
        let x = x + drop(self.out.forward(&read));
        let inner = self.up.forward(&normed(&x)).gelu("none");
        &x + drop(self.down.forward(&inner))
    }
}

/// Of mean 0 and variance 1; gains would be those of the weights behind it.
fn normed(x: &Tensor) -> Tensor {
    x.layer_norm([x.size()[2]], None::<&Tensor>, None::<&Tensor>, 1e-5, false)
}
