//! How many bytes of a text its tokens stand for, and what an evaluation predicts of it.

use std::{fs, path::PathBuf};

use outgrow_core::{rows::Evaluated, sweep::DataSpec};
use outgrow_data::{Corpus, Counted, Listener, Tokenizer, train_bpe};
use serde_json::{Value, json};
use tempfile::TempDir;

const LANGUAGES: [&str; 8] = [
    "Growing models grow, and grow; others wait.\n",
    "Größere Modelle wachsen früher, überall und schöner. Straße, Öl, süß\r\n",
    "Модели растут, пока другие ждут. Ещё раз: растут!\n",
    "模型在训练时长大，其他的等待。模型在训练时长大。\n",
    "モデルは学習しながら成長する。\n",
    "النماذج تنمو أثناء التدريب\n",
    "आदर्श बढ़ते हैं और बढ़ते हैं\n",
    "🦀 crabs 👩‍👩‍👧 family, e\u{301} combining, ﬁ ligature, Å, ½, \u{a0}nbsp\u{ad}soft\n",
];

struct Sandbox(TempDir);

impl Sandbox {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder"))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> String {
        fs::write(self.path(name), bytes).expect("written");
        self.path(name).display().to_string()
    }

    fn tokenizer(&self, json: &Value) -> Tokenizer {
        Tokenizer::read(self.write("t.json", json.to_string()).as_ref()).expect("a tokenizer")
    }

    /// A sweep's text: one file of training text, one of validation text.
    fn spec(
        &self,
        validation: &str,
        bytes: impl AsRef<[u8]>,
        tokenizer: Option<&Value>,
    ) -> DataSpec {
        let train = self.write("train.txt", LANGUAGES.concat());
        let tokenizer = tokenizer.map(|json| {
            let read = self.tokenizer(json);
            (self.path("t.json").display().to_string(), read.end_of_text().map(str::to_owned))
        });
        let (tokenizer, end_of_text) = tokenizer.unzip();
        DataSpec {
            paths: Some(vec![train]),
            validation_paths: Some(vec![self.write(validation, bytes)]),
            validation: None,
            tokenizer,
            end_of_text: end_of_text.flatten(),
            ..DataSpec::of_paths(1)
        }
    }

    fn corpus(&self, spec: &DataSpec) -> Corpus {
        Corpus::open(spec, &self.path("cache")).expect("a corpus")
    }
}

fn bpe(vocab_size: usize) -> Value {
    let texts = LANGUAGES.iter().map(|text| text.repeat(3));
    serde_json::from_str(&train_bpe(texts, vocab_size).expect("a tokenizer")).expect("JSON")
}

fn added(id: usize, content: &str) -> Value {
    json!({ "id": id, "content": content, "single_word": false, "lstrip": false, "rstrip": false,
            "normalized": false, "special": true })
}

/// A tokenizer of a model and a normalizer, that splits as BERT does.
fn like_bert(normalizer: Value) -> Value {
    let words = [
        "[UNK]", "[SEP]", "grow", "##ing", "models", "and", "uber", "##all", "fi", "##sh", ",",
        "cafe", "##s",
    ];
    let vocab: serde_json::Map<String, Value> =
        words.iter().enumerate().map(|(id, word)| ((*word).to_owned(), id.into())).collect();
    json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": [added(0, "[UNK]"), added(1, "[SEP]")],
        "normalizer": normalizer, "pre_tokenizer": { "type": "BertPreTokenizer" }, "post_processor": null,
        "decoder": { "type": "WordPiece", "prefix": "##", "cleanup": true },
        "model": { "type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
                   "max_input_chars_per_word": 100, "vocab": vocab }
    })
}

/// Llama's kind: `▁` for spaces, one put before the text, bytes for what has no piece.
fn like_llama(normalizer: Value) -> Value {
    let mut vocab = vec![json!(["<unk>", 0.0]), json!(["<s>", 0.0]), json!(["</s>", 0.0])];
    vocab.extend((0..256).map(|byte| json!([format!("<0x{byte:02X}>"), -9.5])));
    let pieces = ["▁", "▁grow", "ing", "▁models", "ß", "e", "fi", "s", "▁▁"];
    vocab.extend(pieces.iter().map(|piece| json!([piece, -2.5])));
    json!({
        "version": "1.0", "truncation": null, "padding": null,
        "added_tokens": [added(0, "<unk>"), added(1, "<s>"), added(2, "</s>")],
        "normalizer": normalizer,
        "pre_tokenizer": { "type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": false },
        "post_processor": null,
        "decoder": { "type": "Sequence", "decoders": [{ "type": "ByteFallback" }, { "type": "Fuse" }] },
        "model": { "type": "Unigram", "unk_id": 0, "vocab": vocab, "byte_fallback": true }
    })
}

fn counted(json: &Value, text: &str) -> Counted {
    let counted = Sandbox::new().tokenizer(json).encode_counted(text).expect("tokens");
    assert_eq!(counted.ids.len(), counted.bytes.len());
    counted
}

fn sum(bytes: &[u32]) -> usize {
    bytes.iter().map(|&bytes| bytes as usize).sum()
}

#[test]
fn tokens_of_bytes_count_their_own() {
    let sandbox = Sandbox::new();
    // Without merges each byte is a token, of whatever character.
    let bytes = sandbox.tokenizer(&bpe(257)).encode_counted("aé→🦀").expect("tokens").bytes;
    assert_eq!(bytes, [1; 10]);
    for vocab_size in [257, 270, 300, 500] {
        let json = bpe(vocab_size);
        let names: Vec<String> = {
            let vocab = json["model"]["vocab"].as_object().expect("a vocabulary");
            let mut names = vec![String::new(); vocab.len()];
            vocab
                .iter()
                .for_each(|(name, id)| names[id.as_u64().expect("an id") as usize] = name.clone());
            names
        };
        let tokenizer = sandbox.tokenizer(&json);
        let mut split = 0;
        for text in LANGUAGES.iter().copied().chain([
            &*LANGUAGES.concat(),
            "",
            "<|endoftext|>",
            "\0 \u{feff}",
        ]) {
            let Counted { ids, bytes } = tokenizer.encode_counted(text).expect("tokens");
            assert_eq!(ids, tokenizer.encode(&[text]).expect("tokens").concat());
            // GPT-2 writes a letter for each byte.
            let letters: Vec<u32> =
                ids.iter().map(|&id| names[id as usize].chars().count() as u32).collect();
            assert_eq!(bytes, letters, "{text}");
            assert_eq!(sum(&bytes), text.len(), "{text}");
            let mut at = 0;
            split += bytes
                .iter()
                .filter(|&&n| {
                    at += n as usize;
                    !text.is_char_boundary(at)
                })
                .count();
        }
        assert!(split > 0, "no character is split over tokens of {vocab_size}");
    }
}

#[test]
fn pieces_count_spaces_and_bytes_as_the_text_has_them() {
    let json = like_llama(Value::Null);
    // ▁grow ing ▁models; the space before the text is none of it.
    let Counted { ids, bytes } = counted(&json, "growing models");
    assert_eq!((ids.len(), &bytes[..]), (3, &[4, 3, 7][..]));
    assert_eq!(counted(&json, " growing").bytes, [5, 3]);
    // No piece has 🦀: ▁ and four bytes.
    assert_eq!(counted(&json, "🦀s").bytes, [0, 1, 1, 1, 1, 1]);
    assert_eq!(counted(&json, "ße").bytes, [0, 2, 1]);
    // A name that the tokenizer can read in no other way is a control token, and no text.
    assert_eq!(counted(&json, "</s>s").bytes, [0, 0, 1]);
    for text in LANGUAGES.iter().copied().chain(["  two  spaces  ", "\r\n\r\n", "<0x41>"]) {
        assert_eq!(sum(&counted(&json, text).bytes), text.len(), "{text:?}");
    }
}

#[test]
fn what_a_normalizer_changes_counts_as_the_text_had_it() {
    // ﬁ is three bytes and becomes two. The space that is put before a text shares its first letter.
    let llama = like_llama(json!({ "type": "NFKC" }));
    assert_eq!(counted(&llama, "sﬁs").bytes, [1, 0, 3, 1]);
    let bert = |lowercase: bool| {
        like_bert(
            json!({ "type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true,
                          "strip_accents": true, "lowercase": lowercase }),
        )
    };
    // grow ing | , | uber all: spaces belong to the token behind them, Ü and é are two bytes.
    assert_eq!(counted(&bert(true), "GROWing , Überall").bytes, [4, 3, 2, 6, 3]);
    assert_eq!(counted(&bert(true), "cafés\t").bytes, [5, 2]);
    // What is taken out belongs to the token behind it, too.
    assert_eq!(counted(&bert(true), "cafe\u{301}s").bytes, [4, 3]);
    // What it does not know has its bytes, too.
    assert_eq!(counted(&bert(true), "growing 模型 and").bytes, [4, 3, 4, 3, 4]);
    assert_eq!(counted(&bert(false), " \r\n").bytes, [0; 0]);
    let normalizers = [
        json!({ "type": "Lowercase" }),
        json!({ "type": "NFKD" }),
        json!({ "type": "NFC" }),
        json!({ "type": "Sequence", "normalizers": [{ "type": "NFD" }, { "type": "StripAccents" }, { "type": "Strip", "strip_left": true, "strip_right": true }] }),
        json!({ "type": "Replace", "pattern": { "String": "a" }, "content": "bbbb" }),
        json!({ "type": "Replace", "pattern": { "Regex": "[a-z]+" }, "content": "" }),
        json!({ "type": "Prepend", "prepend": "▁" }),
    ];
    for normalizer in normalizers {
        let mut byte_level = bpe(400);
        byte_level["normalizer"] = normalizer.clone();
        for json in [byte_level, like_llama(normalizer.clone()), like_bert(normalizer.clone())] {
            for text in LANGUAGES {
                let bytes = counted(&json, text).bytes;
                assert!(bytes.is_empty() || sum(&bytes) == text.len(), "{normalizer}: {text}");
            }
        }
    }
}

/// By hand: the validation text's tokens are those of each document, and its end.
#[test]
fn evaluations_predict_bytes_of_text_and_none_of_its_ends() {
    let documents = ["Größe, ja", "模型🦀", "grow and grow, and wait"];
    let lines: String =
        documents.iter().map(|text| json!({ "text": text }).to_string() + "\n").collect();
    let sandbox = Sandbox::new();
    let json = bpe(300);
    let spec = sandbox.spec("v.jsonl", lines, Some(&json));
    let corpus = sandbox.corpus(&spec);
    let tokenizer = sandbox.tokenizer(&json);
    let mut by_hand: Vec<u64> = vec![];
    for text in documents {
        let bytes = tokenizer.encode_counted(text).expect("tokens").bytes;
        by_hand.extend(bytes.into_iter().map(u64::from));
        by_hand.push(0);
    }
    let length = by_hand.len();
    assert_eq!(corpus.sizes().1, length);
    // All of it: all but the first token are predicted, one after the other.
    let all = corpus.evaluated(1 << 40, 1);
    let bytes = by_hand[1..].iter().sum();
    assert_eq!(all, Evaluated { tokens: length as u64 - 1, bytes });
    assert_eq!(bytes + by_hand[0], documents.concat().len() as u64);
    for seq_len in [1, 2, 3, 7, length - 1] {
        for tokens in [1, 5, 20, 1000] {
            let n = (tokens as usize).div_ceil(seq_len).clamp(1, (length - 1) / seq_len);
            let last = length - seq_len - 1;
            let start = |i: usize| if n == 1 { 0 } else { i * last / (n - 1) };
            let window = |i: usize| by_hand[start(i) + 1..=start(i) + seq_len].iter().sum::<u64>();
            let expected =
                Evaluated { tokens: (n * seq_len) as u64, bytes: (0..n).map(window).sum() };
            assert_eq!(corpus.evaluated(tokens, seq_len), expected, "{seq_len} {tokens}");
            assert_eq!(corpus.validation(tokens, seq_len).len(), n);
        }
    }
}

#[test]
fn bits_are_of_what_is_predicted() {
    let one = Evaluated { tokens: 6, bytes: 24 }.bits_per_byte().expect("bytes");
    assert!((one * std::f64::consts::LN_2 - 0.25).abs() < 1e-15);
    assert_eq!(Evaluated { tokens: 6, bytes: 0 }.bits_per_byte(), None);
}

#[test]
fn a_mark_of_utf_8_is_no_text_and_line_ends_are() {
    let text = "Größe\r\nÜber\r\n\r\nEnde\r\n";
    let sandbox = Sandbox::new();
    let marked = [b"\xef\xbb\xbf", text.as_bytes()].concat();
    // By bytes, and by tokens of one byte each; the end of the document is the last token.
    for json in [None, Some(bpe(257))] {
        let corpus = sandbox.corpus(&sandbox.spec("v.txt", &marked, json.as_ref()));
        let found = corpus.evaluated(1 << 40, 1);
        let ends = u64::from(json.is_some());
        assert_eq!(
            found,
            Evaluated { tokens: text.len() as u64 - 1 + ends, bytes: text.len() as u64 - 1 }
        );
    }
}

#[test]
fn zero_bytes_between_documents_are_no_text() {
    let lines = "{\"text\": \"Öl\"}\n{\"text\": \"ab\"}\n";
    let sandbox = Sandbox::new();
    let corpus = sandbox.corpus(&sandbox.spec("v.jsonl", lines, None));
    // 3 + 1 + 2 + 1 tokens, of which the first is not predicted.
    assert_eq!(corpus.evaluated(100, 1), Evaluated { tokens: 6, bytes: 4 });
    // Raw bytes are all text.
    let corpus = sandbox.corpus(&sandbox.spec("v.txt", "Öl\nab\n", None));
    assert_eq!(corpus.evaluated(100, 1), Evaluated { tokens: 6, bytes: 6 });
}

#[test]
fn names_of_ends_in_joined_text_are_no_text() {
    let text = "Öl<|endoftext|>ab c<|endoftext|>";
    let sandbox = Sandbox::new();
    let mut spec = sandbox.spec("v.txt", text, Some(&bpe(257)));
    // Within a document it is a name like others.
    assert_eq!(sandbox.corpus(&spec).evaluated(1000, 1).bytes, text.len() as u64 - 1);
    spec.joined = true;
    // Ö is two tokens, and the first is not predicted.
    let found = sandbox.corpus(&spec).evaluated(1000, 1);
    assert_eq!(found, Evaluated { tokens: 8, bytes: 6 });
    // Where spellings are not the text, it is no text either.
    let bert = like_bert(json!({ "type": "Lowercase" }));
    let mut spec = sandbox.spec("v.txt", "GROW[SEP] fish and[SEP]", Some(&bert));
    (spec.joined, spec.end_of_text) = (true, Some("[SEP]".into()));
    // grow [SEP] fi ##sh and [SEP]
    assert_eq!(sandbox.corpus(&spec).evaluated(1000, 1), Evaluated { tokens: 5, bytes: 9 });
}

#[test]
fn text_without_tokens_counts_with_the_next_one() {
    let sandbox = Sandbox::new();
    let lines = "{\"text\": \"grow\"}\n{\"text\": \"  \\n\"}\n{\"text\": \" and \"}\n";
    let mut spec = sandbox.spec("v.jsonl", lines, Some(&like_bert(Value::Null)));
    spec.end_of_text = Some("[SEP]".into());
    // grow [SEP] [SEP] and [SEP]: 3 + 5 bytes at the fourth.
    assert_eq!(sandbox.corpus(&spec).evaluated(100, 1), Evaluated { tokens: 4, bytes: 8 });
}

/// What was told.
#[derive(Default)]
struct Notes(std::sync::Mutex<Vec<String>>);

impl Listener for Notes {
    fn note(&self, text: &str) {
        self.0.lock().expect("notes").push(text.to_owned());
    }
}

#[test]
fn changed_numbers_are_made_anew_and_the_tokenizer_is_kept() {
    let sandbox = Sandbox::new();
    let (cache, json) = (sandbox.path("cache"), bpe(300));
    let spec = sandbox.spec("v.txt", LANGUAGES.concat(), Some(&json));
    let (corpus, summary) = Corpus::open_told(&spec, &cache, &[], &()).expect("a corpus");
    let expected = corpus.evaluated(64, 8);
    let kept = Corpus::kept_tokenizer(&cache, corpus.digest()).expect("it is kept");
    let again = Tokenizer::read(&kept).expect("a tokenizer");
    assert_eq!(summary.tokenizer_digest, Some(again.digest()));
    let ids = |tokenizer: &Tokenizer| tokenizer.encode(&LANGUAGES).expect("tokens");
    assert_eq!(ids(&again), ids(&sandbox.tokenizer(&json)));
    let path = cache.join(format!("{}.bytes", &corpus.digest()[..32]));
    let good = fs::read(&path).expect("numbers");
    let mut wrong = good.clone();
    wrong[8] ^= 1;
    for damaged in [Some(wrong), Some(good[4..].to_vec()), None] {
        match damaged {
            Some(bytes) => fs::write(&path, bytes).expect("written"),
            None => fs::remove_file(&path).expect("gone"),
        }
        assert!(Corpus::prepared(corpus.digest(), &cache, 1).is_err());
        let notes = Notes::default();
        let (corpus, _) = Corpus::open_told(&spec, &cache, &[], &notes).expect("a corpus");
        assert_eq!(corpus.evaluated(64, 8), expected);
        assert!(notes.0.lock().expect("notes").join("").contains("made anew"));
    }
}
