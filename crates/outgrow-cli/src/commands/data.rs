//! `outgrow data`.

use std::{io::IsTerminal, path::Path, time::Instant};

use indicatif::ProgressBar;
use outgrow_data::{
    CorpusError, Tokenizer, each_text,
    fetch::{FetchError, KNOWN, Known, cache},
    sources, train_bpe,
};
use serde_json::json;

use crate::{
    args::{Count, Data, Fetch, List, Tokenize},
    failure::Failure,
    output::{count, print, print_json, table},
};

/// Text and tokenizers.
pub fn data(args: &Data) -> Result<(), Failure> {
    match args {
        Data::Fetch(args) => fetch(args),
        Data::List(args) => list(args),
        Data::Tokenize(args) => tokenize(args),
        Data::Count(args) => count_tokens(args),
    }
}

fn fetch(args: &Fetch) -> Result<(), Failure> {
    let failed = |error: FetchError| match error {
        FetchError::Unknown(_) => Failure::Input(error.to_string()),
        _ => Failure::Environment(error.to_string()),
    };
    let known = Known::of(&args.name).map_err(failed)?;
    let bar = if std::io::stderr().is_terminal() { ProgressBar::new(known.bytes) } else { ProgressBar::hidden() };
    let path = known.fetch(&cache(), args.mirror.as_deref(), &mut |bytes| bar.set_position(bytes)).map_err(failed)?;
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

fn list(args: &List) -> Result<(), Failure> {
    let path = |known: &Known| known.is_there(&cache()).then(|| known.path(&cache()));
    if args.json {
        let one = |known: &Known| {
            json!({ "name": known.name, "about": known.about, "url": known.url, "bytes": known.bytes,
                    "sha256": known.sha256, "path": path(known) })
        };
        return print_json(&KNOWN.iter().map(one).collect::<Vec<_>>());
    }
    let row = |known: &Known| {
        let here = path(known).map_or_else(|| "not fetched".to_owned(), |path| path.display().to_string());
        vec![known.name.to_owned(), format!("{}B", count(known.bytes as f64)), known.about.to_owned(), here]
    };
    print(&table(&["corpus", "download", "", "here"], KNOWN.iter().map(row).collect(), &[1]))
}

/// Every text of some files.
fn texts(
    paths: &[String],
    field: &str,
    take: &mut dyn FnMut(String) -> Result<(), CorpusError>,
) -> Result<(), Failure> {
    let refused = |error: CorpusError| Failure::Input(error.to_string());
    let files = sources(paths).map_err(refused)?;
    files.iter().try_for_each(|file| each_text(file, field, take)).map_err(refused)
}

fn tokenize(args: &Tokenize) -> Result<(), Failure> {
    if args.to.exists() {
        return Err(Failure::Input(format!("{} exists already; name a file that does not", args.to.display())));
    }
    let mut all = vec![];
    texts(&args.paths, &args.field, &mut |text| {
        all.push(text);
        Ok(())
    })?;
    let bytes: usize = all.iter().map(String::len).sum();
    let json = train_bpe(all.into_iter(), args.vocab_size).map_err(Failure::input("--vocab-size"))?;
    let failed = Failure::environment(format!("cannot write {}", args.to.display()));
    std::fs::write(&args.to, json).map_err(failed)?;
    let known = Tokenizer::read(&args.to).map_err(|error| Failure::Environment(error.to_string()))?.vocab_size();
    print(&format!("{}: {known} tokens, from {}B of text", args.to.display(), count(bytes as f64)))
}

/// Bytes that are tokenized at a time.
const BATCH: usize = 16 << 20;

#[derive(Default)]
struct Counted {
    documents: u64,
    bytes: u64,
    tokens: u64,
    seconds: f64,
    changed: u64,
}

fn count_tokens(args: &Count) -> Result<(), Failure> {
    let tokenizer = Tokenizer::read(Path::new(&args.tokenizer)).map_err(|error| Failure::Input(error.to_string()))?;
    let (mut counted, mut waiting, mut bytes) = (Counted::default(), vec![], 0);
    texts(&args.paths, &args.field, &mut |text| {
        bytes += text.len();
        waiting.push(text);
        if bytes < BATCH {
            return Ok(());
        }
        bytes = 0;
        counted.add(&tokenizer, &std::mem::take(&mut waiting), args.round_trip)
    })?;
    counted.add(&tokenizer, &waiting, args.round_trip).map_err(|error| Failure::Input(error.to_string()))?;
    let Counted { documents, bytes, tokens, seconds, changed } = counted;
    let per_token = bytes as f64 / tokens as f64;
    if args.json {
        print_json(&json!({ "documents": documents, "bytes": bytes, "tokens": tokens, "seconds": seconds,
            "vocab_size": tokenizer.vocab_size(), "changed": args.round_trip.then_some(changed) }))?;
    } else {
        print(&format!(
            "{documents} documents, {}B, {} tokens of {}: {per_token:.2} bytes per token, {}B/s",
            count(bytes as f64),
            count(tokens as f64),
            tokenizer.vocab_size(),
            count(bytes as f64 / seconds)
        ))?;
    }
    match changed {
        0 => Ok(()),
        n => Err(Failure::Result(format!(
            "{n} of {documents} documents are not the same when they are turned into text again"
        ))),
    }
}

impl Counted {
    fn add(&mut self, tokenizer: &Tokenizer, texts: &[String], round_trip: bool) -> Result<(), CorpusError> {
        let borrowed: Vec<&str> = texts.iter().map(String::as_str).collect();
        let began = Instant::now();
        let encoded = tokenizer.encode(&borrowed)?;
        self.seconds += began.elapsed().as_secs_f64();
        self.documents += texts.len() as u64;
        self.bytes += texts.iter().map(|text| text.len() as u64).sum::<u64>();
        self.tokens += encoded.iter().map(|ids| ids.len() as u64).sum::<u64>();
        for (text, ids) in texts.iter().zip(&encoded).filter(|_| round_trip) {
            self.changed += u64::from(tokenizer.decode(ids)? != *text);
        }
        Ok(())
    }
}
