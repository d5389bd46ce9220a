//! `outgrow grow`, and what it shares with `outgrow doctor`.

use clap::ValueEnum;
use std::path::Path;
use std::path::PathBuf;

use outgrow::{Error, one_device};
use outgrow_core::model::n_parameters;
use outgrow_core::{
    Architecture, Growth, Operator,
    edit::Initializer,
    event::Preservation,
    growth::{Application, Sizes, TargetShape, reach},
    model::{MAX_COUNT, MAX_SIZE},
};
use outgrow_data::read_regular;
use outgrow_train::{
    Checkpoint, Device, GrowError, GrowRequest, GrownCheckpoint, GrownFolder, check_room,
    grow_folder,
    hub::{self, LeftOut, is_hub},
};
use serde_json::json;

use crate::{
    output::{count, print, print_json},
    phases::{Phases, stop_leaving_nothing},
};

/// Grow one checkpoint, verify that its function is preserved, and write the grown one
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
    pub dtype: Option<DtypeArg>,
    #[command(flatten)]
    pub how: How,
}

/// Types of stored weights, as PyTorch calls them.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
#[allow(missing_docs)]
pub enum DtypeArg {
    Float64,
    Float32,
    Bfloat16,
    Float16,
}

impl From<DtypeArg> for outgrow_train::hub::Dtype {
    fn from(dtype: DtypeArg) -> Self {
        match dtype {
            DtypeArg::Float64 => Self::Float64,
            DtypeArg::Float32 => Self::Float32,
            DtypeArg::Bfloat16 => Self::Bfloat16,
            DtypeArg::Float16 => Self::Float16,
        }
    }
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
    #[arg(long, value_enum, default_value_t = InitializerArg::Normal)]
    pub init: InitializerArg,
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
pub enum InitializerArg {
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

/// Grows one checkpoint, or a model of transformers.
pub fn grow(args: &Grow) -> Result<(), Error> {
    if args.to.symlink_metadata().is_ok() {
        return Err(Error::Input(format!(
            "{} exists already; name a folder that does not",
            args.to.display()
        )));
    }
    stop_leaving_nothing(&args.to).map_err(Error::environment("cannot listen for signals"))?;
    let phases = Phases::new(format!("reading {}", args.from.display()));
    let grown =
        if is_hub(&args.from) { grow_hub(args, &phases)? } else { grow_checkpoint(args, &phases)? };
    drop(phases);
    let parameters = n_parameters(&grown.architecture);
    let Done { growths, preserving, preservation, architecture, dtype, left_out } = &grown;
    say_left_out(left_out);
    if args.how.json {
        return print_json(
            &json!({ "checkpoint": args.to, "architecture": architecture, "parameters": parameters,
            "dtype": dtype, "growths": growths, "preserving": preserving, "preservation": preservation,
            "error": preservation.error(), "left_out": names(left_out) }),
        );
    }
    let allowed = if *preserving {
        format!("allowed {:.0e}", preservation.tolerance)
    } else {
        "it does not claim to preserve the function".into()
    };
    print(&format!(
        "{}: {} parameters in {dtype} ({}); logits moved by {:.1e} relative to the larger of 1 and the largest logit ({allowed})",
        args.to.display(),
        count(parameters as f64),
        architecture.describe(),
        preservation.error(),
    ))
}

/// What was grown.
struct Done {
    growths: Vec<Growth>,
    preserving: bool,
    preservation: Preservation,
    architecture: Architecture,
    dtype: &'static str,
    left_out: Vec<LeftOut>,
}

/// Says which files of a folder were not taken along, a line for each reason.
pub fn say_left_out(left_out: &[LeftOut]) {
    for files in left_out.chunk_by(|a, b| a.why == b.why) {
        eprintln!("note: left out ({}): {}", files[0].why, names(files).join(", "));
    }
}

fn names(left_out: &[LeftOut]) -> Vec<&str> {
    left_out.iter().map(|file| file.name.as_str()).collect()
}

fn grow_checkpoint(args: &Grow, phases: &Phases) -> Result<Done, Error> {
    if args.dtype.is_some() {
        return Err(Error::Input(
            "--dtype is for models of transformers; a checkpoint keeps the type that it is trained in".into(),
        ));
    }
    let (growths, grown) = read(&args.from, &args.how)?;
    let (preservation, preserving) = (grown.preservation, grown.preserving);
    let architecture = grown.after.architecture().clone();
    let dtype = grown.after.dtype().name();
    phases.next(format!("writing {}", args.to.display()));
    grown.write(&args.to).map_err(failure)?;
    Ok(Done { growths, preserving, preservation, architecture, dtype, left_out: vec![] })
}

fn grow_hub(args: &Grow, phases: &Phases) -> Result<Done, Error> {
    one_device(Some(Device::Cpu))?;
    let initializer = initializer(&args.how)?;
    let growths = growths(&args.from, &args.how)?;
    let dtype = args.dtype.map(hub::Dtype::from);
    let request = GrowRequest { growths: &growths, initializer: &initializer, seed: args.how.seed };
    let tell = |phase| phases.next(phase);
    let grown = grow_folder(&args.from, &args.to, &request, dtype, &tell).map_err(failure)?;
    say(&grown.notes);
    let GrownFolder { preserving, preservation, after, dtype, written, .. } = grown;
    let left_out = written.left_out;
    Ok(Done {
        growths,
        preserving,
        preservation,
        architecture: after,
        dtype: dtype.name(),
        left_out,
    })
}

/// Prints notes.
pub fn say(notes: &[String]) {
    notes.iter().for_each(|note| eprintln!("note: {note}"));
}

/// Says what a user should know of a model of transformers.
pub fn say_notes(folder: &Path) -> Result<(), Error> {
    if is_hub(folder) {
        say(&hub::notes(folder)?);
    }
    Ok(())
}

/// The checkpoint in `from` grown as the user asked, and by what.
pub fn read(from: &Path, how: &How) -> Result<(Vec<Growth>, GrownCheckpoint), Error> {
    let device = one_device(how.device)?;
    let initializer = initializer(how)?;
    let growths = growths(from, how)?;
    let request = GrowRequest { growths: &growths, initializer: &initializer, seed: how.seed };
    let grown = GrownCheckpoint::read(from, &request, device).map_err(failure)?;
    Ok((growths, grown))
}

fn initializer(how: &How) -> Result<Initializer, Error> {
    let initializer = match how.init {
        InitializerArg::Normal => Initializer::Normal { scale: how.scale },
        InitializerArg::Fixed => Initializer::Fixed { std_dev: how.scale },
        InitializerArg::Matched => Initializer::Matched { scale: how.scale },
        InitializerArg::Glorot => Initializer::Glorot { scale: how.scale },
        InitializerArg::Copy => Initializer::Copy,
    };
    initializer.validate().map_err(Error::input("--scale"))?;
    Ok(initializer)
}

pub fn failure(error: GrowError) -> Error {
    match error {
        GrowError::NotPreserved { .. } => Error::Outcome(error.to_string()),
        _ => Error::Input(error.to_string()),
    }
}

fn growths(from: &Path, how: &How) -> Result<Vec<Growth>, Error> {
    let growths: Vec<Growth> = match &how.apply {
        Some(path) => {
            let named = path.display();
            let text = read_regular(path, LARGEST_LIST)
                .map_err(Error::input(format!("cannot read {named}")))?;
            let what = format!("{named} is no JSON list of transforms and operators");
            serde_json::from_slice(&text).map_err(Error::input(what))?
        }
        None => to_sizes(from, how)?,
    };
    if let Some(growth) = growths.iter().find(|growth| growth.ramp_tokens() > 0) {
        let name = growth.name();
        return Err(Error::Input(format!(
            "{name}: its mask opens while a trial trains, so it grows in sweeps only; ramp_tokens = 0 has no mask"
        )));
    }
    if let Some(operator) = growths.iter().find_map(Growth::learning) {
        let name = operator.name();
        return Err(Error::Input(format!(
            "{name}: it learns from the training text, so it grows in sweeps only"
        )));
    }
    if growths.is_empty() {
        return Err(Error::Input(
            "nothing to grow: give --apply FILE, or sizes such as --d-ff 256".into(),
        ));
    }
    Ok(growths)
}

fn to_sizes(from: &Path, how: &How) -> Result<Vec<Growth>, Error> {
    let &How { d_model, n_layers, n_heads, n_kv_heads, d_k, d_v, d_ff, .. } = how;
    let sizes = Sizes { d_model, n_layers, n_heads, n_kv_heads, d_k, d_v, d_ff };
    let architecture = Checkpoint::read_architecture(from)?;
    check_sizes(&architecture, how)?;
    let target = TargetShape::reach(&architecture, &sizes)
        .map_err(|error| Error::Input(error.to_string()))?;
    let target =
        Architecture { d_model: target.d_model, layers: target.layers, ..architecture.clone() };
    check_room(&target).map_err(|error| Error::Input(error.to_string()))?;
    let Some(operator) = &how.operator else {
        let transforms =
            reach(&architecture, &sizes).map_err(|error| Error::Input(error.to_string()))?;
        return Ok(transforms.into_iter().map(Growth::from).collect());
    };
    let operator: Operator = serde_json::from_str(operator).map_err(Error::input("--operator"))?;
    let to = TargetShape::reach(&architecture, &sizes)
        .map_err(|error| Error::Input(error.to_string()))?;
    Ok(vec![Application { operator, to }.into()])
}

/// Refuses sizes that no model has, before anything is laid out for them.
fn check_sizes(architecture: &Architecture, how: &How) -> Result<(), Error> {
    let &How { d_model, n_layers, n_heads, n_kv_heads, d_k, d_v, d_ff, .. } = how;
    let axes = [("d-model", d_model), ("d-k", d_k), ("d-v", d_v), ("d-ff", d_ff)]
        .map(|(name, n)| (name, n, MAX_SIZE));
    let counts = [("n-layers", n_layers), ("n-heads", n_heads), ("n-kv-heads", n_kv_heads)];
    let counts = counts.map(|(name, n)| (name, n, MAX_COUNT));
    for (name, n, most) in axes.into_iter().chain(counts) {
        if let Some(n) = n.filter(|n| !(1..=most).contains(n)) {
            let size =
                if name == "n-layers" { size_of_deep(architecture, n) } else { String::new() };
            return Err(Error::Input(format!("--{name} is {n}{size}; allowed are 1 to {most}")));
        }
    }
    let new = n_layers.map_or(0, |n| n.saturating_sub(architecture.layers.len()));
    if new > MAX_NEW_LAYERS {
        return Err(Error::Input(format!(
            "{new} new layers at once; allowed are {MAX_NEW_LAYERS}: grow in several steps"
        )));
    }
    let (layers, heads) =
        (n_layers.unwrap_or(architecture.layers.len()), n_heads.or(n_kv_heads).unwrap_or(1));
    match layers.saturating_mul(heads) {
        n if n > MAX_HEADS => Err(Error::Input(format!(
            "{layers} layers of {heads} heads are {n}; allowed are {MAX_HEADS} in all"
        ))),
        _ => Ok(()),
    }
}

/// No list of transforms has more bytes.
const LARGEST_LIST: u64 = 16 << 20;

/// Each new layer is a growth of its own, whose sizes are all checked again: with more of them that
/// takes minutes.
const MAX_NEW_LAYERS: usize = 1 << 10;
/// No model has more heads in all of its layers.
const MAX_HEADS: usize = 1 << 20;

/// How many parameters a model would have with so many layers like its last one.
fn size_of_deep(architecture: &Architecture, n_layers: usize) -> String {
    let now = architecture.layers.len();
    let mut one_more = architecture.clone();
    one_more.layers.extend(architecture.layers.last().cloned());
    let (all, more) = (n_parameters(architecture) as f64, n_parameters(&one_more) as f64);
    let parameters = all + (more - all) * (n_layers as f64 - now as f64);
    if n_layers > now {
        format!(", which would be {parameters:.1e} parameters")
    } else {
        String::new()
    }
}
