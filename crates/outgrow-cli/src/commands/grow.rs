//! `outgrow grow`, and what it shares with `outgrow doctor`.

use std::path::PathBuf;

use clap::builder::TypedValueParser;
use outgrow::{
    Error, Workspace,
    models::{self, GrowOptions, Grown, GrowthChoice},
    stop_leaving_nothing,
};
use outgrow_core::{edit::Initializer, growth::Sizes, model::n_parameters};
use outgrow_train::{
    Device,
    hub::{Dtype, LeftOut},
};
use serde_json::json;

use crate::{
    output::{count, print, print_json, say},
    phases::Phases,
    values::one_of,
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
    /// The checkpoint to grow, or the model of transformers (a folder), or a trial as `outgrow
    /// path` takes it
    pub from: String,
    /// Where to write the grown one (a folder that does not exist yet)
    pub to: PathBuf,
    /// For a model of transformers: the type to store weights in [default: that of the model]
    #[arg(long, value_parser = dtype())]
    pub dtype: Option<Dtype>,
    #[command(flatten)]
    pub how: How,
}

/// How to grow a checkpoint.
#[derive(clap::Args)]
pub struct How {
    /// A JSON list of transforms and operators
    #[arg(long, value_name = "FILE", conflicts_with_all = ["d_model", "n_layers", "n_heads", "n_kv_heads", "d_k", "d_v", "d_ff", "operator"])]
    pub apply: Option<PathBuf>,
    /// A published operator instead of the transforms: its name, or JSON: '{"kind": "stack",
    /// "order": "block"}'
    #[arg(long, value_name = "NAME|JSON")]
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
    /// How free entries are made [default: normal]
    #[arg(long, value_parser = one_of(INITIALIZERS))]
    pub init: Option<Scaled>,
    /// Factor on the standard deviation of drawn entries; with --init fixed the standard deviation
    /// itself [default: 1]
    #[arg(long, value_name = "X")]
    pub scale: Option<f64>,
    /// Seed of the draws for new entries
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// Where to compute: cpu, cuda:0, ... [default: the first GPU, or cpu]
    #[arg(long)]
    pub device: Option<Device>,
    /// Print it as JSON
    #[arg(long)]
    pub json: bool,
}

/// Types of stored weights, as PyTorch calls them.
pub fn dtype() -> impl TypedValueParser<Value = Dtype> {
    one_of(Dtype::ALL.map(|dtype| (dtype.name(), "", dtype)))
}

/// An initializer of the factor that --scale gives.
type Scaled = fn(f64) -> Initializer;

/// Initializers: their names, help, and what they are.
const INITIALIZERS: [(&str, &str, Scaled); 5] = [
    ("normal", "Normal, with the fan-in rule of a fresh model", |scale| Initializer::Normal {
        scale,
    }),
    ("fixed", "Normal, with one standard deviation for all", |std_dev| Initializer::Fixed {
        std_dev,
    }),
    ("matched", "Normal, as large as the tensor that grows", |scale| Initializer::Matched {
        scale,
    }),
    ("glorot", "Normal, with Glorot's rule", |scale| Initializer::Glorot { scale }),
    ("copy", "Copies of existing units", |_| Initializer::Copy),
];

impl How {
    /// As the library takes it.
    ///
    /// # Errors
    /// If there is a scale and nothing that it could be a factor on.
    pub fn options(&self, dtype: Option<Dtype>) -> Result<GrowOptions, Error> {
        let &How { d_model, n_layers, n_heads, n_kv_heads, d_k, d_v, d_ff, seed, device, .. } =
            self;
        let growths = match &self.apply {
            Some(list) => GrowthChoice::List(list.clone()),
            None => GrowthChoice::Sizes {
                sizes: Sizes { d_model, n_layers, n_heads, n_kv_heads, d_k, d_v, d_ff },
                operator: self.operator.clone(),
            },
        };
        Ok(GrowOptions { growths, initializer: self.initializer()?, seed, device, dtype })
    }

    /// None if neither it nor its scale is said.
    fn initializer(&self) -> Result<Option<Initializer>, Error> {
        if self.init.is_none() && self.scale.is_none() {
            return Ok(None);
        }
        let init = self.init.unwrap_or(INITIALIZERS[0].2);
        let initializer = init(self.scale.unwrap_or(1.0));
        match (&initializer, self.scale) {
            (Initializer::Copy, Some(_)) => Err(Error::Input(
                "--scale has no effect with --init copy, which draws nothing; leave one out".into(),
            )),
            _ => Ok(Some(initializer)),
        }
    }
}

/// Grows one checkpoint, or a model of transformers.
pub fn grow(workspace: &Workspace, args: &Grow) -> Result<(), Error> {
    stop_leaving_nothing(&args.to)?;
    let from = workspace.model(&args.from)?;
    let options = args.how.options(args.dtype)?;
    let phases = Phases::new(format!("reading {}", from.display()));
    let grown = models::grow(&from, &args.to, &options, &|phase| phases.next(phase))?;
    drop(phases);
    say_left_out(&grown.model.left_out);
    match args.how.json {
        true => print_json(&as_json(args, &grown)),
        false => print(&as_text(args, &grown)),
    }
}

fn as_json(args: &Grow, Grown { growths, model }: &Grown) -> serde_json::Value {
    let preservation = &model.preservation;
    json!({ "checkpoint": args.to, "architecture": model.after, "parameters": n_parameters(&model.after),
            "dtype": model.dtype.name(), "growths": growths, "preserving": model.preserving,
            "preservation": preservation, "error": preservation.error(), "left_out": names(&model.left_out) })
}

fn as_text(args: &Grow, Grown { model, .. }: &Grown) -> String {
    let allowed = match model.preserving {
        true => format!("allowed {:.0e}", model.preservation.tolerance),
        false => "it does not claim to preserve the function".into(),
    };
    format!(
        "{}: {} parameters in {} ({}); logits changed by {:.1e} relative to the larger of 1 and the \
         largest logit ({allowed})",
        args.to.display(),
        count(n_parameters(&model.after) as f64),
        model.dtype.name(),
        model.after.describe(),
        model.preservation.error(),
    )
}

/// Says which files of a folder were not taken along, a line for each reason.
pub fn say_left_out(left_out: &[LeftOut]) {
    for files in left_out.chunk_by(|a, b| a.why == b.why) {
        say(&format!("note: left out ({}): {}", files[0].why, names(files).join(", ")));
    }
}

fn names(left_out: &[LeftOut]) -> Vec<&str> {
    left_out.iter().map(|file| file.name.as_str()).collect()
}
