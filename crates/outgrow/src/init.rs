//! A first sweep file for a text of one's own.

use std::{
    fs::OpenOptions,
    io::Write,
    path::{Path, PathBuf, absolute},
};

use outgrow_core::Sweep;
use outgrow_data::Tokenizer;

use crate::{
    error::Error,
    sweep_file::{self, SweepFile},
};

/// What the sweep is to be about.
#[derive(Clone, Debug)]
pub struct InitOptions {
    /// Files and folders of text.
    pub text: Vec<PathBuf>,
    /// A `tokenizer.json`, or a folder with one; text is read as bytes without it.
    pub tokenizer: Option<PathBuf>,
    /// About how many parameters the target has, without embeddings.
    pub parameters: u64,
    /// Training tokens of a model that is born at the target size; 20 for each of its parameters,
    /// and at least 200 steps, if none are given.
    pub tokens: Option<u64>,
    /// Tokens of a sequence.
    pub seq_len: usize,
}

impl Default for InitOptions {
    fn default() -> Self {
        let (text, tokenizer, tokens) = Default::default();
        Self { text, tokenizer, parameters: 200_000, tokens, seq_len: 128 }
    }
}

/// Sizes of a target and of the model that grows into it: half as wide and half as deep.
struct Ladder {
    d_model: usize,
    n_layers: usize,
    n_heads: usize,
}

/// Width of a head.
const D_HEAD: usize = 16;
/// Sequences of a step.
const BATCH: u64 = 16;

impl Ladder {
    /// The sizes whose parameters, 12 · `n_layers` · `d_model`², are nearest to so many (as a
    /// ratio), and among those as near the ones whose layers are the closest to one for each 32
    /// channels; an even number of layers, one for each 8 to 64 channels.
    fn near(parameters: u64) -> Self {
        let widths = (1..=256).map(|heads| 2 * heads * D_HEAD);
        let sizes = widths.flat_map(|d_model| {
            let layers = (2..=64).step_by(2);
            let layers = layers.filter(move |n| (8..=64).contains(&(d_model / n)));
            layers.map(move |n_layers| Self { d_model, n_layers, n_heads: d_model / D_HEAD })
        });
        let distance = |size: &Self| {
            let shape = (size.d_model as f64 / size.n_layers as f64 / 32.0).ln().abs();
            (size.parameters() / parameters as f64).ln().abs() + 0.1 * shape
        };
        sizes.min_by(|a, b| distance(a).total_cmp(&distance(b))).expect("there are sizes")
    }

    fn parameters(&self) -> f64 {
        12.0 * self.n_layers as f64 * (self.d_model as f64).powi(2)
    }

    fn table(&self, part: usize) -> String {
        let (d_model, n_layers, n_heads) =
            (self.d_model / part, self.n_layers / part, self.n_heads / part);
        format!(
            "d_model = {d_model}\nn_layers = {n_layers}\nn_heads = {n_heads}\nd_k = {D_HEAD}\nd_v \
             = {D_HEAD}\nd_ff = {}",
            4 * d_model
        )
    }
}

/// Writes a commented sweep file that compares three ways of growing into a size with models that
/// are born at it, on a text of one's own; gives it as it is read.
///
/// # Errors
/// If the file exists or can't be written, there is no such text or tokenizer, or no sweep has such
/// sizes.
pub fn init(to: &Path, options: &InitOptions) -> Result<SweepFile, Error> {
    let text = render(to, options)?;
    // A tokenizer's own number of tokens is filled in when the file is read.
    let checked = match options.tokenizer {
        Some(_) => text.replacen("tokenizer =", "vocab_size = 256\ntokenizer =", 1),
        None => text.clone(),
    };
    Sweep::parse(&checked).map_err(|error| Error::Input(error.to_string()))?;
    let cannot = || format!("cannot write {}", to.display());
    let mut file = OpenOptions::new().write(true).create_new(true).open(to).map_err(|error| {
        match error.kind() {
            std::io::ErrorKind::AlreadyExists => {
                Error::Input(format!("{} exists already; name another file", to.display()))
            }
            _ => Error::Environment(format!("{}: {error}", cannot())),
        }
    })?;
    file.write_all(text.as_bytes()).map_err(Error::environment(cannot()))?;
    SweepFile::read(to)
}

fn render(to: &Path, options: &InitOptions) -> Result<String, Error> {
    let InitOptions { text, tokenizer, parameters, tokens, seq_len } = options;
    if text.is_empty() {
        return Err(Error::Input("name a file or folder of text".into()));
    }
    let ladder = Ladder::near((*parameters).max(1));
    if (*parameters as f64) < 0.5 * ladder.parameters() {
        return Err(Error::Input(format!(
            "a target of {parameters} parameters is too small; the smallest has {}",
            ladder.parameters()
        )));
    }
    let step = BATCH * *seq_len as u64;
    let tokens = tokens.unwrap_or_else(|| ((20.0 * ladder.parameters()) as u64).max(200 * step));
    let paths = text.iter().map(|path| quoted(to, path)).collect::<Result<Vec<_>, _>>()?;
    let tokenizer = match tokenizer {
        Some(path) => {
            Tokenizer::read(path).map_err(|error| Error::Input(error.to_string()))?;
            format!("tokenizer = {}\n", quoted(to, path)?)
        }
        None => String::new(),
    };
    Ok(format!(
        include_str!("init.toml"),
        name = toml_string(&name(to)),
        paths = paths.join(", "),
        tokenizer = tokenizer,
        unit = if tokenizer.is_empty() { "bytes" } else { "tokens" },
        seq_len = seq_len,
        tokens = grouped(tokens),
        initial = ladder.table(2),
        target = ladder.table(1),
    ))
}

/// A name for the sweep: that of its file, as far as a sweep can have it.
fn name(file: &Path) -> String {
    let stem = file.file_stem().map(|stem| stem.to_string_lossy().into_owned());
    sweep_file::allowed_name(&stem.unwrap_or_default())
}

/// A path as the sweep file says it: as it was given where the file lies here, whole otherwise.
fn quoted(file: &Path, path: &Path) -> Result<String, Error> {
    if !path.exists() {
        return Err(Error::Input(format!("no file or folder {}", path.display())));
    }
    if path.metadata().is_ok_and(|found| found.is_file() && found.len() == 0) {
        return Err(Error::Input(format!("{} is empty", path.display())));
    }
    let is_here = file.parent().is_none_or(|folder| folder.as_os_str().is_empty());
    let cannot = || format!("cannot find {}", path.display());
    let path =
        if is_here { path.to_owned() } else { absolute(path).map_err(Error::input(cannot()))? };
    let text = path.to_str();
    let refused = || Error::Input(format!("{} is no path in UTF-8", path.display()));
    text.map(toml_string).ok_or_else(refused)
}

/// A string as TOML writes it.
fn toml_string(text: &str) -> String {
    toml::Value::from(text).to_string()
}

/// `1_234_567`.
fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::new();
    for (number, digit) in digits.chars().enumerate() {
        if number > 0 && (digits.len() - number).is_multiple_of(3) {
            text.push('_');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use outgrow_core::model::n_non_embedding_parameters;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn what_is_written_is_a_sweep(
            parameters in 15_000_u64..2_000_000_000,
            tokens in prop::option::of(1_000_000_u64..1 << 50),
            seq_len in 1_usize..5000,
            name in "[^/\0]{1,40}",
        ) {
            let folder = tempfile::tempdir().expect("a folder");
            let text = folder.path().join(format!("{name} text"));
            std::fs::write(&text, "text").expect("written");
            let to = folder.path().join(format!("{name}.toml"));
            let options =
                InitOptions { text: vec![text], parameters, tokens, seq_len, ..InitOptions::default() };
            let file = init(&to, &options).expect("a sweep");
            let sweep = file.sweep();
            prop_assert!(sweep.members("d").expect("members").len() > 10);
            let found = n_non_embedding_parameters(sweep.target()) as f64;
            if (50_000..500_000_000).contains(&parameters) {
                prop_assert!((0.75..1.34).contains(&(found / parameters as f64)), "{found} of \
                    {parameters}");
            }
            prop_assert!(init(&to, &options).is_err(), "nothing is overwritten");
        }
    }

    #[test]
    fn the_numbers_read_well() {
        assert_eq!([1, 1234, 1_234_567].map(grouped), ["1", "1_234", "1_234_567"]);
    }
}
