//! What the user can type.

use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};
use outgrow_core::sweep::Precision;
use outgrow_train::Device;

use crate::{
    commands::bench::Preset,
    place::{DB, FILES},
};

/// Is it cheaper to grow into a size than to be born with it? Trains populations of transformers
/// that grow while they train, next to from-scratch controls, records every number in a database,
/// and draws the comparison.
#[derive(Parser)]
#[command(name = "outgrow", version, max_term_width = 100, after_help = AFTER)]
pub struct Args {
    /// Results database: a SQLite file, or postgres://USER@HOST/DATABASE
    #[arg(long, global = true, env = DB, hide_env_values = true, default_value = "outgrow.db", value_name = "PATH")]
    pub db: String,
    /// Folder for checkpoints and prepared text; workers on several machines must share it
    /// [default: beside the SQLite file, or here, under the name of the server's database]
    #[arg(long, global = true, env = FILES, value_name = "FOLDER")]
    pub files: Option<PathBuf>,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

const AFTER: &str = "\
A first hour:
  outgrow plan SWEEP.toml      what would be trained, and what it would cost
  outgrow run SWEEP.toml       train it; Ctrl-C stops, the same command goes on
  outgrow report NAME          figures, tables, and the answer in one paragraph
  outgrow query \"SELECT * FROM speedups\"

Exit codes:
  0  done              1  it ran, but trials failed or a function was not preserved
  2  wrong input       3  the database, a disk or a device refused        130  stopped by the user

Docs: docs/sweep.md, docs/database.md, docs/operations.md";

/// The commands.
#[derive(Subcommand)]
#[allow(missing_docs)]
pub enum Command {
    Run(Run),
    Plan(Plan),
    Status(Status),
    Serve(Serve),
    Query(Query),
    Report(Report),
    Export(Export),
    Check(Check),
    Grow(Grow),
    Convert(Convert),
    Doctor(Doctor),
    Eval(Eval),
    Bench(Bench),
    Submit(Submit),
    Completions(Completions),
    Man(Man),
    #[command(subcommand)]
    Data(Data),
    #[command(subcommand)]
    Db(Db),
    Worker(Worker),
    #[command(hide = true)]
    BenchServe(BenchServe),
}

/// Train what a sweep file means and the database does not have yet; again goes on where it stopped
///
/// Every trial trains in a worker process. Ctrl-C lets the workers save and stop; the same command
/// goes on from there, as it does after a crash or a kill. Two runs of one sweep share the work.
/// Results do not depend on the number of workers.
#[derive(clap::Args)]
pub struct Run {
    /// The sweep file; `outgrow plan` shows what it means
    pub sweep: PathBuf,
    /// Worker processes at once [default: one per CPU core, or four per GPU, as far as memory
    /// allows]
    #[arg(long, short = 'j', value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub workers: Option<u16>,
    /// Devices that workers use in turn: cpu, cuda:0, ... [default: all GPUs, or cpu]
    #[arg(long, value_name = "DEVICE", value_delimiter = ',')]
    pub devices: Vec<Device>,
    /// CPU threads of each worker; another number may change the last bits of results
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub threads: u16,
    /// Train so many replicates of a plan as one model; results agree but for rounding [default: on
    /// a GPU as many as keep it busy, 1 on a CPU]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub together: Option<u16>,
    /// Train every trial from its beginning, also where it begins as another does; the results are
    /// the same
    #[arg(long)]
    pub alone: bool,
    #[command(flatten)]
    pub keeping: Keeping,
    /// Train failed trials again
    #[arg(long)]
    pub retry_failed: bool,
    /// Print the final state as JSON
    #[arg(long)]
    pub json: bool,
}

/// Show the resolved sweep, its trials, and what they would cost; train nothing
#[derive(clap::Args)]
pub struct Plan {
    /// The sweep file
    pub sweep: PathBuf,
    /// Training speed of this machine in GFLOP/s, for the hours [default: as measured by trials in
    /// the database]
    #[arg(long, value_name = "N")]
    pub gflops: Option<f64>,
    /// Also show which trial begins as which other does, and where it leaves it
    #[arg(long)]
    pub tree: bool,
    /// Print everything, each plan with its stages, as JSON
    #[arg(long)]
    pub json: bool,
}

/// Show where every sweep in the database stands
#[derive(clap::Args)]
pub struct Status {
    /// Only the sweep of this name or identity
    pub sweep: Option<String>,
    /// Print it as JSON
    #[arg(long)]
    pub json: bool,
}

/// Answer one SQL query; the views curves, finals, growth and speedups are made for it
///
/// docs/database.md describes the views, and how values look in each format. The database is opened
/// for reading only, and what does more than read is refused. Rows are printed as they come; the
/// query ends when its output is closed, or with Ctrl-C.
#[derive(clap::Args)]
pub struct Query {
    /// The query
    pub sql: String,
    /// How to print the answer; parquet needs --output
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub format: Format,
    /// Write to this file instead of the terminal
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// How to print a table.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
#[allow(missing_docs)]
pub enum Format {
    Table,
    Csv,
    Json,
    Jsonl,
    Parquet,
}

/// Draw a sweep's figures and tables and answer its question in one paragraph
///
/// Figures come as SVG, PDF and PNG, at the width of one and of two columns; tables as Markdown,
/// LaTeX (booktabs) and CSV; provenance.json says what all of it was made from. The same rows give
/// the same bytes.
#[derive(clap::Args)]
pub struct Report {
    /// The sweep's name or identity
    pub sweep: String,
    /// Where to [default: reports/NAME]; an older report of the same sweep gives way, whole
    #[arg(long, short, value_name = "FOLDER")]
    pub output: Option<PathBuf>,
    /// Replace what is there, whatever it is; what outgrow did not write is kept beside it, as
    /// FOLDER.replaced-1
    #[arg(long)]
    pub force: bool,
    /// Print the answer and the tables as JSON
    #[arg(long)]
    pub json: bool,
}

/// Prove function preservation here, on this device, on random compositions of the six transforms
///
/// Without a checkpoint: random models with unequal layers, in float32 and float64. With one: that
/// model, in its own number type. Prints the largest change of a logit, relative to the larger of 1
/// and the largest logit.
#[derive(clap::Args)]
pub struct Check {
    /// Grow this checkpoint instead of random models
    pub checkpoint: Option<PathBuf>,
    /// How many compositions [default: 1000, or 20 for a checkpoint]
    #[arg(long, short = 'n', value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub compositions: Option<u64>,
    /// Up to so many transforms in each
    #[arg(long, default_value_t = 8, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub most: u16,
    /// Of all randomness
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// Where to compute: cpu, cuda:0, ... [default: the first GPU, or cpu]
    #[arg(long)]
    pub device: Option<Device>,
    /// Print it as JSON
    #[arg(long)]
    pub json: bool,
}

/// Grow one checkpoint, verify that its function is preserved, and write the result
///
/// Sizes grow every layer of the model, by the six transforms or by --operator; --apply takes a
/// JSON list of transforms and operators at any granularity, for example [{"transform":
/// "mlp_expansion", "layer": 0, "d_ff": 96}]. Nothing is written unless the logits stay, or the
/// operator does not claim that they do.
///
/// A folder of Hugging Face's transformers (llama, qwen3, gpt2, gpt_neox) is grown as such: what is
/// written is such a folder again, with tokenizer and other files, and it is compared as it will be
/// read.
#[derive(clap::Args)]
pub struct Grow {
    /// The checkpoint to grow, or the model of transformers (a folder)
    pub from: PathBuf,
    /// Where to write the grown one (a folder that does not exist yet)
    pub to: PathBuf,
    /// For a model of transformers: the type to store weights in [default: that of the model]
    #[arg(long, value_enum)]
    pub dtype: Option<Dtype>,
    #[command(flatten)]
    pub how: How,
}

/// Show sweeps, curves, plans and workers on a page of this machine, as they are now
///
/// Listens on 127.0.0.1 only, answers only those who ask for 127.0.0.1 or localhost, and reads
/// only. From another machine: ssh -L 8765:127.0.0.1:8765 HOST
#[derive(clap::Args)]
pub struct Serve {
    /// The port; 0 for any that is free
    #[arg(long, default_value_t = 8765)]
    pub port: u16,
    /// Answer those who ask for this host, too, as a proxy before this machine does
    /// (x.app.github.dev); may be given more than once. There is no password: whoever reaches the
    /// page under that name sees every sweep of the database, so the proxy must know whom to let in
    #[arg(long = "allow-host", value_name = "HOST", value_parser = crate::commands::serve::host)]
    pub hosts: Vec<String>,
}

/// Write results where people look: tables for pandas, polars and DuckDB, or curves for TensorBoard
///
/// One file for each view of docs/database.md, whose columns keep their names and types; for
/// TensorBoard one folder for each trial.
#[derive(clap::Args)]
pub struct Export {
    /// Name or identity of a sweep [default: all]
    pub sweep: Option<String>,
    /// The folder to write (it must not exist yet)
    #[arg(long, value_name = "FOLDER")]
    pub to: PathBuf,
    /// What to write
    #[arg(long, value_enum, default_value_t = ExportFormat::Parquet)]
    pub format: ExportFormat,
    /// Print it as JSON
    #[arg(long)]
    pub json: bool,
}

/// Forms of exported results.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ExportFormat {
    /// A Parquet file for each view.
    Parquet,
    /// A CSV file for each view.
    Csv,
    /// A file of JSON lines for each view.
    Jsonl,
    /// TensorBoard's event files, against tokens.
    Tensorboard,
}

/// Print what makes a shell complete outgrow's commands and options
///
/// For bash: outgrow completions bash > ~/.local/share/bash-completion/completions/outgrow; for
/// zsh: outgrow completions zsh > a folder of $fpath, as _outgrow; for fish: outgrow completions
/// fish > ~/.config/fish/completions/outgrow.fish
#[derive(clap::Args)]
pub struct Completions {
    /// The shell
    pub shell: clap_complete::Shell,
}

/// Write the man pages, one for each command
#[derive(clap::Args)]
pub struct Man {
    /// The folder to write them to, such as ~/.local/share/man/man1
    pub to: PathBuf,
}

/// Text and tokenizers
#[derive(Subcommand)]
pub enum Data {
    Fetch(Fetch),
    List(List),
    Tokenize(Tokenize),
    Count(Count),
}

/// Fetch a corpus of the field, verify it, and say where it lies
///
/// A download that breaks off goes on where it stopped. Files lie in $XDG_CACHE_HOME/outgrow
/// (~/.cache/outgrow); proxies are those of the environment (HTTPS_PROXY, HTTP_PROXY, NO_PROXY).
#[derive(clap::Args)]
pub struct Fetch {
    /// Its name; `outgrow data list` has them
    pub name: String,
    /// A URL under which the same file lies with the same name
    #[arg(long, value_name = "URL")]
    pub mirror: Option<String>,
    /// Print it as JSON
    #[arg(long)]
    pub json: bool,
}

/// List the corpora that can be fetched, and which are here
#[derive(clap::Args)]
pub struct List {
    /// Print it as JSON
    #[arg(long)]
    pub json: bool,
}

/// Which text, and how it is read
#[derive(clap::Args)]
pub struct Texts {
    /// Files and folders
    #[arg(required = true)]
    pub paths: Vec<String>,
    /// The field of the text in JSON and Parquet; a.b for one within another
    #[arg(long, default_value = "text")]
    pub field: String,
    /// What the files hold, whatever they look like
    #[arg(long, value_enum)]
    pub format: Option<TextFormat>,
}

/// What a file of text holds.
#[derive(Clone, Copy, clap::ValueEnum)]
pub enum TextFormat {
    /// Plain text
    Text,
    /// JSON objects
    Json,
    /// Parquet
    Parquet,
}

/// Train a byte-level BPE tokenizer on text, JSON or Parquet, and write its tokenizer.json
#[derive(clap::Args)]
pub struct Tokenize {
    #[command(flatten)]
    pub texts: Texts,
    /// How many tokens it is to know
    #[arg(long, value_name = "N")]
    pub vocab_size: usize,
    /// The file to write
    #[arg(long, value_name = "FILE", default_value = "tokenizer.json")]
    pub to: PathBuf,
}

/// Count documents, bytes and tokens, say which files were read, what was left out, and how fast
/// tokens were made
#[derive(clap::Args)]
pub struct Count {
    #[command(flatten)]
    pub texts: Texts,
    /// A tokenizer.json, or a folder with one; bytes are counted without it
    #[arg(long, value_name = "PATH")]
    pub tokenizer: Option<PathBuf>,
    /// The token that ends documents [default: as the tokenizer's owners say]
    #[arg(long, value_name = "TOKEN", requires = "tokenizer")]
    pub end_of_text: Option<String>,
    /// The text has that token between its documents already: names of control tokens in it are
    /// those tokens
    #[arg(long)]
    pub joined: bool,
    /// Turn the tokens into text again, and compare
    #[arg(long)]
    pub round_trip: bool,
    /// Print it as JSON
    #[arg(long)]
    pub json: bool,
}

/// Turn a checkpoint into a model of Hugging Face's transformers, or such a model into a checkpoint
///
/// A folder with a `config.json` becomes a checkpoint of outgrow; a checkpoint becomes a folder
/// that transformers loads, if one of the families llama, qwen3, gpt2 and gpt_neox has such models.
#[derive(clap::Args)]
pub struct Convert {
    /// The folder to read
    pub from: PathBuf,
    /// The folder to write
    pub to: PathBuf,
    /// For a checkpoint: a folder of transformers whose configuration, tokenizer and other files
    /// the new one takes over
    #[arg(long, value_name = "FOLDER")]
    pub like: Option<PathBuf>,
    /// For a checkpoint: the type to store weights in [default: as they are computed]
    #[arg(long, value_enum)]
    pub dtype: Option<Dtype>,
    /// Print it as JSON
    #[arg(long)]
    pub json: bool,
}

/// Types of stored weights, as PyTorch calls them.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
#[allow(missing_docs)]
pub enum Dtype {
    Float64,
    Float32,
    Bfloat16,
    Float16,
}

impl From<Dtype> for outgrow_train::hub::Dtype {
    fn from(dtype: Dtype) -> Self {
        match dtype {
            Dtype::Float64 => Self::Float64,
            Dtype::Float32 => Self::Float32,
            Dtype::Bfloat16 => Self::Bfloat16,
            Dtype::Float16 => Self::Float16,
        }
    }
}

/// Examine a growth of a checkpoint before you pay for it: does it preserve the function, and can
/// the new entries learn?
///
/// Grows as `outgrow grow` would, writes nothing, and trains a copy for three steps. Exit code 1 if
/// nothing new can ever learn, or if a claim to preserve the function is broken.
#[derive(clap::Args)]
pub struct Doctor {
    /// The checkpoint to grow (a folder)
    pub from: PathBuf,
    /// Text for the three steps [default: random tokens]
    #[arg(long, value_name = "FILE")]
    pub text: Option<PathBuf>,
    /// The tokenizer of the text: a tokenizer.json, or a folder with one [default: that in the
    /// model's folder, or bytes]
    #[arg(long, value_name = "PATH", requires = "text")]
    pub tokenizer: Option<PathBuf>,
    #[command(flatten)]
    pub how: How,
}

/// How to grow a checkpoint.
#[derive(clap::Args)]
pub struct How {
    /// A JSON list of transforms and operators
    #[arg(long, value_name = "FILE", conflicts_with_all = ["d_model", "n_layers", "n_heads", "n_kv_heads", "d_k", "d_v", "d_ff", "operator"])]
    pub apply: Option<PathBuf>,
    /// A published operator instead of the transforms, as JSON: '{"kind": "stack", "order":
    /// "block"}'
    #[arg(long, value_name = "JSON")]
    pub operator: Option<String>,
    /// Width of the residual stream
    #[arg(long, value_name = "N")]
    pub d_model: Option<usize>,
    /// Number of layers; new ones stand at the end, or where the operator puts them
    #[arg(long, value_name = "N")]
    pub n_layers: Option<usize>,
    /// Query heads of each layer
    #[arg(long, value_name = "N")]
    pub n_heads: Option<usize>,
    /// Keys and values that they share; unless given, as many as there are, or as the heads in a
    /// model where each has its own
    #[arg(long, value_name = "N")]
    pub n_kv_heads: Option<usize>,
    /// Query and key width of each head
    #[arg(long, value_name = "N")]
    pub d_k: Option<usize>,
    /// Value width of each head
    #[arg(long, value_name = "N")]
    pub d_v: Option<usize>,
    /// Inner width of each MLP
    #[arg(long, value_name = "N")]
    pub d_ff: Option<usize>,
    /// How free entries are made
    #[arg(long, value_enum, default_value_t = Init::Normal)]
    pub init: Init,
    /// Factor on the standard deviation of drawn entries; with --init fixed the standard deviation
    /// itself
    #[arg(long, default_value_t = 1.0, value_name = "X")]
    pub scale: f64,
    /// Of the free entries
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// Where to compute: cpu, cuda:0, ... [default: the first GPU, or cpu]
    #[arg(long)]
    pub device: Option<Device>,
    /// Print it as JSON
    #[arg(long)]
    pub json: bool,
}

/// How free entries are made.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Init {
    /// Normal, with the fan-in rule of a fresh model.
    Normal,
    /// Normal, with one standard deviation for all.
    Fixed,
    /// Normal, as large as the tensor that grows.
    Matched,
    /// Normal, with Glorot's rule.
    Glorot,
    /// Copies of existing units.
    Copy,
}

/// Ask a checkpoint: its loss on a text, or its logits for given token ids
#[derive(clap::Args)]
#[command(group = clap::ArgGroup::new("what").required(true))]
pub struct Eval {
    /// The checkpoint (a folder)
    pub checkpoint: PathBuf,
    /// Mean cross-entropy on this text file
    #[arg(long, value_name = "FILE", group = "what")]
    pub text: Option<PathBuf>,
    /// The tokenizer of the text: a tokenizer.json, or a folder with one [default: that in the
    /// model's folder, or bytes]
    #[arg(long, value_name = "PATH", requires = "text")]
    pub tokenizer: Option<PathBuf>,
    /// Tokens that are read at once: the text is cut into windows of so many [default: as many as
    /// the model reads, but at most 1024]
    #[arg(long, value_name = "N", requires = "text")]
    pub window: Option<usize>,
    /// Logits for these token ids: a JSON list of rows of equal length, up to the model's seq_len;
    /// or {"tokens": [...]}
    #[arg(long, value_name = "FILE", group = "what")]
    pub tokens: Option<PathBuf>,
    /// Where to compute: cpu, cuda:0, ... [default: the first GPU, or cpu]
    #[arg(long)]
    pub device: Option<Device>,
    /// Print it as JSON
    #[arg(long)]
    pub json: bool,
}

/// Measure this machine: how fast models step, and what growing and recording cost
///
/// Of a sweep, the first growing trial is trained again and again in this process, and what it told
/// is recorded at the same pace, in a temporary folder. Of a preset, steps are measured, in turns
/// with PyTorch's if you wish, everyone in a process of its own. All numbers are medians; on a
/// shared machine trust only ratios.
#[derive(clap::Args)]
pub struct Bench {
    /// A sweep file: measures its growth events and recording; without one, the steps of a preset
    pub sweep: Option<PathBuf>,
    /// The model whose steps are measured
    #[arg(long, value_enum, default_value = "nanogpt-cpu", conflicts_with = "sweep")]
    pub preset: Preset,
    /// In what a preset computes
    #[arg(long, value_enum, default_value = "float32", conflicts_with = "sweep")]
    pub precision: PrecisionArg,
    /// Beside ours, let PyTorch train a preset in every way that may be its fastest (needs a
    /// `python3` that imports torch; `scripts/bench` sees to that)
    #[arg(long, conflicts_with = "sweep")]
    pub pytorch: bool,
    /// Also measure so many workers at once on a preset, as 1,2,4,8
    #[arg(long, value_name = "N", value_delimiter = ',', conflicts_with = "sweep", value_parser = clap::value_parser!(u16).range(1..))]
    pub workers: Vec<u16>,
    /// Also measure so many replicates of a preset as one model, beside one after another, as 8,32
    #[arg(long, value_name = "N", value_delimiter = ',', conflicts_with = "sweep", value_parser = clap::value_parser!(u16).range(1..))]
    pub together: Vec<u16>,
    /// Instead: how a token's time grows with the model, and a sweep's with the number of its
    /// trials; writes figures, and the numbers behind them, to this folder
    #[arg(long, value_name = "FOLDER", conflicts_with_all = ["sweep", "preset", "pytorch", "workers", "together"])]
    pub scaling: Option<PathBuf>,
    /// How many trainings of a sweep, turns of a preset, or turns of each size
    #[arg(long, default_value_t = 3, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub runs: u16,
    /// Where to compute: cpu, cuda:0, ... [default: the first GPU, or cpu]
    #[arg(long)]
    pub device: Option<Device>,
    /// CPU threads
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub threads: u16,
    /// Print it as JSON
    #[arg(long)]
    pub json: bool,
}

/// Steps a preset when told to: what `outgrow bench` starts
#[derive(clap::Args)]
pub struct BenchServe {
    /// The model
    pub preset: Preset,
    /// In what it computes
    #[arg(long, value_enum, default_value = "float32")]
    pub precision: PrecisionArg,
    /// Where to compute
    #[arg(long, default_value = "cpu")]
    pub device: Device,
    /// CPU threads
    #[arg(long, default_value_t = 1)]
    pub threads: u16,
    /// How many replicates step as one model
    #[arg(long, default_value_t = 1)]
    pub together: u16,
}

/// A precision, as it is named in sweep files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum PrecisionArg {
    /// All in float32
    Float32,
    /// Activations in bfloat16, master weights and optimizer in float32
    Bfloat16,
    /// All in float64
    Float64,
}

impl From<PrecisionArg> for Precision {
    fn from(arg: PrecisionArg) -> Self {
        match arg {
            PrecisionArg::Float32 => Precision::Float32,
            PrecisionArg::Bfloat16 => Precision::Bfloat16,
            PrecisionArg::Float64 => Precision::Float64,
        }
    }
}

/// What workers keep, and how long they are waited for.
#[derive(clap::Args, Clone)]
pub struct Keeping {
    /// Checkpoints of each trial that are kept; if the last is damaged, the one before is used
    #[arg(long, default_value_t = 2, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub keep: u16,
    /// A training that records nothing for so many minutes hangs: its trial goes to another worker
    #[arg(long, default_value_t = 120, value_name = "MINUTES", value_parser = clap::value_parser!(u16).range(1..))]
    pub hung_after: u16,
}

impl Keeping {
    /// As options of another command.
    pub fn options(&self) -> [String; 4] {
        ["--keep".into(), self.keep.to_string(), "--hung-after".into(), self.hung_after.to_string()]
    }
}

/// Train a sweep on a cluster: writes a job array of workers and submits it
///
/// The workers take trials from the database as those of `outgrow run` do; their number may change
/// at any time, and jobs may be preempted or lose their node: what they were at goes on elsewhere
/// from its last checkpoint. All machines must reach the database (a PostgreSQL server) and share
/// the folder of --files.
#[derive(clap::Args)]
pub struct Submit {
    /// The sweep file
    pub sweep: PathBuf,
    /// Submit to Slurm, by sbatch
    #[arg(long, required = true)]
    pub slurm: bool,
    /// Workers, each a task of the job array
    #[arg(long, short = 'j', default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub workers: u16,
    /// Where each worker computes [default: the first GPU that its job sees, or cpu]
    #[arg(long, value_name = "DEVICE")]
    pub device: Option<Device>,
    /// CPU threads of each worker; another number may change the last bits of results
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub threads: u16,
    /// Train so many replicates of a plan as one model
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub together: Option<u16>,
    /// Train every trial from its beginning, also where it begins as another does
    #[arg(long)]
    pub alone: bool,
    /// Train failed trials again
    #[arg(long)]
    pub retry_failed: bool,
    #[command(flatten)]
    pub keeping: Keeping,
    /// A further option for sbatch, as --sbatch=--partition=gpu; may be given more than once
    #[arg(long = "sbatch", value_name = "OPTION", allow_hyphen_values = true)]
    pub options: Vec<String>,
    /// Print the script, submit nothing
    #[arg(long)]
    pub print: bool,
}

/// Move sweeps between databases; check and repair one
#[derive(Subcommand)]
pub enum Db {
    /// Copy a sweep, or all, from one database to another, whatever kind they are of
    ///
    /// Everything that was recorded goes along; trials that both know are brought to where they
    /// have come further. Checkpoints stay where they are: copy their folder, or name it with
    /// --files.
    Copy {
        /// Path or URL of the database to read
        from: String,
        /// Path or URL of the one to write; a SQLite file is created if need be
        to: String,
        /// Only the sweep of this name or identity
        #[arg(long, value_name = "NAME")]
        sweep: Option<String>,
    },
    /// Bring a database of an older outgrow up to date; every row is kept
    ///
    /// `outgrow run` does so as well; commands that only show refuse an older database, and change
    /// none.
    Upgrade,
    /// Check that a database and its checkpoints are what was written: every row, every file; write
    /// nothing
    ///
    /// Says what is wrong, what `outgrow db repair` would make of it, what would be trained again,
    /// and which files belong to nothing. What a run is at is not looked at. Exit code 1 if
    /// anything is wrong.
    Check(DbCheck),
    /// Mend what `outgrow db check` finds: save what can be read of a damaged file, and let
    /// `outgrow run` train again what is lost
    ///
    /// The old SQLite file is kept beside the new one. What was recorded and is whole stays; what
    /// was lost is trained again from the last good checkpoint, to the same numbers. On a server
    /// all is done in one transaction: `outgrow db copy` makes a copy before.
    Repair {
        #[command(flatten)]
        what: DbCheck,
        /// Also remove files that belong to nothing, unless another database keeps its files in the
        /// same folder
        #[arg(long)]
        remove_orphans: bool,
    },
}

/// What to check, or to repair.
#[derive(clap::Args)]
pub struct DbCheck {
    /// Path or URL of the database [default: that of --db]
    pub database: Option<String>,
    /// Print it as JSON
    #[arg(long)]
    pub json: bool,
}

/// Train trials of a sweep until none is left: what `outgrow run` and `outgrow submit` start
#[derive(clap::Args)]
pub struct Worker {
    /// The sweep's name or identity; `outgrow run` or `outgrow submit` must have put it into the
    /// database
    pub sweep: String,
    /// Where to compute [default: the first GPU, or cpu]
    #[arg(long)]
    pub device: Option<Device>,
    /// CPU threads
    #[arg(long, default_value_t = 1)]
    pub threads: u16,
    /// How many replicates to train as one model
    #[arg(long)]
    pub together: Option<u16>,
    /// How many workers share the device
    #[arg(long, default_value_t = 1)]
    pub share: usize,
    #[command(flatten)]
    pub keeping: Keeping,
}
