//! `outgrow data`.

use clap::Subcommand;
use std::path::PathBuf;
use std::{
    io::{IsTerminal, Write},
    panic::resume_unwind,
    sync::mpsc::sync_channel,
    thread,
};

use indicatif::ProgressBar;
use outgrow::{Error, Workspace};
use outgrow_core::sweep::{DataSpec, TextFormat};
use outgrow_data::{
    CorpusError, Survey, Tokenizer, check_vocab_size, each_text,
    fetch::{FetchError, KNOWN, Known, cache},
    publish, survey, train_bpe,
};
use serde_json::json;

use crate::{
    output::{count, print, print_json, table},
    reading::{Telling, files, warn},
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
    #[arg(long, value_enum)]
    pub format: Option<FormatArg>,
}

/// What a file of text holds.
#[derive(Clone, Copy, clap::ValueEnum)]
pub enum FormatArg {
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
    let known = Known::of(&args.name).map_err(failed)?;
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
    let path = |known: &Known| known.is_there(&cache()).then(|| known.path(&cache()));
    if args.json {
        let one = |known: &Known| {
            json!({ "name": known.name, "about": known.about, "url": known.url, "bytes": known.bytes,
                    "sha256": known.sha256, "path": path(known) })
        };
        return print_json(&KNOWN.iter().map(one).collect::<Vec<_>>());
    }
    let row = |known: &Known| {
        let here =
            path(known).map_or_else(|| "not fetched".to_owned(), |path| path.display().to_string());
        vec![
            known.name.to_owned(),
            format!("{}B", count(known.bytes as f64)),
            known.about.to_owned(),
            here,
        ]
    };
    print(&table(&["corpus", "download", "", "here"], KNOWN.iter().map(row).collect(), &[1]))
}

/// Files and folders that are read as the data of a sweep is.
fn spec_of(texts: &Texts) -> DataSpec {
    let format = texts.format.map(|format| match format {
        FormatArg::Text => TextFormat::Text,
        FormatArg::Json => TextFormat::Json,
        FormatArg::Parquet => TextFormat::Parquet,
    });
    DataSpec {
        paths: Some(texts.paths.clone()),
        field: Some(texts.field.clone()),
        format,
        ..DataSpec::of_paths(1)
    }
}

fn refused(error: CorpusError) -> Error {
    Error::Input(error.to_string())
}

fn tokenize(workspace: &Workspace, args: &Tokenize) -> Result<(), Error> {
    check_vocab_size(args.vocab_size).map_err(Error::input("--vocab-size"))?;
    if args.to.exists() {
        return Err(Error::Input(format!(
            "{} exists already; name a file that does not",
            args.to.display()
        )));
    }
    let (spec, own) = (spec_of(&args.texts), workspace.own());
    let (send, receive) = sync_channel(WAITING);
    let (read, trained) = thread::scope(|scope| {
        let reader = scope.spawn(move || {
            each_text(&spec, &own, &Telling::new(), &mut |text| {
                // The trainer says itself why it wants no more.
                let _ = send.send(text);
                Ok(())
            })
        });
        let trained = train_bpe(receive.into_iter(), args.vocab_size);
        (reader.join().unwrap_or_else(|panic| resume_unwind(panic)), trained)
    });
    let summary = read.map_err(refused)?;
    let json = trained.map_err(Error::input("--vocab-size"))?;
    let failed = Error::environment(format!("cannot write {}", args.to.display()));
    publish::file(&args.to, |file| file.write_all(json.as_bytes())).map_err(failed)?;
    let known = Tokenizer::read(&args.to)
        .map_err(|error| Error::Environment(error.to_string()))?
        .vocab_size();
    let bytes = count(summary.counts.bytes[0] as f64);
    print(&format!(
        "{}: {known} tokens, from {bytes}B of text\n{}",
        args.to.display(),
        files(&summary)
    ))
}

/// Pieces of text that wait for the trainer.
const WAITING: usize = 16;

fn count_tokens(workspace: &Workspace, args: &Count) -> Result<(), Error> {
    let mut spec = spec_of(&args.texts);
    spec.joined = args.joined;
    let mut vocab_size = 256;
    if let Some(path) = &args.tokenizer {
        let tokenizer = Tokenizer::read(path).map_err(refused)?;
        vocab_size = tokenizer.vocab_size();
        spec.tokenizer = Some(path.display().to_string());
        spec.end_of_text =
            args.end_of_text.clone().or_else(|| tokenizer.end_of_text().map(str::to_owned));
    }
    let own = workspace.own();
    let how = Survey { cache: None, own: &own, round_trip: args.round_trip };
    let summary = survey(&spec, how, &Telling::new()).map_err(refused)?;
    let counts = &summary.counts;
    // What stands behind documents is no text.
    let (documents, bytes, tokens) =
        (counts.documents[0], counts.bytes[0], counts.tokens[0] - counts.ends);
    let (seconds, changed) = (summary.seconds, counts.changed);
    if args.json {
        warn(&summary);
        print_json(
            &json!({ "documents": documents, "bytes": bytes, "tokens": tokens, "end_tokens": counts.ends,
            "seconds": seconds, "vocab_size": vocab_size, "changed": args.round_trip.then_some(changed),
            "unknown_share": summary.unknown_share(), "lost_share": summary.lost_share(), "text": summary }),
        )?;
    } else {
        // Of what took no time there is no speed.
        let speed = match seconds {
            0.001.. => format!(", {}B/s", count(bytes as f64 / seconds)),
            _ => String::new(),
        };
        print(&format!(
            "{documents} documents, {}B, {} tokens of {vocab_size}: {:.2} bytes per token{speed}\n{}",
            count(bytes as f64),
            count(tokens as f64),
            bytes as f64 / tokens.max(1) as f64,
            files(&summary)
        ))?;
    }
    match changed {
        n if n > 0 && args.round_trip => Err(Error::Outcome(format!(
            "{n} of {documents} documents are not the same when they are turned into text again"
        ))),
        _ => Ok(()),
    }
}
