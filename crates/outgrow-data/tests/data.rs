//! Text in every format becomes the same tokens; tokenizers give text back; what is wrong is named.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    sync::Arc,
};

use arrow_array::{ArrayRef, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema};
use outgrow_core::sweep::DataSpec;
use outgrow_data::{Corpus, CorpusError, Order, Survey, Tokenizer, Tokens, survey, train_bpe};
use parquet::arrow::ArrowWriter;
use tempfile::TempDir;

/// Documents with words, numbers, scripts that are not Latin, and what breaks careless readers.
fn documents() -> Vec<String> {
    let words = [
        "growing",
        "models",
        "naïve",
        "日本語",
        "🙂",
        "\t",
        "1234",
        "don't",
        "\"quoted\"",
        "end.\n",
    ];
    let word = |n: usize, i: usize| match (n * 7 + i * i) % 12 {
        known if known < words.len() => words[known].to_owned(),
        _ => format!("{:x}", (n + 1) * (i + 1) * 2_654_435_761),
    };
    let document = |n: usize| (0..40).map(|i| word(n, i)).collect::<Vec<_>>().join(" ");
    (0..400).map(|n| format!("{n}. {}", document(n))).collect()
}

fn write(folder: &TempDir, name: &str, bytes: &[u8]) -> PathBuf {
    let path = folder.path().join(name);
    fs::write(&path, bytes).expect("written");
    path
}

fn json_lines(documents: &[String], field: &str) -> Vec<u8> {
    let line = |text: &String| serde_json::json!({ "id": 1, field: text }).to_string() + "\n";
    documents.iter().map(line).collect::<String>().into_bytes()
}

fn parquet(documents: &[String]) -> Vec<u8> {
    let schema = Arc::new(Schema::new(vec![
        Field::new("url", DataType::Utf8, true),
        Field::new("text", DataType::Utf8, true),
    ]));
    let texts: ArrayRef = Arc::new(StringArray::from(documents.to_vec()));
    let urls: ArrayRef = Arc::new(StringArray::from(vec![None::<&str>; documents.len()]));
    let batch = RecordBatch::try_new(schema.clone(), vec![urls, texts]).expect("a batch");
    let mut bytes = vec![];
    let mut writer = ArrowWriter::try_new(&mut bytes, schema, None).expect("a writer");
    writer.write(&batch).expect("written");
    writer.close().expect("closed");
    bytes
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(vec![], flate2::Compression::fast());
    encoder.write_all(bytes).expect("written");
    encoder.finish().expect("finished")
}

fn tokenizer(folder: &TempDir) -> PathBuf {
    let json = train_bpe(documents().into_iter(), 400).expect("a tokenizer");
    write(folder, "tokenizer.json", json.as_bytes())
}

fn spec(paths: &[&Path], tokenizer: Option<&Path>) -> DataSpec {
    let text = |path: &Path| path.display().to_string();
    DataSpec {
        paths: Some(paths.iter().map(|path| text(path)).collect()),
        validation: Some(0.2),
        tokenizer: tokenizer.map(text),
        end_of_text: tokenizer.map(|_| "<|endoftext|>".into()),
        ..DataSpec::of_paths(16)
    }
}

fn digest_of(spec: &DataSpec) -> String {
    survey(spec, Survey::default(), &()).expect("a text").digest
}

fn ids(tokens: Tokens) -> Vec<i64> {
    let mut ids = vec![];
    tokens.append_to(&mut ids);
    ids
}

#[test]
fn every_format_gives_the_same_tokens() {
    let folder = tempfile::tempdir().expect("a folder");
    let tokenizer = tokenizer(&folder);
    let (lines, columns) = (json_lines(&documents(), "text"), parquet(&documents()));
    let packed = zstd::encode_all(&lines[..], 1).expect("packed");
    let files = [
        write(&folder, "a.jsonl", &lines),
        write(&folder, "b.jsonl.gz", &gzip(&lines)),
        write(&folder, "c.ndjson.zst", &packed),
        write(&folder, "d.parquet", &columns),
    ];
    let mut seen: Vec<(Vec<i64>, (usize, usize))> = vec![];
    for file in &files {
        let cache = tempfile::tempdir().expect("a folder");
        let spec = spec(&[file], Some(&tokenizer));
        let corpus = Corpus::open(&spec, cache.path()).expect("tokens");
        assert_eq!(corpus.digest(), digest_of(&spec));
        let again = Corpus::prepared(corpus.digest(), cache.path(), 16).expect("prepared");
        let order = Order::new(3);
        assert_eq!(corpus.sequence(&order, 5, 16), again.sequence(&order, 5, 16));
        seen.push((ids(corpus.sequence(&order, 5, 16)), corpus.sizes()));
    }
    assert!(seen.iter().all(|other| *other == seen[0]), "{seen:?}");
    // A second run finds what the first laid down, and another tokenizer or share is another text.
    let cache = tempfile::tempdir().expect("a folder");
    let first = spec(&[&files[0]], Some(&tokenizer));
    let digest = Corpus::open(&first, cache.path()).expect("tokens").digest().to_owned();
    let other = DataSpec { validation: Some(0.3), ..first };
    assert_ne!(digest_of(&other), digest);
}

#[test]
fn documents_are_whole_and_on_one_side() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = tokenizer(&folder);
    let lines = write(&folder, "a.jsonl", &json_lines(&documents(), "body"));
    let spec = DataSpec { field: Some("body".into()), ..spec(&[&lines], Some(&file)) };
    let corpus = Corpus::open(&spec, folder.path()).expect("tokens");
    let tokenizer = Tokenizer::read(&file).expect("a tokenizer");
    let end = tokenizer.id("<|endoftext|>").expect("an end");
    let (train, validation) = corpus.sizes();
    let read = |ending: &str, n: usize| {
        let name = format!("{}.{ending}", &corpus.digest()[..32]);
        let bytes = fs::read(folder.path().join(name)).expect("tokens");
        let ids: Vec<u32> =
            bytes.chunks(2).map(|b| u16::from_le_bytes([b[0], b[1]]).into()).collect();
        assert_eq!(ids.len(), n);
        ids.split(|&id| id == end)
            .map(|document| tokenizer.decode(document).expect("text"))
            .collect::<Vec<_>>()
    };
    let (mut train, mut validation) = (read("train", train), read("validation", validation));
    // Behind the last document stands its end, too.
    assert_eq!((train.pop().as_deref(), validation.pop().as_deref()), (Some(""), Some("")));
    let share = validation.len() as f64 / 400.0;
    assert!((0.05..0.4).contains(&share), "{share}");
    let mut all: Vec<String> = [train.clone(), validation.clone()].concat();
    let mut expected = documents();
    all.sort();
    expected.sort();
    assert_eq!(all, expected);
    assert!(
        validation.iter().all(|document| !train.contains(document)),
        "a document is on both sides"
    );
}

#[test]
fn a_tokenizer_gives_text_back() {
    let folder = tempfile::tempdir().expect("a folder");
    let tokenizer = Tokenizer::read(&tokenizer(&folder)).expect("a tokenizer");
    assert_eq!((tokenizer.vocab_size(), tokenizer.end_of_text()), (400, Some("<|endoftext|>")));
    // All of Unicode, a few characters at a time (a BPE's time grows with the square of a word),
    // and the documents it was trained on.
    let every = (0..0x11_0000u32).filter_map(char::from_u32).collect::<Vec<_>>();
    let mut texts: Vec<String> = every.chunks(24).map(|chars| chars.iter().collect()).collect();
    texts.extend(documents());
    let encoded =
        tokenizer.encode(&texts.iter().map(String::as_str).collect::<Vec<_>>()).expect("ids");
    for (text, ids) in texts.iter().zip(&encoded) {
        assert!(ids.iter().all(|&id| (id as usize) < tokenizer.vocab_size()));
        assert_eq!(tokenizer.decode(ids).expect("text"), *text);
    }
}

#[test]
fn text_files_are_cut_by_their_length() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = tokenizer(&folder);
    let text = documents().join("\n");
    let plain = write(&folder, "a.txt", text.as_bytes());
    let corpus = Corpus::open(&spec(&[&plain], Some(&file)), folder.path()).expect("tokens");
    let (train, validation) = corpus.sizes();
    let share = validation as f64 / (train + validation) as f64;
    assert!((share - 0.2).abs() < 0.02, "{share}");
    // Compressed and without a tokenizer, it is bytes with a boundary.
    let packed = write(&folder, "a.txt.gz", &gzip(text.as_bytes()));
    let bytes = Corpus::open(&spec(&[&packed], None), folder.path()).expect("bytes");
    assert_eq!(bytes.sizes().0 + bytes.sizes().1, text.len() + 2);
}

#[test]
fn what_is_wrong_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = tokenizer(&folder);
    let (lines, columns) = (json_lines(&documents(), "text"), parquet(&documents()));
    let refused = |name: &str, bytes: &[u8], change: &dyn Fn(DataSpec) -> DataSpec, words: &str| {
        let path = write(&folder, name, bytes);
        let cache = tempfile::tempdir().expect("a folder");
        let error = Corpus::open(&change(spec(&[&path], Some(&file))), cache.path())
            .expect_err(words)
            .to_string();
        assert!(
            error.contains(words) && error.contains(name) | error.contains("tokenizer"),
            "{error}"
        );
    };
    let same = |spec: DataSpec| spec;
    refused("a.jsonl", b"{\"text\": \"a\"}\nnot json\n", &same, "line 2");
    refused(
        "b.jsonl",
        &lines,
        &|spec| DataSpec { field: Some("body".into()), ..spec },
        "data.field",
    );
    refused(
        "c.parquet",
        &columns,
        &|spec| DataSpec { field: Some("body".into()), ..spec },
        "but url, text",
    );
    refused("d.parquet", &columns[..columns.len() / 2], &same, "no whole Parquet");
    refused("e.jsonl.gz", &lines, &same, "gzip");
    refused("f.jsonl.zst", &lines, &same, "f.jsonl.zst");
    refused(
        "g.jsonl",
        &lines,
        &|spec| DataSpec { end_of_text: Some("<none>".into()), ..spec },
        "data.end_of_text",
    );
    let broken = write(&folder, "broken.json", b"{}");
    let error = Tokenizer::read(&broken).err().expect("refused").to_string();
    assert!(error.contains("broken.json") && error.contains("no tokenizer.json"), "{error}");
    let short = write(&folder, "short.jsonl", &json_lines(&["a".into()], "text"));
    let error = Corpus::open(&spec(&[&short], Some(&file)), folder.path()).expect_err("too short");
    assert!(matches!(error, CorpusError::Short { .. }), "{error}");
}
