//! Tokenizers of other people: what their files store for another use does not touch training text,
//! and what they lose is said.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use outgrow_core::sweep::DataSpec;
use outgrow_data::{Corpus, Summary, Survey, Tokenizer, check_vocab_size, survey, train_bpe};
use serde_json::{Value, json};
use tempfile::TempDir;

struct Sandbox(TempDir);

impl Sandbox {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder"))
    }

    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.path().join(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(&path, bytes).expect("written");
        path
    }

    /// What is said of a text with a tokenizer, as a sweep without further words would have it.
    fn survey(&self, text: &str, tokenizer: &str) -> Summary {
        survey(&self.spec(text, tokenizer), Survey::default(), &()).expect("read")
    }

    fn spec(&self, text: &str, tokenizer: &str) -> DataSpec {
        let path = |name: &str| self.0.path().join(name).display().to_string();
        let end = Tokenizer::read(&self.0.path().join(tokenizer))
            .expect("a tokenizer")
            .end_of_text()
            .map(str::to_owned);
        DataSpec {
            paths: Some(vec![path(text)]),
            tokenizer: Some(path(tokenizer)),
            end_of_text: end,
            ..DataSpec::of_paths(1)
        }
    }
}

/// A byte-level BPE, as JSON.
fn bpe() -> Value {
    let text = ["growing models grow and grow", "other models wait and wait"].map(str::to_owned);
    serde_json::from_str(&train_bpe(text.into_iter(), 280).expect("a tokenizer")).expect("JSON")
}

fn with(mut value: Value, changes: &[(&str, Value)]) -> Value {
    for (pointer, change) in changes {
        let (parent, field) = pointer.rsplit_once('/').expect("a pointer");
        value.pointer_mut(parent).expect("there")[field] = change.clone();
    }
    value
}

#[test]
fn what_is_stored_for_another_use_does_not_touch_text() {
    let sandbox = Sandbox::new();
    let lines = "{\"text\": \"growing models wait and other models grow\"}\n".repeat(30);
    sandbox.write("a.jsonl", lines);
    sandbox.write("t.json", bpe().to_string());
    let plain = sandbox.survey("a.jsonl", "t.json");
    let truncation =
        json!({ "direction": "Right", "max_length": 3, "strategy": "LongestFirst", "stride": 0 });
    let padding = |strategy: Value| json!({ "strategy": strategy, "direction": "Left", "pad_to_multiple_of": 7, "pad_id": 1, "pad_type_id": 0, "pad_token": "x" });
    let around = json!({
        "type": "TemplateProcessing",
        "single": [{ "SpecialToken": { "id": "<|endoftext|>", "type_id": 0 } }, { "Sequence": { "id": "A", "type_id": 0 } }],
        "pair": [{ "Sequence": { "id": "A", "type_id": 0 } }, { "Sequence": { "id": "B", "type_id": 0 } }],
        "special_tokens": { "<|endoftext|>": { "id": "<|endoftext|>", "ids": [0], "tokens": ["<|endoftext|>"] } }
    });
    let cases = [
        ("truncation", vec![("/truncation", truncation.clone())], Some("truncation")),
        ("fixed", vec![("/padding", padding(json!({ "Fixed": 64 })))], Some("padding")),
        ("longest", vec![("/padding", padding(json!("BatchLongest")))], Some("padding")),
        (
            "both",
            vec![("/padding", padding(json!({ "Fixed": 64 }))), ("/truncation", truncation)],
            Some("truncation"),
        ),
        ("around", vec![("/post_processor", around)], None),
        ("dropout", vec![("/model/dropout", json!(0.5))], Some("dropout of 0.5")),
        ("no dropout", vec![("/model/dropout", json!(0.0))], None),
    ];
    for (name, changes, note) in cases {
        let file = format!("{name}.json");
        sandbox.write(&file, with(bpe(), &changes).to_string());
        let found = sandbox.survey("a.jsonl", &file);
        // The same tokens, and so the same identity.
        assert_eq!((&found.counts, &found.digest), (&plain.counts, &plain.digest), "{name}");
        assert_eq!(found.notes.is_empty(), note.is_none(), "{name}: {:?}", found.notes);
        assert!(
            note.is_none_or(|note| found.warnings().concat().contains(note)),
            "{name}: {:?}",
            found.notes
        );
    }
}

#[test]
fn the_end_of_a_document_is_found_where_its_owners_write_it() {
    let special = |content: &str, id: u32| {
        json!({ "id": id, "content": content, "single_word": false, "lstrip": false,
        "rstrip": false, "normalized": false, "special": true })
    };
    let mut own = bpe();
    let tokens = own["added_tokens"].as_array_mut().expect("a list");
    tokens[0]["content"] = json!("[END]");
    tokens.push(special("[STOP]", 280));
    own["model"]["vocab"].as_object_mut().expect("a map").remove("<|endoftext|>");
    own["model"]["vocab"]["[END]"] = json!(0);
    let config = |value: Value| value.to_string();
    /// What it is about, the files beside the tokenizer, the end token, and what is said.
    type Case = (&'static str, Vec<(&'static str, String)>, Option<&'static str>, &'static str);
    let cases: Vec<Case> = vec![
        ("nothing", vec![], None, ""),
        (
            "text",
            vec![("tokenizer_config.json", config(json!({ "eos_token": "[END]" })))],
            Some("[END]"),
            "",
        ),
        (
            "object",
            vec![(
                "tokenizer_config.json",
                config(json!({ "eos_token": { "__type": "AddedToken", "content": "[STOP]" } })),
            )],
            Some("[STOP]"),
            "",
        ),
        (
            "map",
            vec![("special_tokens_map.json", config(json!({ "eos_token": "[STOP]" })))],
            Some("[STOP]"),
            "",
        ),
        (
            "map object",
            vec![(
                "special_tokens_map.json",
                config(json!({ "eos_token": { "content": "[END]" } })),
            )],
            Some("[END]"),
            "",
        ),
        (
            "number",
            vec![("config.json", config(json!({ "eos_token_id": 280 })))],
            Some("[STOP]"),
            "",
        ),
        (
            "numbers",
            vec![("generation_config.json", config(json!({ "eos_token_id": [280, 0] })))],
            Some("[STOP]"),
            "",
        ),
        (
            "of text",
            vec![("config.json", config(json!({ "text_config": { "eos_token_id": 280 } })))],
            Some("[STOP]"),
            "",
        ),
        (
            "null",
            vec![
                ("tokenizer_config.json", config(json!({ "eos_token": null }))),
                ("config.json", config(json!({ "eos_token_id": 0 }))),
            ],
            Some("[END]"),
            "",
        ),
        (
            "a word's number",
            vec![("config.json", config(json!({ "eos_token_id": 77 })))],
            None,
            "config.json says that token 77 ends a text, which is",
        ),
        (
            "no token's number",
            vec![("generation_config.json", config(json!({ "eos_token_id": 50_256 })))],
            None,
            "token 50256 ends a text, which tokenizer.json does not have",
        ),
        (
            "no tokens' numbers",
            vec![
                ("tokenizer_config.json", config(json!({ "eos_token": "[END]" }))),
                (
                    "generation_config.json",
                    config(json!({ "eos_token_id": [5_000_000_000u64, 50_256] })),
                ),
            ],
            Some("[END]"),
            "token 5000000000 ends a text, which tokenizer.json does not have",
        ),
        (
            "a number among others",
            vec![("generation_config.json", config(json!({ "eos_token_id": [77, 280] })))],
            Some("[STOP]"),
            "",
        ),
        (
            "agreeing",
            vec![
                ("tokenizer_config.json", config(json!({ "eos_token": "[END]" }))),
                ("generation_config.json", config(json!({ "eos_token_id": [280, 0] }))),
            ],
            Some("[END]"),
            "",
        ),
        (
            "disagreeing",
            vec![
                ("tokenizer_config.json", config(json!({ "eos_token": "[END]" }))),
                ("config.json", config(json!({ "eos_token_id": 280 }))),
            ],
            Some("[END]"),
            "config.json says [STOP]",
        ),
        (
            "unknown",
            vec![("tokenizer_config.json", config(json!({ "eos_token": "</none>" })))],
            None,
            "does not have",
        ),
    ];
    let sandbox = Sandbox::new();
    sandbox.write("a.jsonl", "{\"text\": \"models\"}\n{\"text\": \"grow\"}\n");
    for (name, beside, expected, note) in cases {
        for (file, text) in &beside {
            sandbox.write(&format!("{name}/{file}"), text);
        }
        let file = sandbox.write(&format!("{name}/tokenizer.json"), own.to_string());
        for path in [file.clone(), file.parent().expect("a folder").to_owned()] {
            let tokenizer = Tokenizer::read(&path).expect("a tokenizer");
            assert_eq!(tokenizer.end_of_text(), expected, "{name}");
        }
        let found = sandbox.survey("a.jsonl", name);
        let separated =
            !found.warnings().iter().any(|warning| warning.contains("documents are not separated"));
        assert_eq!(separated, expected.is_some(), "{name}");
        assert_eq!(found.counts.ends, if separated { 2 } else { 0 }, "{name}");
        assert!(found.warnings().concat().contains(note), "{name}: {:?}", found.warnings());
        assert!(!note.is_empty() || !found.warnings().concat().contains("ends a text, "), "{name}");
        // What lies beside a file of another name does not speak of it.
        let other = sandbox.write(&format!("{name}/t.json"), own.to_string());
        assert_eq!(Tokenizer::read(&other).expect("a tokenizer").end_of_text(), None, "{name}");
    }
    sandbox.write("bad/tokenizer_config.json", "{");
    let bad = sandbox.write("bad/tokenizer.json", own.to_string());
    assert!(
        Tokenizer::read(&bad)
            .err()
            .expect("refused")
            .to_string()
            .contains("tokenizer_config.json: it is no JSON")
    );
}

#[test]
fn a_control_tokens_name_within_a_document_is_text() {
    let sandbox = Sandbox::new();
    sandbox.write("special.json", bpe().to_string());
    // What its owners forgot to call special is none the less the end of documents.
    sandbox
        .write("plain.json", with(bpe(), &[("/added_tokens/0/special", json!(false))]).to_string());
    sandbox.write(
        "a.jsonl",
        "{\"text\": \"uses <|endoftext|> as its end\"}\n{\"text\": \"<|endoftext|>\"}\n",
    );
    for name in ["special.json", "plain.json"] {
        let spec = sandbox.spec("a.jsonl", name);
        let found =
            survey(&spec, Survey { round_trip: true, ..Survey::default() }, &()).expect("read");
        assert_eq!(
            (found.counts.ends, found.counts.ends_in_text, found.counts.changed),
            (2, 0, 0),
            "{name}"
        );
        // The token stands where documents end and nowhere else.
        let corpus = Corpus::open(
            &DataSpec { validation: Some(0.5), ..spec.clone() },
            &sandbox.0.path().join("cache"),
        );
        let _ = corpus.map(|corpus| {
            assert_eq!(corpus.sizes().0 + corpus.sizes().1, found.counts.tokens[0] as usize)
        });
        // In texts that are joined already it is the token, and none is put behind what ends with
        // one.
        let joined =
            survey(&DataSpec { joined: true, ..spec }, Survey::default(), &()).expect("read");
        assert_eq!((joined.counts.ends, joined.counts.documents), (1, [3, 0]), "{name}");
        assert!(joined.counts.tokens[0] < found.counts.tokens[0]);
        assert!(!joined.warnings().concat().contains("stands nowhere"), "{:?}", joined.warnings());
        // Where it never stands, the user was mistaken.
        for (file, text) in [
            ("never.jsonl", "{\"text\": \"models\"}\n{\"text\": \"grow\"}\n"),
            ("never.txt", "models"),
        ] {
            sandbox.write(file, text);
            for joined in [true, false] {
                let spec = DataSpec { joined, ..sandbox.spec(file, name) };
                let found = survey(&spec, Survey::default(), &()).expect("read");
                assert_eq!(
                    found.warnings().concat().contains("<|endoftext|> stands between"),
                    joined,
                    "{:?}",
                    found.warnings()
                );
            }
        }
    }
    // Some tokenizers have no other tokens for it: that is said.
    let words = json!({ "version": "1.0", "truncation": null, "padding": null, "added_tokens": [], "normalizer": null,
        "pre_tokenizer": { "type": "WhitespaceSplit" }, "post_processor": null, "decoder": null,
        "model": { "type": "WordLevel", "vocab": { "[UNK]": 0, "[EOS]": 1, "a": 2 }, "unk_token": "[UNK]" } });
    sandbox.write("words.json", words.to_string());
    sandbox.write("b.jsonl", "{\"text\": \"a [EOS] a\"}\n");
    let found = sandbox.survey("b.jsonl", "words.json");
    assert_eq!((found.counts.ends, found.counts.ends_in_text), (1, 1));
    assert!(found.warnings().concat().contains("[EOS] stands 1 times within documents"));
    // So it is with a zero in bytes.
    sandbox.write("zero.jsonl", "{\"text\": \"a\\u0000b\"}\n");
    let spec =
        DataSpec { tokenizer: None, end_of_text: None, ..sandbox.spec("zero.jsonl", "words.json") };
    let found = survey(&spec, Survey::default(), &()).expect("read");
    assert_eq!(found.counts.ends_in_text, 1);
    assert!(found.warnings().concat().contains("U+0000 stands 1 times"));
}

#[test]
fn what_a_tokenizer_loses_is_said() {
    let sandbox = Sandbox::new();
    let model = |pre: &str, normalizer: Value, vocab: Value| {
        json!({ "version": "1.0", "truncation": null, "padding": null, "added_tokens": [], "normalizer": normalizer,
            "pre_tokenizer": { "type": pre }, "post_processor": null, "decoder": null,
            "model": { "type": "WordLevel", "vocab": vocab, "unk_token": "[UNK]" } })
    };
    sandbox.write(
        "none.json",
        model("Whitespace", Value::Null, json!({ "[UNK]": 0, "the": 1 })).to_string(),
    );
    sandbox.write(
        "small.json",
        model(
            "Whitespace",
            json!({ "type": "Lowercase" }),
            json!({ "[UNK]": 0, "models": 1, "grow": 2 }),
        )
        .to_string(),
    );
    sandbox.write("whole.json", bpe().to_string());
    sandbox.write("a.jsonl", "{\"text\": \"MODELS grow\"}\n".repeat(20));
    let none = sandbox.survey("a.jsonl", "none.json");
    assert_eq!(none.unknown_share(), 1.0);
    assert!(
        none.warnings().concat().contains("does not fit this text: 100.000 % of all tokens"),
        "{:?}",
        none.warnings()
    );
    let small = sandbox.survey("a.jsonl", "small.json");
    assert_eq!(small.unknown_share(), 0.0);
    assert!((small.lost_share() - 6.0 / 11.0).abs() < 1e-9, "{}", small.lost_share());
    assert!(small.warnings().concat().contains("do not come back"), "{:?}", small.warnings());
    let whole = sandbox.survey("a.jsonl", "whole.json");
    assert_eq!((whole.unknown_share(), whole.lost_share(), whole.warnings().len()), (0.0, 0.0, 0));
}

#[test]
fn long_texts_are_cut_for_a_tokenizer_and_lose_nothing() {
    let sandbox = Sandbox::new();
    sandbox.write("t.json", bpe().to_string());
    let lines = "growing models wait and grow\n".repeat(100_000);
    let words = "growing models wait and grow ".repeat(200_000);
    let solid = "growing".repeat(900_000);
    for (name, text) in [("lines", lines), ("words", words), ("solid", solid)] {
        sandbox.write(&format!("{name}.txt"), &text);
        sandbox.write(&format!("{name}.jsonl"), json!({ "text": text }).to_string());
        for file in [format!("{name}.txt"), format!("{name}.jsonl")] {
            let how = Survey { round_trip: true, ..Survey::default() };
            let found = survey(&sandbox.spec(&file, "t.json"), how, &()).expect("read");
            let counts = found.counts;
            assert_eq!(
                (counts.documents, counts.bytes, counts.changed),
                ([1, 0], [text.len() as u64, 0], 0),
                "{file}"
            );
        }
    }
}

#[test]
fn vocabularies_are_bounded() {
    assert!(check_vocab_size(256).is_err() && check_vocab_size(257).is_ok());
    assert!(check_vocab_size(1_000_000_000).expect_err("too large").contains("at most 1048576"));
    assert!(train_bpe(std::iter::empty(), usize::MAX).is_err());
}

fn pipe(path: &Path) {
    let made = std::process::Command::new("mkfifo").arg(path).status().expect("it runs");
    assert!(made.success());
}

#[test]
fn pipes_and_devices_are_no_tokenizers() {
    let sandbox = Sandbox::new();
    let tokenizer = sandbox.write("whole/tokenizer.json", bpe().to_string());
    let folder = tokenizer.parent().expect("a folder");
    Tokenizer::read(folder).expect("a tokenizer");
    for name in [
        "tokenizer_config.json",
        "special_tokens_map.json",
        "generation_config.json",
        "config.json",
        "tokenizer.json",
    ] {
        let path = folder.join(name);
        let kept = fs::read(&path).ok();
        let _ = fs::remove_file(&path);
        for kind in ["a pipe", "a device", "a folder", "a large file"] {
            match kind {
                "a pipe" => pipe(&path),
                "a device" => symlink("/dev/zero", &path).expect("a link"),
                "a folder" => fs::create_dir(&path).expect("a folder"),
                _ => {
                    let file = fs::File::create(&path).expect("a file");
                    file.set_len((16 << 20) + 1).expect("sparse");
                }
            }
            let error = Tokenizer::read(folder).err().expect("refused").to_string();
            let words = match (kind, name) {
                // It may be as large, but has no such text in it.
                ("a large file", "tokenizer.json") => "no tokenizer.json",
                ("a large file", _) => "it has 16777217 bytes; at most 16777216 are read",
                _ => kind,
            };
            assert!(error.contains(name) && error.contains(words), "{name}, {kind}: {error}");
            let _ = fs::remove_file(&path).or_else(|_| fs::remove_dir(&path));
        }
        if let Some(kept) = kept {
            fs::write(&path, kept).expect("written");
        }
    }
    let error = Tokenizer::read(Path::new("/dev/zero")).err().expect("refused").to_string();
    assert!(error.contains("/dev/zero: cannot read the tokenizer: it is a device"), "{error}");
    let vast = sandbox.write("vast.json", "");
    fs::File::create(&vast).expect("a file").set_len(1 << 40).expect("sparse");
    let began = std::time::Instant::now();
    let error = outgrow_data::read_regular(&vast, 1 << 20).expect_err("too large").to_string();
    assert!(error.contains("at most 1048576") && began.elapsed().as_secs() < 60, "{error}");
}

#[test]
fn tokenizers_of_other_formats_are_told_how_to_become_one() {
    let sandbox = Sandbox::new();
    for (n, (names, word)) in [
        (&["tokenizer.model"][..], "SentencePiece"),
        (&["spiece.model"], "SentencePiece"),
        (&["qwen.tiktoken"], "tiktoken"),
        (&["vocab.json", "merges.txt"], "slow tokenizer"),
        (&["vocab.txt"], "WordPiece"),
    ]
    .into_iter()
    .enumerate()
    {
        let files: Vec<PathBuf> =
            names.iter().map(|name| sandbox.write(&format!("{n}/{name}"), "{\"a\": 0}")).collect();
        let folder = files[0].parent().expect("a folder").to_owned();
        for path in [&folder].into_iter().chain(&files) {
            let error = Tokenizer::read(path).err().expect("refused").to_string();
            assert!(error.contains(word) && error.contains("save_pretrained"), "{error}");
        }
        // Beside what is read they do not matter.
        fs::write(folder.join("tokenizer.json"), bpe().to_string()).expect("written");
        Tokenizer::read(&folder).expect("a tokenizer");
        fs::write(folder.join("tokenizer.json"), "{}").expect("written");
        let error = Tokenizer::read(&folder).err().expect("refused").to_string();
        assert!(!error.contains("save_pretrained"), "{error}");
    }
    let error = Tokenizer::read(&sandbox.0.path().join("none")).err().expect("refused").to_string();
    assert!(!error.contains("save_pretrained"), "{error}");
}
