use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{SweepError, names};
use crate::{
    architecture::{Architecture, HeadGroup, LayerShape, MAX_COUNT, MAX_HEADS, MAX_SIZE},
    form::Form,
    policy::GrowthPolicy,
    strategy::Strategy,
};

/// Of text that is read as bytes.
pub const VOCAB_SIZE: usize = 256;

/// No trial trains more tokens: up to there every reader of numbers is exact.
pub(super) const MOST_TOKENS: u64 = 1 << 53;
/// No model of a sweep is deeper.
const MOST_LAYERS: usize = 2048;
/// A sweep has at most so many trials.
const MOST_TRIALS: u128 = 100_000;
/// The models that the trials of a sweep grow through have at most so many heads together.
const MOST_HEADS: u128 = 1 << 24;

/// A sweep file, version 1. Unknown fields are refused; a field with a default is printed by
/// `outgrow plan` all the same.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct SweepSpec {
    /// Version of the format: 1.
    pub version: u32,
    /// Names the sweep for people: letters, digits, `-` and `_`.
    pub name: String,
    /// Of all randomness.
    pub seed: u64,
    /// How many seeds each plan is trained under.
    pub replicates: usize,
    pub data: DataSpec,
    pub training: TrainingSpec,
    /// What does not grow; that of the initial checkpoint, where there is one and it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<Form>,
    pub initial: SizesSpec,
    pub target: SizesSpec,
    pub strategies: Vec<StrategySpec>,
    /// All three, at the one learning rate, where it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub controls: Option<ControlsSpec>,
    pub evaluation: EvaluationSpec,
    pub checkpoints: CheckpointSpec,
}

/// Which text, and how it is cut.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataSpec {
    /// A built-in corpus: `rust-crates`. Either this or `paths`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub corpus: Option<String>,
    /// Files and folders, read in the order of their names: text, JSON and Parquet, also compressed
    /// by gzip or zstd. Either this or `corpus`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paths: Option<Vec<String>>,
    /// With `paths`: such a share is validation text, the last of each file of text, and of JSON
    /// and Parquet whole documents, chosen by their hash. Either this or `validation_paths`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validation: Option<f64>,
    /// With `paths`: files and folders of validation text; all of `paths` is training text then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validation_paths: Option<Vec<String>>,
    /// With `paths`: a `tokenizer.json` of Hugging Face's tokenizers, or a folder with one. Text is
    /// read as bytes where it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokenizer: Option<String>,
    /// How many tokens it knows; filled in from it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vocab_size: Option<usize>,
    /// The token behind each document; filled in with the tokenizer's own if it has a usual one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end_of_text: Option<String>,
    /// The field of the text in JSON and Parquet, `a.b` for one within another: `text` where it is
    /// left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// What the files of `paths` hold; seen in each of them where it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<TextFormat>,
    /// The text has the token of `end_of_text` between its documents already: names of control
    /// tokens in it are those tokens.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub joined: bool,
    /// Tokens of a training sequence; without a tokenizer they are bytes.
    pub seq_len: usize,
}

impl DataSpec {
    /// Bytes of files, to be named yet.
    pub fn of_paths(seq_len: usize) -> Self {
        Self {
            corpus: None,
            paths: None,
            validation: None,
            validation_paths: None,
            tokenizer: None,
            vocab_size: None,
            end_of_text: None,
            field: None,
            format: None,
            joined: false,
            seq_len,
        }
    }
}

/// What files of text hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TextFormat {
    /// Plain text, whatever it looks like.
    Text,
    /// JSON objects: a line each, or in an array.
    Json,
    /// Parquet.
    Parquet,
}

/// What every trial gets as much of as the control.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Equal {
    /// The same tokens; growing then costs less compute.
    Tokens,
    /// The same training FLOPs; growing then sees more tokens.
    TrainFlops,
}

/// The number type of activations and matrix products; master weights are float32 (float64 under
/// float64).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum Precision {
    Float32,
    Bfloat16,
    Float64,
}

/// How trials train.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainingSpec {
    /// Training tokens of a control of the target size.
    pub tokens: u64,
    /// What the other trials get as much of.
    pub equal: Equal,
    /// Sequences per optimizer step.
    pub batch_size: usize,
    /// Peak learning rate.
    pub learning_rate: f64,
    /// Its course over a trial.
    pub schedule: LearningRateSchedule,
    /// AdamW's constants.
    pub optimizer: OptimizerSpec,
    /// Number type.
    pub precision: Precision,
    /// What happens at growth beside the transforms; a strategy may have its own.
    pub growth: GrowthPolicy,
}

/// The learning rate over a trial, as a factor of the peak. `decay` is a fraction of the trial's
/// tokens, and so is `warmup` below 1; from 1 on that is a number of tokens, the same whatever the
/// trial's own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum LearningRateSchedule {
    /// The peak all the time, after a linear warm-up.
    Constant {
        /// Fraction of the tokens, or tokens.
        warmup: f64,
    },
    /// Linear warm-up, then half a cosine down to `end` times the peak.
    Cosine {
        /// Fraction of the tokens, or tokens.
        warmup: f64,
        /// Factor at the end.
        end: f64,
    },
    /// Linear warm-up, then a straight line down to `end` times the peak.
    Linear {
        /// Fraction of the tokens, or tokens.
        warmup: f64,
        /// Factor at the end.
        end: f64,
    },
    /// Warm-up, stable, then a straight line down to `end` times the peak over the last `decay` of
    /// the tokens.
    Wsd {
        /// Fraction of the tokens, or tokens.
        warmup: f64,
        /// Fraction of the tokens.
        decay: f64,
        /// Factor at the end.
        end: f64,
    },
}

impl LearningRateSchedule {
    /// The factor at `done`, the fraction of the trial's tokens that are trained (0 to 1), of
    /// `tokens` in all.
    pub fn factor(&self, done: f64, tokens: u64) -> f64 {
        let (warmup, end) = match self {
            Self::Constant { warmup } => (*warmup, 1.0),
            Self::Cosine { warmup, end }
            | Self::Linear { warmup, end }
            | Self::Wsd { warmup, end, .. } => (*warmup, *end),
        };
        if warmup >= 1.0 {
            // In whole tokens, so that trials of different lengths warm up by the very same rates.
            let trained = (done * tokens as f64).round();
            if trained < warmup {
                return (trained / warmup).max(0.01);
            }
        } else if done < warmup {
            // From a small positive rate: the first step must not be a step of nothing.
            return (done / warmup).max(0.01);
        }
        let warmup = if warmup >= 1.0 { warmup / tokens as f64 } else { warmup };
        let after = (done - warmup) / (1.0 - warmup).max(f64::MIN_POSITIVE);
        let left = match self {
            Self::Constant { .. } => 1.0,
            Self::Cosine { .. } => 0.5 * (1.0 + (std::f64::consts::PI * after).cos()),
            Self::Linear { .. } => 1.0 - after,
            Self::Wsd { decay, .. } => ((1.0 - done) / decay.max(f64::MIN_POSITIVE)).min(1.0),
        };
        end + (1.0 - end) * left
    }

    /// Until which of `tokens` in all the factor would be the same for any larger number of them.
    pub fn settled_until(&self, tokens: u64) -> u64 {
        match *self {
            Self::Constant { warmup } if warmup == 0.0 || warmup >= 1.0 => tokens,
            Self::Wsd { warmup, decay, .. } if warmup == 0.0 || warmup >= 1.0 => {
                // A little before the decay: the fraction that is done is a rounded number.
                ((1.0 - decay) * tokens as f64 * (1.0 - 1e-9)).floor() as u64
            }
            _ => 0,
        }
    }

    fn parts(&self) -> Vec<(&'static str, f64)> {
        match *self {
            Self::Constant { warmup } => vec![("warmup", warmup)],
            Self::Cosine { warmup, end } | Self::Linear { warmup, end } => {
                vec![("warmup", warmup), ("end", end)]
            }
            Self::Wsd { warmup, decay, end } => {
                vec![("warmup", warmup), ("decay", decay), ("end", end)]
            }
        }
    }
}

/// AdamW with decoupled weight decay on matrices, and clipping of the global gradient norm.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OptimizerSpec {
    /// Decay of the running mean of gradients.
    pub beta1: f64,
    /// Decay of the running mean of squared gradients.
    pub beta2: f64,
    /// Added to the root of the second moment.
    pub eps: f64,
    /// Multiplied by the learning rate.
    pub weight_decay: f64,
    /// Largest global gradient norm; 0 switches clipping off.
    pub clip_norm: f64,
}

/// The sizes of a model: either alike in all layers (`n_layers` and one layer's fields), or one
/// entry of `layers` each.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct SizesSpec {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub d_model: Option<usize>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub n_layers: Option<usize>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub n_heads: Option<usize>,
    /// How many keys and values the heads share; each has its own where it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub n_kv_heads: Option<usize>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub d_k: Option<usize>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub d_v: Option<usize>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub d_ff: Option<usize>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layers: Option<Vec<LayerSpec>>,
    /// Of `initial` alone: the folder of a model that is trained on, a checkpoint or one of
    /// transformers. The sizes, the form and the number of tokens are filled in from it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkpoint: Option<String>,
    /// Digest of its weights; filled in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
}

/// The sizes of one layer whose heads may differ.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LayerSpec {
    /// Runs of equal heads, in order.
    pub heads: Vec<HeadGroup>,
    /// Width of the MLP.
    pub d_ff: usize,
}

/// A strategy under a name of its own, by default its kind.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "toml::Table", into = "toml::Table")]
pub struct StrategySpec {
    /// In figures, tables and the database.
    pub name: String,
    /// The rule.
    pub strategy: Strategy,
    /// In place of the sweep's own: to compare policies with each other.
    pub growth: Option<GrowthPolicy>,
    /// In place of the sweep's own initial sizes.
    pub initial: Option<SizesSpec>,
}

/// What the growing strategies are compared with, scheduled without being named among the
/// strategies.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ControlsSpec {
    /// The target size from the first token on, with the tokens of each growing strategy.
    pub same_tokens: bool,
    /// The same with the compute of each growing strategy, its schedule annealed to that budget.
    pub same_compute: bool,
    /// So many sizes between the initial and the target one that never grow, with the compute of
    /// each growing strategy.
    pub fixed_sizes: usize,
    /// Every strategy and every control is trained at each of these rates; at the one of `training`
    /// if there are none.
    #[serde(default)]
    pub learning_rates: Vec<f64>,
}

/// How trials are evaluated.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EvaluationSpec {
    /// Evaluate when so many tokens were trained since the last time, and at the end.
    pub every_tokens: u64,
    /// On so many tokens of the validation text, the same each time.
    pub tokens: u64,
    /// Record training loss, learning rate and gradient norm when so many tokens were trained since
    /// the last time.
    pub record_every_tokens: u64,
}

/// When trials write checkpoints.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CheckpointSpec {
    /// Write one when so many tokens were trained since the last one, and at the end.
    pub every_tokens: u64,
}

pub(super) fn bad<T>(field: &str, value: impl ToString, allowed: &str) -> Result<T, SweepError> {
    Err(SweepError::Value {
        field: field.into(),
        value: value.to_string(),
        allowed: allowed.into(),
    })
}

/// A number as people write it: none has three hundred digits.
fn shown(value: f64) -> String {
    format!("{value:?}")
}

fn at_most(field: &str, value: u64, most: u64) -> Result<(), SweepError> {
    if value > most { bad(field, value, &format!("it must be at most {most}")) } else { Ok(()) }
}

fn at_least_one(field: &str, value: u64) -> Result<(), SweepError> {
    if value == 0 { bad(field, value, "it must be at least 1") } else { Ok(()) }
}

/// A number that float32 holds, too.
fn positive(field: &str, value: f64) -> Result<(), SweepError> {
    if (1e-30..=1e6).contains(&value) {
        Ok(())
    } else {
        bad(field, shown(value), "it must be a number from 1e-30 to 1e6")
    }
}

fn share(field: &str, value: f64) -> Result<(), SweepError> {
    if (0.0..=1.0).contains(&value) {
        Ok(())
    } else {
        bad(field, shown(value), "it must be a share from 0 to 1")
    }
}

impl SweepSpec {
    /// Reads a sweep file, without looking at what it says.
    ///
    /// # Errors
    /// If it is no TOML, or has unknown or missing fields.
    pub fn parse(text: &str) -> Result<Self, SweepError> {
        Ok(toml::from_str(text)?)
    }

    /// Fills in what the initial checkpoint says: it has this architecture, and weights of this
    /// digest.
    ///
    /// # Errors
    /// If the sweep says something else than the checkpoint, or wants of it what it can't do.
    pub fn begin_from(
        &mut self,
        architecture: &Architecture,
        digest: String,
    ) -> Result<(), SweepError> {
        let checkpoint = self.initial.checkpoint.clone();
        let said = SizesSpec { checkpoint: checkpoint.clone(), ..SizesSpec::none() };
        let filled = SizesSpec { checkpoint, digest: Some(digest), ..SizesSpec::of(architecture) };
        if self.initial != said && self.initial != filled {
            return bad(
                "initial",
                "a checkpoint and sizes",
                "the sizes are those of the checkpoint: leave them out",
            );
        }
        self.initial = filled;
        if self.model.is_some_and(|form| form != architecture.form) {
            return bad(
                "model",
                "another form than the checkpoint's",
                "leave it out: it is that of the checkpoint",
            );
        }
        self.model = Some(architecture.form);
        let known = architecture.vocab_size;
        if architecture.n_outputs != known {
            return bad(
                "initial.checkpoint",
                "no language model",
                "it must have as many outputs as tokens",
            );
        }
        match self.data.vocab_size {
            Some(n) if n > known => {
                let field = if self.data.tokenizer.is_some() {
                    "data.tokenizer"
                } else {
                    "data.vocab_size"
                };
                return bad(
                    field,
                    format!("one of {n} tokens"),
                    &format!("the checkpoint knows {known}"),
                );
            }
            None if self.data.tokenizer.is_none() && known < VOCAB_SIZE => {
                return bad(
                    "initial.checkpoint",
                    format!("one of {known} tokens"),
                    "text without a tokenizer has 256",
                );
            }
            _ => {
                self.data.vocab_size = Some(known)
                    .filter(|&known| self.data.tokenizer.is_some() || known != VOCAB_SIZE)
            }
        }
        if self.data.seq_len > architecture.seq_len {
            let allowed = format!("the checkpoint reads at most {}", architecture.seq_len);
            return bad("data.seq_len", self.data.seq_len, &allowed);
        }
        Ok(())
    }

    pub(super) fn check(&self) -> Result<(), SweepError> {
        if self.version != 1 {
            return bad("version", self.version, "this outgrow reads version 1");
        }
        names::check_sweep(&self.name)?;
        if self.seed >> 53 != 0 {
            return bad("seed", self.seed, "it must be below 2^53");
        }
        at_least_one("replicates", self.replicates as u64)?;
        self.data.check()?;
        self.training
            .check((self.training.batch_size as u64).saturating_mul(self.data.seq_len as u64))?;
        at_least_one("evaluation.every_tokens", self.evaluation.every_tokens)?;
        at_least_one("evaluation.tokens", self.evaluation.tokens)?;
        at_least_one("evaluation.record_every_tokens", self.evaluation.record_every_tokens)?;
        at_least_one("checkpoints.every_tokens", self.checkpoints.every_tokens)?;
        self.check_strategies()?;
        self.controls.as_ref().map_or(Ok(()), ControlsSpec::check)?;
        let plans = self.strategies.iter().map(|strategy| strategy.strategy.plans() as u128).sum();
        self.check_trials(plans, "plans").map(drop)
    }

    /// Learning rates that everything is trained at.
    pub(super) fn rates(&self) -> &[f64] {
        match &self.controls {
            Some(controls) if !controls.learning_rates.is_empty() => &controls.learning_rates,
            _ => std::slice::from_ref(&self.training.learning_rate),
        }
    }

    /// How many trials so many plans make, if they are not too many. `what` says which plans.
    pub(super) fn check_trials(&self, plans: u128, what: &str) -> Result<u128, SweepError> {
        let (rates, replicates) = (self.rates().len() as u128, self.replicates as u128);
        let trials = plans.saturating_mul(rates).saturating_mul(replicates);
        if trials > MOST_TRIALS {
            let product = format!("{plans} × {rates} × {replicates} = {trials}");
            let allowed = format!("a sweep has at most {MOST_TRIALS} trials");
            return bad(&format!("{what} × learning rates × replicates"), product, &allowed);
        }
        Ok(trials)
    }

    /// Refuses what would not fit the memory: every trial holds the sizes that it grows through.
    pub(super) fn check_extent(&self, target: &Architecture) -> Result<(), SweepError> {
        let heads = target.n_heads() as u128;
        let each = (self.rates().len() as u128).saturating_mul(self.replicates as u128);
        let mut all = 0_u128;
        for StrategySpec { name, strategy, .. } in &self.strategies {
            let (trials, sizes) =
                (each.saturating_mul(strategy.plans() as u128), strategy.stages() as u128 + 1);
            all = all.saturating_add(trials.saturating_mul(sizes).saturating_mul(heads));
            if all > MOST_HEADS {
                let allowed = format!(
                    "the sizes that all trials of a sweep grow through may have {MOST_HEADS} heads together; ask for fewer plans, stages or replicates"
                );
                let extent = format!(
                    "of {trials} trials that have up to {sizes} sizes each, of up to {heads} heads"
                );
                return bad(&format!("strategies: {name}"), extent, &allowed);
            }
        }
        Ok(())
    }

    fn check_strategies(&self) -> Result<(), SweepError> {
        if self.strategies.is_empty() {
            return bad("strategies", "empty", "name at least one [[strategies]]");
        }
        let mut seen = BTreeSet::new();
        for StrategySpec { name, growth, .. } in &self.strategies {
            names::check_strategy(name)?;
            growth.as_ref().map_or(Ok(()), |growth| check_policy("strategies.growth", growth))?;
            if !seen.insert(name) {
                return bad(
                    "strategies.name",
                    format!("{name:?}"),
                    "each strategy needs a name of its own",
                );
            }
        }
        Ok(())
    }
}

fn check_policy(table: &str, policy: &GrowthPolicy) -> Result<(), SweepError> {
    policy
        .check()
        .or_else(|(field, value, allowed)| bad(&format!("{table}.{field}"), shown(value), allowed))
}

impl ControlsSpec {
    fn check(&self) -> Result<(), SweepError> {
        if self.fixed_sizes > 16 {
            return bad("controls.fixed_sizes", self.fixed_sizes, "it must be at most 16");
        }
        let mut seen = BTreeSet::new();
        for &rate in &self.learning_rates {
            positive("controls.learning_rates", rate)?;
            if !seen.insert(rate.to_bits()) {
                return bad("controls.learning_rates", shown(rate), "each may be there only once");
            }
        }
        Ok(())
    }
}

impl DataSpec {
    fn check(&self) -> Result<(), SweepError> {
        at_least_one("data.seq_len", self.seq_len as u64)?;
        at_most("data.seq_len", self.seq_len as u64, MAX_SIZE as u64)?;
        if let Some(vocab_size) = self.vocab_size {
            at_least_one("data.vocab_size", vocab_size as u64)?;
            at_most("data.vocab_size", vocab_size as u64, MAX_SIZE as u64)?;
        }
        match (&self.tokenizer, self.vocab_size, &self.end_of_text) {
            (None, Some(n), _) if n < VOCAB_SIZE => {
                let allowed =
                    "text without a tokenizer is bytes, of which there are 256: leave it out";
                return bad("data.vocab_size", n, allowed);
            }
            (Some(tokenizer), ..) if self.paths.is_none() => {
                return bad(
                    "data.tokenizer",
                    tokenizer,
                    "a built-in corpus is read as bytes: give `paths`, or leave it out",
                );
            }
            (Some(_), None, _) => {
                return bad(
                    "data.vocab_size",
                    "missing",
                    "how many tokens does the tokenizer know?",
                );
            }
            (None, _, Some(end)) => {
                return bad(
                    "data.end_of_text",
                    format!("{end:?}"),
                    "only a tokenizer has such a token: leave it out",
                );
            }
            _ => {}
        }
        self.check_files()?;
        match (&self.corpus, &self.paths, self.validation) {
            (Some(_), None, None) => Ok(()),
            (Some(_), None, Some(v)) => bad(
                "data.validation",
                shown(v),
                "a built-in corpus brings its own split: leave it out",
            ),
            (None, Some(paths), _) if paths.is_empty() => {
                bad("data.paths", "empty", "name at least one file or folder")
            }
            (None, Some(_), Some(v)) if v > 0.0 && v < 1.0 => Ok(()),
            (None, Some(_), Some(v)) => {
                bad("data.validation", shown(v), "it must be a share between 0 and 1")
            }
            (None, Some(_), None) if self.validation_paths.is_some() => Ok(()),
            (None, Some(_), None) => bad(
                "data.validation",
                "missing",
                "say which share of each file, for example 0.1, or name files of their own as `validation_paths`",
            ),
            (Some(_), Some(_), _) => {
                bad("data", "both `corpus` and `paths`", "give one of the two")
            }
            (None, None, _) => bad(
                "data",
                "without text",
                "give `corpus = \"rust-crates\"` or `paths = [\"...\"]`",
            ),
        }
    }

    /// What says how files are read.
    fn check_files(&self) -> Result<(), SweepError> {
        let given = [
            ("data.validation_paths", self.validation_paths.is_some()),
            ("data.field", self.field.is_some()),
            ("data.format", self.format.is_some()),
            ("data.joined", self.joined),
        ];
        if let (None, Some((field, _))) = (&self.paths, given.into_iter().find(|(_, given)| *given))
        {
            return bad(
                field,
                "given",
                "a built-in corpus brings its own text: give `paths`, or leave it out",
            );
        }
        match (&self.validation_paths, self.validation) {
            (Some(paths), _) if paths.is_empty() => {
                bad("data.validation_paths", "empty", "name at least one file or folder")
            }
            (Some(_), Some(v)) => bad(
                "data.validation",
                v,
                "validation text is that of `validation_paths`: give one of the two",
            ),
            _ if self.joined && self.tokenizer.is_some() && self.end_of_text.is_none() => bad(
                "data.joined",
                "true",
                "say which token stands between documents as `end_of_text`",
            ),
            _ => Ok(()),
        }
    }
}

impl TrainingSpec {
    fn check(&self, step_tokens: u64) -> Result<(), SweepError> {
        at_least_one("training.batch_size", self.batch_size as u64)?;
        at_most("training.batch_size", self.batch_size as u64, MAX_SIZE as u64)?;
        at_most("training.tokens", self.tokens, MOST_TOKENS)?;
        if self.tokens < 2 * step_tokens {
            let allowed =
                format!("it must allow two steps of batch_size × seq_len = {step_tokens} tokens");
            return bad("training.tokens", self.tokens, &allowed);
        }
        positive("training.learning_rate", self.learning_rate)?;
        for (part, value) in self.schedule.parts() {
            if part == "warmup" && value >= 1.0 {
                if value.fract() != 0.0 || value >= self.tokens as f64 {
                    let allowed = format!(
                        "it must be a share below 1, or a whole number of tokens below {}",
                        self.tokens
                    );
                    return bad("training.schedule.warmup", shown(value), &allowed);
                }
                continue;
            }
            share(&format!("training.schedule.{part}"), value)?;
        }
        check_policy("training.growth", &self.growth)?;
        self.optimizer.check()
    }
}

impl OptimizerSpec {
    fn check(&self) -> Result<(), SweepError> {
        for (field, beta) in [("beta1", self.beta1), ("beta2", self.beta2)] {
            if !(0.0..1.0).contains(&beta) {
                return bad(
                    &format!("training.optimizer.{field}"),
                    shown(beta),
                    "it must be at least 0 and below 1",
                );
            }
        }
        // An entry that never had a gradient is divided by it alone.
        positive("training.optimizer.eps", self.eps)?;
        for (field, value, most) in
            [("weight_decay", self.weight_decay, 1e6), ("clip_norm", self.clip_norm, 1e30)]
        {
            if !(0.0..=most).contains(&value) {
                let allowed = format!("it must be a number from 0 to {most:e}");
                return bad(&format!("training.optimizer.{field}"), shown(value), &allowed);
            }
        }
        Ok(())
    }
}

impl SizesSpec {
    fn none() -> Self {
        Self {
            d_model: None,
            n_layers: None,
            n_heads: None,
            n_kv_heads: None,
            d_k: None,
            d_v: None,
            d_ff: None,
            layers: None,
            checkpoint: None,
            digest: None,
        }
    }

    /// The sizes of an architecture, as short as they can be said.
    fn of(architecture: &Architecture) -> Self {
        let (layers, first) = (&architecture.layers, &architecture.layers[0]);
        let group = first.groups()[0];
        let uniform = layers.iter().all(|layer| layer == first) && first.groups().len() == 1;
        let list = || {
            layers
                .iter()
                .map(|layer| LayerSpec { heads: layer.groups(), d_ff: layer.d_ff })
                .collect()
        };
        Self {
            d_model: Some(architecture.d_model),
            n_layers: uniform.then_some(layers.len()),
            n_heads: uniform.then_some(group.n_heads),
            n_kv_heads: group.n_kv_heads.filter(|_| uniform),
            d_k: uniform.then_some(group.d_k),
            d_v: uniform.then_some(group.d_v),
            d_ff: uniform.then_some(first.d_ff),
            layers: (!uniform).then(list),
            checkpoint: None,
            digest: None,
        }
    }

    pub(super) fn architecture(
        &self,
        spec: &SweepSpec,
        table: &str,
    ) -> Result<Architecture, SweepError> {
        if table != "initial" && (self.checkpoint.is_some() || self.digest.is_some()) {
            return bad(
                &format!("{table}.checkpoint"),
                "given",
                "only the sweep's `initial` may be a checkpoint",
            );
        }
        if self.checkpoint.is_some() != self.digest.is_some() {
            return bad(
                "initial.digest",
                "incomplete",
                "it stands beside `checkpoint`, and is filled in when the sweep file is read",
            );
        }
        let Some(d_model) = self.d_model else {
            return bad(
                &format!("{table}.d_model"),
                "missing",
                "say how wide the residual stream is",
            );
        };
        let Some(form) = spec.model else {
            return bad("model", "missing", "say at least `causal`, `final_norm` and `eps_sum`");
        };
        self.check_extent(table)?;
        let layers = match (&self.layers, self.n_layers) {
            (Some(layers), None) if self.uniform().is_none() => {
                let shapes = layers.iter().map(|layer| layer.shape(table));
                shapes.collect::<Result<_, _>>()?
            }
            (None, Some(n)) => match self.uniform() {
                Some(layer) => vec![layer.shape(table)?; n],
                None => {
                    return bad(
                        table,
                        "incomplete",
                        "beside n_layers it needs n_heads, d_k, d_v and d_ff",
                    );
                }
            },
            _ => {
                let allowed = "give either n_layers, n_heads, d_k, d_v and d_ff, or one entry of `layers` per layer";
                return bad(table, "neither uniform nor a list of layers", allowed);
            }
        };
        let architecture = Architecture {
            vocab_size: spec.data.vocab_size.unwrap_or(VOCAB_SIZE),
            n_outputs: spec.data.vocab_size.unwrap_or(VOCAB_SIZE),
            seq_len: spec.data.seq_len,
            d_model,
            layers,
            form,
        };
        architecture.validate().or_else(|error| bad(table, "invalid", &error.to_string()))?;
        Ok(architecture)
    }

    /// Refuses more layers or heads than a model of a sweep may have, before there are any.
    fn check_extent(&self, table: &str) -> Result<(), SweepError> {
        let kv_heads = |layer: &LayerSpec| {
            layer
                .heads
                .iter()
                .map(HeadGroup::n_kv_heads)
                .fold(0, usize::saturating_add)
                .min(MAX_HEADS + 1)
        };
        let (n_layers, n_heads) = match &self.layers {
            Some(layers) => (layers.len(), layers.iter().map(kv_heads).sum()),
            None => {
                let n_layers = self.n_layers.unwrap_or(0);
                (
                    n_layers,
                    self.uniform().map_or(0, |layer| n_layers.saturating_mul(kv_heads(&layer))),
                )
            }
        };
        at_most(&format!("{table}.n_layers"), n_layers as u64, MOST_LAYERS as u64)?;
        if n_heads > MAX_HEADS {
            let allowed = format!(
                "all layers together may have {MAX_HEADS} heads with keys and values of their own"
            );
            return bad(
                &format!("{table}.n_heads"),
                format!("{n_heads} in all layers, or more"),
                &allowed,
            );
        }
        Ok(())
    }

    fn uniform(&self) -> Option<LayerSpec> {
        let (n_heads, n_kv_heads, d_k, d_v) =
            (self.n_heads?, self.n_kv_heads, self.d_k?, self.d_v?);
        Some(LayerSpec {
            heads: vec![HeadGroup { n_heads, n_kv_heads, d_k, d_v }],
            d_ff: self.d_ff?,
        })
    }
}

impl LayerSpec {
    fn shape(&self, table: &str) -> Result<LayerShape, SweepError> {
        let heads = |group: &HeadGroup| {
            let allowed = format!("it must be a multiple of n_kv_heads, from 1 to {MAX_COUNT}");
            group
                .heads()
                .map_or_else(|| bad(&format!("{table}.n_heads"), group.n_heads, &allowed), Ok)
        };
        let heads = self.heads.iter().map(heads).collect::<Result<Vec<_>, _>>()?.concat();
        Ok(LayerShape { heads, d_ff: self.d_ff })
    }
}

impl TryFrom<toml::Table> for StrategySpec {
    type Error = String;

    fn try_from(mut table: toml::Table) -> Result<Self, String> {
        let name = match table.remove("name") {
            None => None,
            Some(toml::Value::String(name)) => Some(name),
            Some(other) => {
                return Err(format!(
                    "a strategy's `name` must be a text, not a {}",
                    other.type_str()
                ));
            }
        };
        let message = |error: toml::de::Error| error.message().to_owned();
        let growth: Option<GrowthPolicy> =
            table.remove("growth").map(toml::Value::try_into).transpose().map_err(message)?;
        let initial: Option<SizesSpec> =
            table.remove("initial").map(toml::Value::try_into).transpose().map_err(message)?;
        let strategy: Strategy = table.try_into().map_err(message)?;
        let never_grows = matches!(strategy, Strategy::FromScratch(_) | Strategy::FixedSize(_));
        if growth.is_some() && never_grows {
            return Err(format!("`growth` of {}: it never grows; leave it out", strategy.name()));
        }
        if initial.is_some() && matches!(strategy, Strategy::FromScratch(_)) {
            return Err("`initial` of from_scratch: it begins at the target; use fixed_size for another size".into());
        }
        Ok(Self {
            name: name.unwrap_or_else(|| strategy.default_name().to_owned()),
            strategy,
            growth,
            initial,
        })
    }
}

impl From<StrategySpec> for toml::Table {
    fn from(spec: StrategySpec) -> Self {
        let mut table = toml::Table::try_from(&spec.strategy).expect("a strategy is plain data");
        table.insert("name".into(), spec.name.into());
        if let Some(growth) = &spec.growth {
            table.insert(
                "growth".into(),
                toml::Value::try_from(growth).expect("a policy is plain data"),
            );
        }
        if let Some(initial) = &spec.initial {
            table.insert(
                "initial".into(),
                toml::Value::try_from(initial).expect("sizes are plain data"),
            );
        }
        table
    }
}
