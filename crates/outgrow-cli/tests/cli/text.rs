//! Text of one's own, as other people's tools write it: what is read is shown, what can't be is
//! refused before it is trained on.

use std::fs;

use serde_json::Value;

use crate::sandbox::{SWEEP, Sandbox};

/// A sweep on own text.
fn own(sandbox: &Sandbox, data: &str) {
    let built_in = "data = { corpus = \"rust-crates\", seq_len = 16 }";
    assert!(SWEEP.contains(built_in));
    let sweep = SWEEP.replace(built_in, &format!("data = {{ {data}, seq_len = 16 }}"));
    let sweep = sweep.replace("25_600", "2_560").replace("replicates = 2", "replicates = 1");
    sandbox.write("own.toml", &sweep);
}

/// A folder with JSON lines, the same as plain text, and a tokenizer of it.
fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    let texts = (0..300).map(|n| {
        (0..30).map(|i| format!("w{:03}", (n * 7 + i * i) % 90)).collect::<Vec<_>>().join(" ")
    });
    let texts: Vec<String> = texts.collect();
    sandbox.write("text.txt", &texts.join("\n"));
    sandbox.write(
        "x.jsonl",
        &texts
            .iter()
            .map(|text| serde_json::json!({ "text": text }).to_string() + "\n")
            .collect::<String>(),
    );
    sandbox.ok(&["data", "tokenize", "text.txt", "--vocab-size", "400", "--to", "t.json"]);
    sandbox
}

#[test]
fn plan_shows_what_is_read_and_refuses_what_run_would() {
    let sandbox = sandbox();
    fs::create_dir(sandbox.path("ds")).expect("a folder");
    fs::rename(sandbox.path("x.jsonl"), sandbox.path("ds/x.json")).expect("moved");
    sandbox.write("ds/README.md", "# Card");
    own(&sandbox, r#"paths = ["ds"], validation = 0.1, tokenizer = "t.json""#);
    let plan = sandbox.ok(&["plan", "own.toml"]);
    for words in [
        "documents of validation",
        "1 file of JSON lines",
        "ds/x.json",
        "left out: ds/README.md",
        "<|endoftext|> behind each",
    ] {
        assert!(plan.contains(words), "{words}: {plan}");
    }
    let json = sandbox.json(&["plan", "own.toml", "--json"]);
    let counted = sandbox.json(&["data", "count", "ds", "--tokenizer", "t.json", "--json"]);
    let sum = |value: &Value| {
        value.as_array().expect("two").iter().map(|n| n.as_u64().expect("a number")).sum::<u64>()
    };
    assert_eq!((sum(&json["text"]["documents"]), counted["documents"].as_u64()), (300, Some(300)));
    let tokens = counted["tokens"].as_u64().expect("a number")
        + counted["end_tokens"].as_u64().expect("a number");
    assert_eq!(sum(&json["text"]["tokens"]), tokens);
    // What was prepared is what was planned.
    sandbox.ok(&["run", "own.toml"]);
    assert_eq!(sandbox.json(&["plan", "own.toml", "--json"])["text"], json["text"]);
    for (data, words) in [
        (r#"paths = ["none"], validation = 0.1"#, "none"),
        (r#"paths = ["ds"], validation = 0.1, field = "body""#, "but text"),
        (r#"paths = ["ds"], validation = 0.1, tokenizer = "none.json""#, "data.tokenizer"),
        (
            r#"paths = ["ds"], validation = 0.1, tokenizer = "t.json", vocab_size = 300"#,
            "which is what the tokenizer knows",
        ),
        (r#"paths = ["ds"], validation = 0.1, validation_paths = ["ds"]"#, "validation_paths"),
        (r#"paths = ["ds"], validation_paths = ["empty.txt"]"#, "empty.txt is empty"),
        (r#"paths = ["bad.jsonl"], validation = 0.1"#, "bad.jsonl, line 301"),
        (r#"paths = ["bad.jsonl"], validation = 0.1, tokenizer = "t.json""#, "bad.jsonl, line 301"),
        (r#"corpus = "rust-crates", joined = true"#, "data.joined"),
        (r#"paths = ["/dev/zero"], validation = 0.1"#, "a device"),
    ] {
        sandbox.write("empty.txt", "");
        sandbox.write(
            "bad.jsonl",
            &(fs::read_to_string(sandbox.path("ds/x.json")).expect("read") + "{\"text\": \"cut o"),
        );
        own(&sandbox, data);
        for command in ["plan", "run"] {
            let (code, errors) = sandbox.wrong(&[command, "own.toml"]);
            assert!(code == 2 && errors.contains(words), "{command} {data}: {code} {errors}");
            assert!(!errors.contains("data.paths"), "{errors}");
        }
    }
}

#[test]
fn what_a_user_should_know_of_his_text_is_said() {
    let sandbox = sandbox();
    let none = serde_json::json!({ "version": "1.0", "truncation": null, "padding": null, "added_tokens": [], "normalizer": null,
        "pre_tokenizer": { "type": "Whitespace" }, "post_processor": null, "decoder": null,
        "model": { "type": "WordLevel", "vocab": { "[UNK]": 0, "the": 1 }, "unk_token": "[UNK]" } });
    sandbox.write("none.json", &none.to_string());
    own(&sandbox, r#"paths = ["x.jsonl"], validation = 0.1, tokenizer = "none.json""#);
    for args in [
        &["plan", "own.toml"][..],
        &["plan", "own.toml", "--json"],
        &["run", "own.toml"],
        &["data", "count", "x.jsonl", "--tokenizer", "none.json"],
    ] {
        let output = sandbox.run(args);
        let said = [output.stdout, output.stderr]
            .map(|text| String::from_utf8_lossy(&text).into_owned())
            .concat();
        assert!(output.status.success(), "{said}");
        assert!(
            said.contains("100.000 % of all tokens")
                && said.contains("documents are not separated"),
            "{args:?}: {said}"
        );
    }
}

#[test]
fn changed_prepared_text_is_made_anew() {
    let (whole, changed) = (sandbox(), sandbox());
    for (name, data) in [
        ("raw", r#"paths = ["text.txt"], validation = 0.1"#),
        ("tokens", r#"paths = ["x.jsonl"], validation = 0.1, tokenizer = "t.json""#),
    ] {
        for sandbox in [&whole, &changed] {
            own(sandbox, data);
        }
        let (db, wrong) = (format!("{name}.db"), format!("{name}-changed.db"));
        whole.ok(&["run", "own.toml", "--db", &db]);
        changed.ok(&["run", "own.toml", "--db", &db]);
        let text = changed.path(&format!("{db}.text"));
        fs::rename(&text, changed.path(&format!("{wrong}.text"))).expect("moved");
        for entry in fs::read_dir(changed.path(&format!("{wrong}.text"))).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.extension().is_some_and(|ending| ending == "train") {
                let bytes = fs::read(&path).expect("read");
                fs::write(&path, vec![0xff; bytes.len()]).expect("written");
            }
        }
        let output = changed.run(&["run", "own.toml", "--db", &wrong]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(
            output.status.success() && said.contains("made anew") && !said.contains("panicked"),
            "{said}"
        );
        let finals = |sandbox: &Sandbox, db: &str| {
            sandbox.ok(&["query", "SELECT trial, val_loss FROM finals ORDER BY 1", "--db", db])
        };
        assert_eq!(finals(&whole, &db), finals(&changed, &wrong));
    }
}

#[test]
fn tokenizers_are_trained_within_bounds() {
    let sandbox = sandbox();
    for size in ["1000000000", "256", "18446744073709551615"] {
        let (code, errors) =
            sandbox.wrong(&["data", "tokenize", "x.jsonl", "--vocab-size", size, "--to", "u.json"]);
        assert!(
            code == 2 && errors.contains("--vocab-size") && !sandbox.path("u.json").exists(),
            "{size}: {errors}"
        );
    }
    let (code, errors) = sandbox.wrong(&["data", "count", "x.jsonl", "--tokenizer", "none.json"]);
    assert!(
        code == 2
            && errors.contains("none.json: cannot read the tokenizer")
            && !errors.contains("data.paths"),
        "{errors}"
    );
    // From JSON as from text.
    sandbox.ok(&["data", "tokenize", "x.jsonl", "--vocab-size", "300", "--to", "v.json"]);
    assert_eq!(
        sandbox.json(&["data", "count", "x.jsonl", "--tokenizer", "v.json", "--json"])["vocab_size"],
        300
    );
}

#[test]
fn a_database_may_lie_among_its_text() {
    let sandbox = sandbox();
    fs::create_dir(sandbox.path("ds")).expect("a folder");
    fs::rename(sandbox.path("x.jsonl"), sandbox.path("ds/x.jsonl")).expect("moved");
    own(&sandbox, r#"paths = ["ds"], validation = 0.1"#);
    let before = sandbox.json(&["plan", "own.toml", "--json"])["text"]["digest"].clone();
    let db = ["--db", "ds/o.db"];
    sandbox.ok(&[&["run", "own.toml"], &db[..]].concat());
    assert!(sandbox.path("ds/o.db").exists() && sandbox.path("ds/o.db.text").exists());
    // Again, as the same text, and with it open.
    sandbox.ok(&[&["run", "own.toml"], &db[..]].concat());
    let plan = sandbox.json(&[&["plan", "own.toml", "--json"], &db[..]].concat());
    assert_eq!(plan["text"]["digest"], before);
    let left = plan["text"]["left_out"].as_array().expect("a list");
    let is_own = |file: &&Value| {
        file["path"].as_str().is_some_and(|path| path.contains("ds/o.db"))
            && file["why"] == "it belongs to this database"
    };
    assert!(left.iter().filter(is_own).count() >= 3, "{left:?}");
    sandbox.ok(&[&["data", "count", "ds"], &db[..]].concat());
    for data in [
        r#"paths = [""], validation = 0.1"#,
        r#"paths = ["ds"], validation_paths = ["ds/x.jsonl", ""]"#,
    ] {
        own(&sandbox, data);
        for command in ["plan", "run"] {
            let (code, errors) = sandbox.wrong(&[command, "own.toml"]);
            assert!(code == 2 && errors.contains("an empty name"), "{errors}");
        }
    }
}

#[test]
fn a_text_for_a_model_is_held_to_the_rules_of_a_sweeps_text() {
    let sandbox = sandbox();
    own(&sandbox, r#"paths = ["text.txt"], validation = 0.1"#);
    sandbox.ok(&["run", "own.toml"]);
    let model = sandbox.a_checkpoint();
    sandbox.write("nul.txt", "w001 w002\0");
    sandbox.write("lines.txt", &fs::read_to_string(sandbox.path("x.jsonl")).expect("read"));
    let made = std::process::Command::new("mkfifo").arg(sandbox.path("pipe")).status();
    assert!(made.expect("it runs").success());
    for (text, more, words) in [
        ("x.jsonl", &[][..], "plain text is read here"),
        ("lines.txt", &[], "jq -r .text"),
        ("nul.txt", &["--tokenizer", "t.json"], "line 1: byte 9 is NUL"),
        ("pipe", &[], "a pipe"),
        ("/dev/zero", &[], "a device"),
    ] {
        for command in [&["eval", &*model][..], &["doctor", &*model, "--d-ff", "99"]] {
            let (code, errors) = sandbox.wrong(&[command, &["--text", text], more].concat());
            assert!(code == 2 && errors.contains(text) && errors.contains(words), "{errors}");
        }
    }
    sandbox.ok(&["eval", &model, "--text", "nul.txt"]);
    let unknown = serde_json::json!({ "version": "1.0", "truncation": null, "padding": null, "added_tokens": [],
        "normalizer": null, "pre_tokenizer": { "type": "Whitespace" }, "post_processor": null, "decoder": null,
        "model": { "type": "WordLevel", "vocab": { "[UNK]": 0, "the": 1 }, "unk_token": "[UNK]" } });
    sandbox.write("none.json", &unknown.to_string());
    let output =
        sandbox.run(&["eval", &model, "--text", "text.txt", "--tokenizer", "none.json", "--json"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && said.contains("100.000 % of all tokens"), "{said}");
    for file in ["pipe", "/dev/zero"] {
        let (code, errors) = sandbox.wrong(&["grow", &model, "grown", "--apply", file]);
        assert!(code == 2 && errors.contains(file) && errors.contains("not a file"), "{errors}");
    }
}

#[test]
fn nothing_is_made_of_files_without_text() {
    let sandbox = sandbox();
    sandbox.write("nulls.jsonl", "{\"text\": null}\n");
    sandbox.write("none.json", "[]");
    sandbox.write("mark.txt", "\u{feff}");
    for name in ["nulls.jsonl", "none.json", "mark.txt"] {
        own(&sandbox, &format!("paths = [{name:?}], validation = 0.1"));
        for args in [
            &["data", "count", name][..],
            &["data", "count", name, "--tokenizer", "t.json"],
            &["data", "tokenize", name, "--vocab-size", "300", "--to", "u.json"],
            &["plan", "own.toml"],
            &["run", "own.toml"],
        ] {
            let (code, errors) = sandbox.wrong(args);
            assert!(code == 2 && errors.contains("there is no text in it"), "{args:?}: {errors}");
            assert!(!sandbox.path("u.json").exists() && !sandbox.path("outgrow.db.text").exists());
        }
    }
    sandbox.write("short.txt", "a few words");
    let counted = sandbox.ok(&["data", "count", "short.txt"]);
    assert!(counted.contains("bytes per token\n") && !counted.contains("inf"), "{counted}");
    // Everything validates, and nothing trains.
    own(&sandbox, r#"paths = ["x.jsonl"], validation_paths = ["x.jsonl"]"#);
    let (code, errors) = sandbox.wrong(&["plan", "own.toml"]);
    assert!(code == 2 && errors.contains("all of its files are validation text"), "{errors}");
}
