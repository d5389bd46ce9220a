//! Tokenizers and documents are untrusted input: whatever is in their files, they are read or refused.

use std::fs;

use outgrow_core::sweep::DataSpec;
use outgrow_data::{Corpus, Tokenizer, train_bpe};
use outgrow_testkit::fuzz::fuzz;

#[test]
fn tokenizers() {
    let folder = tempfile::tempdir().expect("a folder");
    let text = ["growing models grow", "while models wait"].map(str::to_owned);
    let whole = train_bpe(text.into_iter(), 270).expect("a tokenizer");
    let path = folder.path().join("tokenizer.json");
    fuzz("tokenizer", &[whole.as_bytes()], |input| {
        fs::write(&path, input).expect("written");
        if let Ok(tokenizer) = Tokenizer::read(&path) {
            let _ = tokenizer.vocab_size();
            let _ = tokenizer.encode(&["models grow"]);
        }
    });
}

#[test]
fn documents() {
    let folder = tempfile::tempdir().expect("a folder");
    let lines = "{\"text\": \"models grow while others wait\"}\n".repeat(30);
    for (name, whole) in [
        ("a.jsonl", lines.clone().into_bytes()),
        ("a.jsonl.zst", zstd::encode_all(lines.as_bytes(), 1).expect("packed")),
    ] {
        let path = folder.path().join(name);
        let cache = folder.path().join("cache");
        fuzz(name, &[&whole], |input| {
            fs::write(&path, input).expect("written");
            let paths = Some(vec![path.display().to_string()]);
            let spec = DataSpec { paths, validation: Some(0.5), ..DataSpec::of_paths(4) };
            let _ = Corpus::open(&spec, &cache);
            let _ = fs::remove_dir_all(&cache);
        });
    }
}
