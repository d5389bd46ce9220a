//! Tokenizers, and text in the formats that people have.

use std::{fs, io::Write, path::PathBuf, sync::Arc};

use arrow_array::{ArrayRef, RecordBatch, StringArray};
use flate2::write::GzEncoder;
use outgrow_core::sweep::DataSpec;
use outgrow_data::{Corpus, Order, Tokenizer, train_bpe};
use parquet::{arrow::ArrowWriter, basic::Compression, file::properties::WriterProperties};
use serde_json::json;
use tempfile::TempDir;

const TEXTS: [&str; 4] =
    ["growing models grow", "while models wait\n", "Gr\u{f6}\u{df}e \u{2192} \u{1f331}", "0 1 2"];

thread_local!(static PLACE: TempDir = tempfile::tempdir().expect("a folder"));

pub(crate) fn tokenizer(input: &[u8]) -> bool {
    PLACE.with(|place| {
        let path = place.path().join("tokenizer.json");
        fs::write(&path, input).expect("written");
        let Ok(tokenizer) = Tokenizer::read(&path) else { return false };
        let Ok(encoded) = tokenizer.encode(&TEXTS) else { return false };
        let known = |ids: &Vec<u32>| ids.iter().all(|&id| (id as usize) < tokenizer.vocab_size());
        assert!(
            encoded.iter().all(known),
            "a token beyond the vocabulary of {}",
            tokenizer.vocab_size()
        );
        encoded.iter().for_each(|ids| drop(tokenizer.decode(ids)));
        tokenizer.end_of_text();
        true
    })
}

/// What lies beside a tokenizer and says which of its tokens ends a text.
pub(crate) fn tokenizer_config(input: &[u8]) -> bool {
    thread_local!(static BESIDE: TempDir = tempfile::tempdir().expect("a folder"));
    BESIDE.with(|place| {
        let tokenizer = place.path().join("tokenizer.json");
        if !tokenizer.exists() {
            fs::write(&tokenizer, own()).expect("written");
        }
        fs::write(place.path().join("tokenizer_config.json"), input).expect("written");
        Tokenizer::read(place.path()).is_ok_and(|tokenizer| tokenizer.end_of_text().is_some())
    })
}

pub(crate) fn tokenizer_configs() -> Vec<Vec<u8>> {
    let end = json!({ "eos_token": { "content": "<|endoftext|>", "lstrip": false }, "model_max_length": 1e30 });
    [
        json!({ "eos_token": "<|endoftext|>" }),
        end,
        json!({ "text_config": { "eos_token": ["a", 0] } }),
    ]
    .map(|config| config.to_string().into_bytes())
    .to_vec()
}

fn own() -> String {
    train_bpe(TEXTS.into_iter().map(str::to_owned), 270).expect("a tokenizer")
}

/// One of our own, and a small one of each other model.
pub(crate) fn tokenizers() -> Vec<Vec<u8>> {
    let end = json!({ "id": 0, "content": "</s>", "special": true, "single_word": false, "lstrip": false, "rstrip": false,
        "normalized": false });
    let words = json!({ "version": "1.0", "added_tokens": [end],
        "normalizer": { "type": "Sequence", "normalizers": [{ "type": "NFKC" }, { "type": "Lowercase" },
            { "type": "Replace", "pattern": { "Regex": "w+" }, "content": "w" }] },
        "pre_tokenizer": { "type": "Split", "pattern": { "Regex": "\\s+" }, "behavior": "Removed", "invert": false },
        "model": { "type": "WordLevel", "vocab": { "</s>": 0, "models": 1, "grow": 2 }, "unk_token": "</s>" } });
    let pieces = json!({ "version": "1.0", "added_tokens": [end],
        "normalizer": { "type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true, "strip_accents": null,
            "lowercase": true },
        "pre_tokenizer": { "type": "BertPreTokenizer" },
        "decoder": { "type": "WordPiece", "prefix": "@", "cleanup": true },
        "model": { "type": "WordPiece", "vocab": { "</s>": 0, "mod": 1, "@els": 2 }, "unk_token": "</s>",
            "continuing_subword_prefix": "@", "max_input_chars_per_word": 100 } });
    let space = json!({ "type": "Metaspace", "replacement": "\u{2581}", "prepend_scheme": "always", "split": true });
    let unigram = json!({ "version": "1.0", "added_tokens": [end], "pre_tokenizer": space, "decoder": space,
        "truncation": { "direction": "Right", "max_length": 8, "strategy": "LongestFirst", "stride": 0 },
        "padding": { "strategy": { "Fixed": 4 }, "direction": "Right", "pad_to_multiple_of": null, "pad_id": 0,
            "pad_type_id": 0, "pad_token": "</s>" },
        "post_processor": { "type": "TemplateProcessing", "single": [{ "Sequence": { "id": "A", "type_id": 0 } }],
            "pair": [{ "Sequence": { "id": "A", "type_id": 0 } }, { "Sequence": { "id": "B", "type_id": 1 } }],
            "special_tokens": {} },
        "model": { "type": "Unigram", "unk_id": 0, "byte_fallback": false,
            "vocab": [["</s>", 0.0], ["\u{2581}grow", -1.5], ["models", -2.0]] } });
    let others = [words, pieces, unigram].map(|tokenizer| tokenizer.to_string());
    [&[own()][..], &others].concat().into_iter().map(String::into_bytes).collect()
}

/// Lays down the documents of a file of this name.
fn documents(name: &str, input: &[u8]) -> bool {
    PLACE.with(|place| {
        let (path, cache) = (place.path().join(name), place.path().join("cache"));
        fs::write(&path, input).expect("written");
        let paths = Some(vec![path.display().to_string()]);
        let spec = DataSpec { paths, validation: Some(0.5), ..DataSpec::of_paths(4) };
        let corpus = Corpus::open(&spec, &cache);
        let _ = fs::remove_dir_all(&cache);
        corpus.is_ok()
    })
}

/// Text that was prepared before, its head in the place that the input takes.
struct Prepared {
    cache: TempDir,
    head: PathBuf,
    digest: String,
}

impl Prepared {
    fn new() -> Self {
        let cache = tempfile::tempdir().expect("a folder");
        let path = cache.path().join("a.jsonl");
        fs::write(&path, &lines()[0]).expect("written");
        let paths = Some(vec![path.display().to_string()]);
        let spec = DataSpec { paths, validation: Some(0.5), ..DataSpec::of_paths(4) };
        let corpus = Corpus::open(&spec, cache.path()).expect("it is prepared");
        let heads = fs::read_dir(cache.path())
            .expect("a folder")
            .map(|entry| entry.expect("a file").path());
        let head = heads
            .into_iter()
            .find(|path| path.extension().is_some_and(|e| e == "json"))
            .expect("a head");
        Self { digest: corpus.digest().to_owned(), head, cache }
    }
}

pub(crate) fn prepared(input: &[u8]) -> bool {
    thread_local!(static PREPARED: Prepared = Prepared::new());
    PREPARED.with(|Prepared { cache, head, digest }| {
        fs::write(head, input).expect("written");
        let Ok(corpus) = Corpus::prepared(digest, cache.path(), 4) else { return false };
        corpus.sequence(&Order::new(1), 0, 4);
        corpus.validation(8, 4);
        true
    })
}

pub(crate) fn prepared_heads() -> Vec<Vec<u8>> {
    vec![fs::read(Prepared::new().head).expect("read")]
}

/// Of no ending: what it is, follows from what stands in it.
pub(crate) fn text(input: &[u8]) -> bool {
    documents("a", input)
}

pub(crate) fn texts() -> Vec<Vec<u8>> {
    let marked: Vec<u8> = "\u{feff}models".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let objects = arrays().remove(2);
    vec![objects, TEXTS.concat().into_bytes(), "\u{feff}models\r\ngrow\r\n".into(), marked]
}

pub(crate) fn json_lines(input: &[u8]) -> bool {
    documents("a.jsonl", input)
}

pub(crate) fn lines() -> Vec<Vec<u8>> {
    let odd = r#"{"text": null, "score": NaN, "url": "https://example.org"}"#;
    let surrogate = r#"{"text": "x\ud83d\u0041\ud83c\udf31"}"#;
    let plain = TEXTS.map(|text| json!({ "text": text, "n": 1.5e3 }).to_string());
    let join = |lines: &[&str]| (lines.join("\n") + "\n").into_bytes();
    vec![
        join(&plain.each_ref().map(String::as_str)).repeat(6),
        join(&[&plain[0], odd, surrogate, &plain[1]]),
    ]
}

pub(crate) fn json(input: &[u8]) -> bool {
    documents("a.json", input)
}

pub(crate) fn arrays() -> Vec<Vec<u8>> {
    let objects: Vec<_> =
        TEXTS.repeat(3).iter().map(|text| json!({ "text": text, "tags": ["a"] })).collect();
    let mut seeds = lines();
    seeds.push(serde_json::to_vec(&objects).expect("plain data"));
    seeds.push(serde_json::to_vec_pretty(&objects).expect("plain data"));
    seeds
}

pub(crate) fn gzip(input: &[u8]) -> bool {
    documents("a.jsonl.gz", input)
}

pub(crate) fn gzips() -> Vec<Vec<u8>> {
    let pack = |text: Vec<u8>| {
        let mut encoder = GzEncoder::new(vec![], flate2::Compression::default());
        encoder.write_all(&text).expect("memory takes all");
        encoder.finish().expect("memory takes all")
    };
    let packed: Vec<Vec<u8>> = lines().into_iter().map(pack).collect();
    [packed.clone(), vec![packed.concat()]].concat()
}

pub(crate) fn zstd(input: &[u8]) -> bool {
    documents("a.jsonl.zst", input)
}

pub(crate) fn zstds() -> Vec<Vec<u8>> {
    let pack = |text: Vec<u8>| zstd::encode_all(&text[..], 3).expect("memory takes all");
    let packed: Vec<Vec<u8>> = lines().into_iter().map(pack).collect();
    [packed.clone(), vec![packed.concat()]].concat()
}

pub(crate) fn parquet(input: &[u8]) -> bool {
    documents("a.parquet", input)
}

pub(crate) fn parquets() -> Vec<Vec<u8>> {
    let rows = TEXTS.repeat(3);
    let texts: ArrayRef = Arc::new(StringArray::from_iter_values(&rows));
    let batch = RecordBatch::try_from_iter([("text", texts)]).expect("a batch");
    let codecs =
        [Compression::UNCOMPRESSED, Compression::SNAPPY, Compression::ZSTD(Default::default())];
    let write = |codec: Compression| {
        let properties = WriterProperties::builder().set_compression(codec).build();
        let mut writer =
            ArrowWriter::try_new(vec![], batch.schema(), Some(properties)).expect("a writer");
        writer.write(&batch).expect("memory takes all");
        writer.into_inner().expect("memory takes all")
    };
    codecs.map(write).to_vec()
}
