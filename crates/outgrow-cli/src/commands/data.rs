//! `outgrow data`.

use std::{io::IsTerminal, path::PathBuf};

use clap::Subcommand;
use indicatif::ProgressBar;
use outgrow::{
    Error, Workspace,
    text::{count_text, describe_files, train_tokenizer},
};
use outgrow_core::sweep::{DataSpec, TextFormat};
use outgrow_data::fetch::{DATASETS, Dataset, FetchError, cache};
use serde_json::json;

use crate::{
    output::{count, print, print_json, table},
    reading::{Telling, warn},
    values::one_of,
};

/// Fetch and count text, train tokenizers
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
    #[arg(long, value_parser = one_of(FORMATS))]
    pub format: Option<TextFormat>,
}

const FORMATS: [(&str, &str, TextFormat); 3] = [
    ("text", "Plain text", TextFormat::Text),
    ("json", "JSON objects", TextFormat::Json),
    ("parquet", "Parquet", TextFormat::Parquet),
];

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

/// Text and tokenizers.
pub fn data(workspace: &Workspace, args: &Data) -> Result<(), Error> {
    match args {
        Data::Fetch(args) => fetch(args),
        Data::List(args) => list(args),
        Data::Tokenize(args) => tokenize(workspace, args),
        Data::Count(args) => count_tokens(workspace, args),
    }
}

fn fetch(args: &Fetch) -> Result<(), Error> {
    let failed = |error: FetchError| match error {
        FetchError::Unknown(_) => Error::Input(error.to_string()),
        _ => Error::Environment(error.to_string()),
    };
    let known = Dataset::of(&args.name).map_err(failed)?;
    let bar = if std::io::stderr().is_terminal() {
        ProgressBar::new(known.bytes)
    } else {
        ProgressBar::hidden()
    };
    let path = known
        .fetch(&cache(), args.mirror.as_deref(), &mut |bytes| bar.set_position(bytes))
        .map_err(failed)?;
    bar.finish_and_clear();
    match args.json {
        true => print_json(&json!({ "name": known.name, "path": path })),
        false => print(&format!(
            "{}\n\nin a sweep file: data = {{ paths = [{:?}], validation = 0.01, … }}",
            path.display(),
            path
        )),
    }
}

fn list(args: &List) -> Result<(), Error> {
    let path = |known: &Dataset| known.is_there(&cache()).then(|| known.path(&cache()));
    if args.json {
        let one = |known: &Dataset| {
            json!({ "name": known.name, "about": known.about, "url": known.url, "bytes": known.bytes,
                    "sha256": known.sha256, "path": path(known) })
        };
        return print_json(&DATASETS.iter().map(one).collect::<Vec<_>>());
    }
    let row = |known: &Dataset| {
        let here =
            path(known).map_or_else(|| "not fetched".to_owned(), |path| path.display().to_string());
        vec![
            known.name.to_owned(),
            format!("{}B", count(known.bytes as f64)),
            known.about.to_owned(),
            here,
        ]
    };
    print(&table(&["corpus", "download", "", "here"], DATASETS.iter().map(row).collect(), &[1]))
}

/// Files and folders that are read as the data of a sweep is.
fn spec_of(texts: &Texts) -> DataSpec {
    let (paths, field) = (Some(texts.paths.clone()), Some(texts.field.clone()));
    DataSpec { paths, field, format: texts.format, ..DataSpec::of_paths(1) }
}

fn tokenize(workspace: &Workspace, args: &Tokenize) -> Result<(), Error> {
    let (spec, own) = (spec_of(&args.texts), workspace.own());
    let made = train_tokenizer(&spec, args.vocab_size, &args.to, &own, &Telling::new())?;
    print(&format!(
        "{}: {} tokens, from {}B of text\n{}",
        args.to.display(),
        made.vocab_size,
        count(made.text.counts.bytes[0] as f64),
        describe_files(&made.text)
    ))
}

fn count_tokens(workspace: &Workspace, args: &Count) -> Result<(), Error> {
    let spec = DataSpec {
        joined: args.joined,
        tokenizer: args.tokenizer.as_ref().map(|path| path.display().to_string()),
        end_of_text: args.end_of_text.clone(),
        ..spec_of(&args.texts)
    };
    let found = count_text(spec, args.round_trip, &workspace.own(), &Telling::new())?;
    if args.json {
        warn(&found.text);
        print_json(&found)?;
    } else {
        print(&found.describe())?;
    }
    match found.changed {
        Some(n) if n > 0 => Err(Error::Outcome(format!(
            "{n} of {} documents are not the same when they are turned into text again",
            found.documents
        ))),
        _ => Ok(()),
    }
}
