//! Tokenizers of sweeps: in what leaves them for transformers, and between sweeps.

use serde_json::{Value, json};

use crate::sandbox::{SWEEP, Sandbox, python};

const TEXT: &str = "Growing models grow, and others wait; größer, früher, süß.\r\n\
                    Модели растут, пока другие ждут.\n模型在训练时长大 🦀 <|endoftext|> is its name.\n";

/// A sweep of llamas on own text, of bytes or with a tokenizer of so many tokens.
fn sweep(sandbox: &Sandbox, name: &str, tokens: Option<usize>) {
    let form = "model = { causal = true, final_norm = true, norm_eps = 1e-5, activation = \"silu\", \
                gated = true, mlp_bias = false, positions = { kind = \"rotary\", theta = 1e4, \
                width = 4 } }";
    let tokenizer = tokens.map_or_else(String::new, |tokens| {
        let (to, size) = (format!("{name}.json"), tokens.to_string());
        sandbox.ok(&["data", "tokenize", "train.txt", "--vocab-size", &size, "--to", &to]);
        format!("tokenizer = {to:?}, ")
    });
    let data = format!(
        "data = {{ paths = [\"train.txt\"], validation_paths = [\"v.txt\"], {tokenizer}seq_len = 16 }}"
    );
    let strategies = "strategies = [{ kind = \"from_scratch\" }, { kind = \"random\", plans = 1, \
                      max_stages = 3, grow_between = [0.1, 0.6] }]";
    assert!(SWEEP.contains(strategies), "{strategies}");
    let sweep = SWEEP
        .replace("data = { corpus = \"rust-crates\", seq_len = 16 }", &data)
        .replace("model = { causal = true, final_norm = true, norm_eps = 1e-5 }", form)
        .replace("d_k = 6, d_v = 6", "d_k = 4, d_v = 4")
        .replace(strategies, "strategies = [{ kind = \"from_scratch\" }]")
        .replace("25_600", "6_400")
        .replace("\"small\"", &format!("{name:?}"));
    sandbox.write(&format!("{name}.toml"), &sweep);
    sandbox.ok(&["run", &format!("{name}.toml"), "-j", "1"]);
}

fn texts() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("train.txt", &TEXT.repeat(40));
    sandbox.write("v.txt", &TEXT.repeat(5));
    sandbox
}

fn close(found: f64, expected: f64) -> bool {
    (found - expected).abs() < 1e-5
}

#[test]
fn a_trial_is_a_model_of_transformers_with_its_tokenizer() {
    let sandbox = texts();
    sandbox.write(
        "asked.txt",
        &format!("{TEXT}Other words: Ünïcode ﬁ e\u{301} \u{1F469}\u{200D}\u{1F467}\n"),
    );
    let mut folders = vec![];
    for (name, tokens) in [("bpe", Some(300)), ("bytes", None)] {
        sweep(&sandbox, name, tokens);
        let said = sandbox.ok(&["convert", &format!("{name}/from_scratch/0#0"), name]);
        let (size, end) = tokens.map_or((256, "<0x00>"), |size| (size, "<|endoftext|>"));
        let words = format!("its tokenizer: {size} tokens, {end} ends a text");
        assert!(said.contains(&words), "{said}");
        let read = |file: &str| -> Value {
            let text = std::fs::read(sandbox.path(name).join(file)).expect("written");
            serde_json::from_slice(&text).expect("JSON")
        };
        for file in ["config.json", "generation_config.json"] {
            assert_eq!([&read(file)["bos_token_id"], &read(file)["eos_token_id"]], [&json!(0); 2]);
        }
        assert_eq!(read("tokenizer_config.json")["model_max_length"], 16);
        folders.push(sandbox.path(name).to_str().expect("text").to_owned());
    }
    // The tokenizer is that of the training, and not whatever lies at its place now.
    std::fs::remove_file(sandbox.path("bpe.json")).expect("removed");
    sandbox.ok(&["convert", "bpe/from_scratch/0#0", "again"]);
    let ours = |folder: &str| {
        sandbox.json(&["eval", folder, "--text", "asked.txt", "--window", "8", "--json"])
    };
    assert_eq!(ours("again"), ours("bpe"));
    lost(&sandbox);
    let path = sandbox.path("asked.txt");
    let mut args = vec!["text", path.to_str().expect("text"), "8"];
    args.extend(folders.iter().map(String::as_str));
    let Some(answer) = python("hub.py", &args) else { return };
    let theirs: Value = serde_json::from_str(&answer).expect("JSON");
    for folder in &folders {
        let (ours, theirs) = (ours(folder), &theirs[folder]);
        let text = std::fs::read_to_string(&path).expect("text");
        assert_eq!(theirs["again"], json!(text), "{folder}");
        assert_eq!([&theirs["eos"], &theirs["bos"], &theirs["ends"]], [&json!(0); 3], "{theirs}");
        assert_eq!((&theirs["longest"], &theirs["batch"][0]), (&json!(16), &json!([])));
        let ids: Vec<u64> = serde_json::from_value(theirs["ids"].clone()).expect("ids");
        assert_eq!(ours["text_tokens"], ids.len(), "{ours}");
        if folder.ends_with("bytes") {
            assert_eq!(ids, text.bytes().map(u64::from).collect::<Vec<_>>());
        }
        let number = |name: &str| ours[name].as_f64().expect("a number");
        let predicted = theirs["predicted"].as_u64().expect("a count") as usize;
        let lengths: Vec<u64> = serde_json::from_value(theirs["bytes"].clone()).expect("lengths");
        let bytes: u64 = lengths[1..=predicted].iter().sum();
        assert_eq!((&ours["tokens"], &ours["bytes"]), (&json!(predicted), &json!(bytes)), "{ours}");
        let bits = theirs["nats"].as_f64().expect("nats") / std::f64::consts::LN_2 / bytes as f64;
        assert!(close(number("bits_per_byte"), bits), "{ours} {bits}");
        println!("{folder}: {bits} bits per byte, ours {}", number("bits_per_byte"));
    }
}

/// What a checkpoint says that has no tokenizer, or another one.
fn lost(sandbox: &Sandbox) {
    sandbox.ok(&["data", "tokenize", "train.txt", "--vocab-size", "310", "--to", "larger.json"]);
    let convert = ["convert", "bpe/from_scratch/0#0", "other"];
    let with = |tokenizer| [&convert[..], &["--tokenizer", tokenizer]].concat();
    let (code, error) = sandbox.wrong(&with("larger.json"));
    assert!(code == 2 && error.contains("310 tokens, and the model knows 300"), "{error}");
    let kept = std::fs::read_dir(sandbox.path("outgrow.db.text")).expect("texts").flatten();
    let is_tokenizer =
        |name: std::ffi::OsString| name.to_string_lossy().ends_with(".tokenizer.json");
    let kept: Vec<_> = kept.filter(|entry| is_tokenizer(entry.file_name())).collect();
    assert_eq!(kept.len(), 1);
    let aside = sandbox.path("aside.json");
    std::fs::rename(kept[0].path(), &aside).expect("moved");
    let said = sandbox.ok(&convert);
    assert!(said.contains("without a tokenizer: the tokenizer of sweep bpe"), "{said}");
    assert!(!sandbox.path("other/tokenizer.json").exists());
    std::fs::remove_dir_all(sandbox.path("other")).expect("removed");
    let said = sandbox.ok(&with("aside.json"));
    assert!(said.contains("its tokenizer: 300 tokens"), "{said}");
}

#[test]
fn sweeps_of_different_tokenizers_are_compared_per_byte() {
    let sandbox = texts();
    sweep(&sandbox, "bpe", Some(300));
    sweep(&sandbox, "bytes", None);
    let mean = |name: &str, column: &str| {
        let sql = format!("SELECT avg({column}) AS x FROM finals WHERE sweep = '{name}'");
        sandbox.json(&["query", &sql, "--format", "json"])[0]["x"].as_f64().expect("a number")
    };
    let evaluated =
        "SELECT evaluated_tokens AS t, evaluated_bytes AS b, tokenizer FROM sweep ORDER BY name";
    let rows = sandbox.json(&["query", evaluated, "--format", "json"]);
    let [ours, bytes] = [&rows[0], &rows[1]];
    assert_eq!(
        (&bytes["t"], &bytes["b"], &bytes["tokenizer"]),
        (&json!(256), &json!(256), &Value::Null)
    );
    let number = |value: &Value| value.as_f64().expect("a number");
    assert!(
        number(&ours["b"]) > 1.2 * number(&ours["t"]) && ours["tokenizer"].is_string(),
        "{ours}"
    );
    let expected =
        mean("bpe", "val_loss") / std::f64::consts::LN_2 * number(&ours["t"]) / number(&ours["b"]);
    assert!(close(mean("bpe", "bits_per_byte"), expected));
    // Tables have both, figures what is asked for.
    sandbox.ok(&["report", "bpe"]);
    let read = |file: &str| std::fs::read_to_string(sandbox.path(file)).expect("written");
    let table = read("reports/bpe/tables/summary.csv");
    assert!(table.contains("final loss,bits per byte"), "{table}");
    assert!(table.contains(&format!("{expected:.3}")), "{table} {expected}");
    assert!(read("reports/bpe/README.md").contains(&format!("or {expected:.3} bits per byte")));
    assert!(read("reports/bpe/figures/loss_vs_tokens-single.svg").contains("nats/token"));
    let said = sandbox.ok(&["report", "bpe", "--unit", "bits-per-byte", "-o", "bits"]);
    assert!(said.contains(&format!("{expected:.3}")) && said.contains("bits per byte"), "{said}");
    let figure = read("bits/figures/loss_vs_tokens-single.svg");
    assert!(figure.contains("bits/byte") && !figure.contains("nats"), "{figure}");
    assert!(!read("bits/README.md").contains("nats"));
    // Without a tokenizer there is one column.
    sandbox.ok(&["report", "bytes"]);
    assert!(!read("reports/bytes/README.md").contains("bits per byte"));
    let said = sandbox.ok(&["compare", "bpe", "bytes"]);
    for words in ["Losses are in bits per byte", "different tokenizers"] {
        assert!(said.contains(words), "{said}");
    }
    let made = sandbox.json(&["compare", "bpe", "bytes", "--json"]);
    let sides = &made["comparison"]["arms"][0]["sides"];
    for (side, name) in ["bpe", "bytes"].into_iter().enumerate() {
        assert!(close(number(&sides[side]["final_loss"]["mean"]), mean(name, "bits_per_byte")));
    }
    let nats = ["compare", "bpe", "bytes", "--unit", "nats-per-token", "-o", "nats"];
    let (code, error) = sandbox.wrong(&nats);
    assert!(code == 2 && error.contains("different tokenizers"), "{error}");
}
