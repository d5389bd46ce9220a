//! What a user types.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{
    form::ModelSpec,
    frontier::FrontierSpec,
    grid::Grid,
    policy::OwnPolicy,
    rates::RatesSpec,
    schedule::LearningRateSchedule,
    search::SearchSpec,
    sizes::SizesSpec,
    words::{ContrastSpec, Words},
};
use crate::plan::{GrowthPolicy, Strategy};

/// Of text that is read as bytes.
pub const VOCAB_SIZE: usize = 256;

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
    pub seed: u64,
    /// How many seeds each plan is trained under.
    pub replicates: usize,
    /// How many seeds more, after those, choose learning rates and other values of the grid, and
    /// are in no comparison.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub tuning_replicates: usize,
    /// Whether rates beyond those of the grid, and sizes beyond those of the frontier, are tried
    /// where the best is the last of them.
    #[serde(default, skip_serializing_if = "is_false")]
    pub widen: bool,
    pub data: DataSpec,
    pub training: TrainingSpec,
    /// What does not grow; that of the initial checkpoint, where there is one and it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<ModelSpec>,
    pub initial: SizesSpec,
    pub target: SizesSpec,
    pub strategies: Vec<StrategySpec>,
    pub controls: ControlsSpec,
    /// Every size that a model can be born with, at the end of a schedule of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frontier: Option<FrontierSpec>,
    /// Which of the plans of a lattice are trained, asked of a searcher.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub search: Option<SearchSpec>,
    pub evaluation: EvaluationSpec,
    pub checkpoints: CheckpointSpec,
    /// Fields with several values: every strategy and every control is trained at each point.
    #[serde(default, skip_serializing_if = "Grid::is_empty")]
    pub grid: Grid,
    /// A text for people; like the three fields below not part of the sweep's identity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notes: Option<String>,
    /// To find the sweep by.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// What strategies and controls are called in figures and tables, where not by their names.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub display: BTreeMap<String, String>,
    /// Differences that the report states beside those to the controls.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub contrasts: Vec<ContrastSpec>,
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

/// The budget that every trial shares with the control.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Budget {
    /// The same tokens; growing then costs less compute.
    Tokens,
    /// The same training FLOPs; growing then sees more tokens.
    Flops,
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
#[allow(missing_docs)]
pub struct TrainingSpec {
    /// Training tokens of a control of the target size.
    pub tokens: u64,
    /// The budget in which the other trials match that control.
    pub match_budget: Budget,
    /// Sequences per optimizer step.
    pub batch_size: usize,
    pub learning_rate: f64,
    /// Its course over a trial.
    pub schedule: LearningRateSchedule,
    pub optimizer: OptimizerSpec,
    /// How rates, ε and fresh weights depend on a model's sizes; not at all where it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rates: Option<RatesSpec>,
    pub precision: Precision,
    /// What happens at growth beside the transforms; a strategy may have its own.
    pub growth: GrowthPolicy,
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

/// A strategy under a name of its own, by default its kind.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "toml::Table", into = "toml::Table")]
#[allow(missing_docs)]
pub struct StrategySpec {
    /// In figures, tables and the database.
    pub name: String,
    pub strategy: Strategy,
    /// Over the sweep's own: to compare policies with each other.
    pub growth: Option<OwnPolicy>,
    /// In place of the sweep's own initial sizes.
    pub initial: Option<SizesSpec>,
    /// What is asked, of a rule that draws its plans; none of others.
    pub about: Option<About>,
}

/// What a comparison of drawn plans is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum About {
    /// The rule: each replicate has plans of its own, so that intervals cover their choice.
    Rule,
    /// Those plans that were drawn: all replicates have the same.
    Plan,
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
    /// each growing strategy; one where it is left out, none if layers or heads differ,
    /// or beside a frontier.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fixed_sizes: Option<usize>,
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
    /// Also evaluate so many steps after each growth, rising.
    #[serde(default)]
    pub after_growth: Vec<u64>,
}

/// When trials write checkpoints.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CheckpointSpec {
    /// Write one when so many tokens were trained since the last one, and at the end.
    pub every_tokens: u64,
}

impl SweepSpec {
    /// What the file says to people.
    pub fn words(&self) -> Words {
        let Self { notes, tags, display, contrasts, .. } = self.clone();
        Words { notes, tags, display, contrasts }
    }

    /// The sweep without it.
    pub(super) fn without_words(&self) -> Self {
        let Words { notes, tags, display, contrasts } = Words::default();
        Self { notes, tags, display, contrasts, ..self.clone() }
    }

    /// Seeds that each plan is trained under, those that only tune among them.
    pub(super) fn all_replicates(&self) -> usize {
        self.replicates.saturating_add(self.tuning_replicates)
    }

    /// Learning rates that everything is trained at.
    pub(super) fn rates(&self) -> Vec<f64> {
        match self.grid.learning_rates() {
            rates if rates.is_empty() => vec![self.training.learning_rate],
            rates => rates,
        }
    }

    /// Those, and the ones that an arm may go on to whose best is the lowest or the highest.
    pub(super) fn candidate_rates(&self) -> Vec<f64> {
        let mut rates = self.rates();
        if !self.widen {
            return rates;
        }
        let mut rising = rates.clone();
        rising.sort_by(f64::total_cmp);
        if let [first, second, ..] = rising[..]
            && let [.., before, last] = rising[..]
        {
            let steps = 1..=MOST_WIDENINGS;
            rates.extend(steps.clone().map(|n| rounded(first * (first / second).powi(n))));
            rates.extend(steps.map(|n| rounded(last * (last / before).powi(n))));
        }
        rates
    }
}

/// So many steps beyond the grid, on each side, are enough to find a mistake in it.
pub(super) const MOST_WIDENINGS: i32 = 2;

/// To three digits: a number that people read.
fn rounded(rate: f64) -> f64 {
    format!("{rate:.2e}").parse().unwrap_or(rate)
}

fn is_false(flag: &bool) -> bool {
    !flag
}

fn is_zero(number: &usize) -> bool {
    *number == 0
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
        let growth = part(&mut table, "growth")?.map(OwnPolicy::read).transpose()?.flatten();
        let initial: Option<SizesSpec> = part(&mut table, "initial")?;
        let about: Option<About> = part(&mut table, "about")?;
        read_shares(&mut table)?;
        let strategy: Strategy = table.try_into().map_err(message)?;
        let never_grows = matches!(strategy, Strategy::FromScratch(_) | Strategy::FixedSize(_));
        if growth.is_some() && never_grows {
            return Err(format!("`growth` of {}: it never grows; leave it out", strategy.name()));
        }
        if initial.is_some() && matches!(strategy, Strategy::FromScratch(_)) {
            return Err("`initial` of from_scratch: it begins at the target; use fixed_size for \
                        another size"
                .into());
        }
        if initial.is_some() && strategy.has_own_initial() {
            return Err(format!(
                "`initial` of {}: each of its plans has one of its own; leave it out",
                strategy.name()
            ));
        }
        if about.is_some() && !strategy.is_random() {
            return Err(format!(
                "`about` of {}: nothing of its plans is drawn; leave it out",
                strategy.name()
            ));
        }
        let name = name.unwrap_or_else(|| strategy.default_name().to_owned());
        let about = strategy.is_random().then(|| about.unwrap_or(About::Rule));
        Ok(Self { name, strategy, growth, initial, about })
    }
}

/// Fields of places on the way: as shares of the tokens, and of the compute.
pub(super) const SHARES: [[&str; 2]; 2] =
    [["at", "at_compute"], ["grow_between", "grow_between_compute"]];

/// Shares of the compute as [`Strategy`] has them.
fn read_shares(table: &mut toml::Table) -> Result<(), String> {
    for [tokens, compute] in SHARES {
        let Some(share) = table.remove(compute) else { continue };
        if table.contains_key(tokens) {
            return Err(format!(
                "both `{tokens}` (a share of the tokens) and `{compute}` (a share of the training \
                 FLOPs): give one of them"
            ));
        }
        let share = toml::Table::from_iter([("compute".to_owned(), share)]);
        table.insert(tokens.to_owned(), share.into());
    }
    Ok(())
}

/// The same as people write them.
fn write_shares(table: &mut toml::Table) {
    for [tokens, compute] in SHARES {
        if let Some(share) = table.get(tokens).and_then(|share| share.get("compute")).cloned() {
            table.remove(tokens);
            table.insert(compute.to_owned(), share);
        }
    }
}

/// A table within a strategy.
fn part<T: DeserializeOwned>(table: &mut toml::Table, name: &str) -> Result<Option<T>, String> {
    let read = |value: toml::Value| {
        serde_path_to_error::deserialize(value)
            .map_err(|error| format!("{name}.{}: {}", error.path(), error.inner().message()))
    };
    table.remove(name).map(read).transpose()
}

impl From<StrategySpec> for toml::Table {
    fn from(spec: StrategySpec) -> Self {
        let mut table = toml::Table::try_from(&spec.strategy).expect("a strategy is plain data");
        write_shares(&mut table);
        table.insert("name".into(), spec.name.into());
        if let Some(about) = spec.about {
            table.insert(
                "about".into(),
                toml::Value::try_from(about).expect("a word is plain data"),
            );
        }
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
