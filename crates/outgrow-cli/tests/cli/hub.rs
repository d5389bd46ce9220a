//! With transformers itself: it loads what we write, and computes what we compute.

use std::{collections::BTreeMap, path::Path};

use serde_json::{Value, json};

use crate::sandbox::Sandbox;

const SIX_ROWS: &str =
    "[[1, 5, 9, 33, 96, 12, 4, 8, 60, 61, 2, 7], [3, 3, 90, 11, 0, 45, 44, 43, 21, 1, 2, 3]]";

/// `scripts/hub.py` where transformers is installed.
fn python(args: &[&str]) -> Option<String> {
    crate::sandbox::python("hub.py", args)
}

/// Ways to grow a model: each transform that the family admits, and compositions of all.
fn ways(name: &str) -> Vec<(&'static str, &'static str)> {
    let composed = r#"[{"transform": "layer_addition", "index": 1}, {"transform": "hidden_expansion", "d_model": 48},
        {"transform": "mlp_expansion", "d_ff": 160}, {"transform": "layer_addition", "index": 0},
        {"transform": "hidden_expansion", "d_model": 96}, {"transform": "head_addition", "HEADS": 1},
        {"transform": "head_addition", "HEADS": 1}]"#;
    let llama = vec![
        ("d_ff", "--d-ff 64"),
        ("layers", "--n-layers 4"),
        ("heads", "--n-heads 8"),
        ("kv_heads", "--n-heads 8 --n-kv-heads 4"),
        ("d_model", "--d-model 96"),
        ("all", "--d-model 96 --n-layers 3 --n-heads 12 --n-kv-heads 4 --d-ff 80"),
        ("composed", composed),
    ];
    let fixed = vec![("d_ff", "--d-ff 160"), ("layers", "--n-layers 4")];
    match name {
        // Rounded: bfloat16 holds what is scaled by 2 only.
        "llama-bfloat16" => vec![
            ("d_ff", "--d-ff 64"),
            ("layers", "--n-layers 3"),
            ("heads", "--n-heads 8"),
            ("d_model", "--d-model 128 --d-k 32 --d-v 32"),
            ("float32", "--d-model 48 --dtype float32"),
        ],
        "gpt2-float16" => {
            [fixed, vec![("float32", "--d-model 48 --n-heads 6 --dtype float32")]].concat()
        }
        name if name.starts_with("qwen3") => llama,
        name if name.starts_with("llama") => [llama, vec![("d_k", "--d-k 12 --d-v 12")]].concat(),
        name if name.starts_with("gpt2") => [
            fixed,
            vec![
                ("heads", "--d-model 48 --n-heads 6"),
                ("d_k", "--d-model 64 --d-k 16 --d-v 16"),
                ("all", "--d-model 96 --n-layers 3 --n-heads 6 --d-k 16 --d-v 16 --d-ff 200"),
            ],
        ]
        .concat(),
        _ => [
            fixed,
            vec![
                ("heads", "--d-model 96 --n-heads 6"),
                ("d_k", "--d-model 128 --d-k 32 --d-v 32"),
                ("all", "--d-model 192 --n-layers 3 --n-heads 6 --d-k 32 --d-v 32 --d-ff 200"),
            ],
        ]
        .concat(),
    }
}

/// Largest difference, relative to the larger of 1 and the largest number.
pub fn difference(a: &Value, b: &Value) -> f64 {
    fn flat(value: &Value, into: &mut Vec<f64>) {
        match value {
            Value::Array(values) => values.iter().for_each(|value| flat(value, into)),
            value => into.push(value.as_f64().expect("a number")),
        }
    }
    let (mut x, mut y) = (vec![], vec![]);
    flat(a, &mut x);
    flat(b, &mut y);
    assert!(x.len() == y.len() && !x.is_empty(), "as many numbers");
    let largest = x.iter().fold(1.0f64, |max, v| max.max(v.abs()));
    x.iter().zip(&y).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max) / largest
}

#[test]
fn transformers_loads_what_is_grown_and_computes_the_same() {
    let sandbox = Sandbox::new();
    let tokens = sandbox.write("tokens.json", SIX_ROWS);
    let (models, tokens) = (sandbox.path("models"), tokens.to_str().expect("text").to_owned());
    std::fs::create_dir(&models).expect("a folder");
    if python(&["make", models.to_str().expect("text")]).is_none() {
        return;
    }
    let mut names: Vec<String> = std::fs::read_dir(&models)
        .expect("models")
        .map(|e| e.expect("one").file_name().into_string().expect("text"))
        .collect();
    names.sort();
    assert!(names.len() >= 12, "{names:?}");
    // Of each folder: which one it was grown from.
    let mut folders = BTreeMap::new();
    for name in &names {
        let from = models.join(name).to_str().expect("text").to_owned();
        for (way, how) in ways(name) {
            let to = sandbox.path(&format!("{name}.{way}")).to_str().expect("text").to_owned();
            let mut args = vec!["grow", &from, &to, "--json"];
            if how.starts_with('[') {
                let heads = if name.starts_with("llama") || name.starts_with("qwen3") {
                    "n_new_queries"
                } else {
                    "n_new_heads"
                };
                sandbox.write("growths.json", &how.replace("HEADS", heads));
                args.extend(["--apply", "growths.json"]);
            } else {
                args.extend(how.split(' '));
            }
            let grown = sandbox.json(&args);
            assert!(grown["preserving"] == json!(true), "{grown}");
            assert!(
                Path::new(&to).join("tokenizer.json").exists()
                    && Path::new(&to).join("generation_config.json").exists()
            );
            folders.insert(to, from.clone());
        }
        folders.insert(from.clone(), from);
    }
    let mut args = vec!["ask", &tokens];
    args.extend(folders.keys().map(String::as_str));
    let theirs: Value = serde_json::from_str(&python(&args).expect("it was there")).expect("JSON");
    let (mut worst, mut compared) = ([0.0f64; 2], 0);
    for (folder, from) in &folders {
        let exact = folder.contains("float64");
        let tolerance = if exact { 1e-10 } else { 1e-5 };
        let ours = sandbox.json(&["eval", folder, "--tokens", &tokens, "--json"]);
        let (found, original) = (&theirs[folder], &theirs[from]);
        for (whose, expected) in [("our", &ours["logits"]), ("the original's", &original["logits"])]
        {
            let error = difference(&found["logits"], expected);
            assert!(
                error <= tolerance,
                "{folder}: transformers' logits differ from {whose} by {error:e}"
            );
            worst[usize::from(exact)] = worst[usize::from(exact)].max(error);
        }
        assert_eq!(found["generated"][0].as_array().expect("ids").len(), 62);
        assert_eq!(
            found["generated"], original["generated"],
            "{folder}: other tokens are generated"
        );
        compared += 1;
    }
    println!(
        "{compared} folders; largest difference {:e} in float32, {:e} in float64",
        worst[0], worst[1]
    );
}

#[test]
fn a_checkpoint_becomes_a_model_of_transformers_and_back() {
    let sandbox = Sandbox::new();
    let form = "activation = \"silu\", gated = true, mlp_bias = false, norm_eps = 1e-5,
        positions = { kind = \"rotary\", theta = 10000.0, width = 4 } }";
    let sweep = crate::sandbox::SWEEP.replace("norm_eps = 1e-5 }", &form.replace('\n', " "));
    sandbox.write("sweep.toml", &sweep);
    sandbox.ok(&["run", "sweep.toml", "-j", "1"]);
    let checkpoint = sandbox.a_checkpoint();
    sandbox.write("tokens.json", "[[72, 105, 33, 10], [0, 1, 2, 3]]");
    let logits = |folder: &str| {
        sandbox.json(&["eval", folder, "--tokens", "tokens.json", "--json"])["logits"].clone()
    };
    sandbox.ok(&[
        "grow",
        &checkpoint,
        "even",
        "--d-v",
        "16",
        "--d-k",
        "16",
        "--d-ff",
        "80",
        "--d-model",
        "40",
    ]);
    let said = sandbox.ok(&["convert", "even", "hub"]);
    assert!(said.contains("llama"), "{said}");
    assert!(difference(&logits("hub"), &logits("even")) < 1e-5);
    sandbox.ok(&["convert", "hub", "back"]);
    assert!(difference(&logits("back"), &logits("even")) < 1e-5);
    let (code, error) = sandbox.wrong(&["convert", &checkpoint, "hub"]);
    assert!(code == 2 && error.contains("exists already"), "{error}");
    if let Some(answer) = python(&[
        "ask",
        sandbox.path("tokens.json").to_str().expect("text"),
        sandbox.path("hub").to_str().expect("text"),
    ]) {
        let theirs: Value = serde_json::from_str(&answer).expect("JSON");
        assert!(
            difference(
                &theirs[sandbox.path("hub").to_str().expect("text")]["logits"],
                &logits("even")
            ) < 1e-5
        );
    }
}

/// A model that a sweep trained is what another one begins with: with its tokenizer, its form, and
/// what it knows.
#[test]
fn a_sweep_goes_on_from_a_checkpoint() {
    let sandbox = Sandbox::new();
    let line = |n: usize| {
        format!(
            "{n} models grow while {} others wait, and then they are {} wide\n",
            n % 7,
            n * n % 64
        )
    };
    sandbox.write("text.txt", &(0..4000).map(line).collect::<String>());
    sandbox.ok(&["data", "tokenize", "text.txt", "--vocab-size", "300"]);
    let data = r#"data = { paths = ["text.txt"], validation = 0.1, tokenizer = "tokenizer.json", seq_len = 16 }"#;
    let form = r#"model = { causal = true, final_norm = true, norm_eps = 1e-5, activation = "silu", gated = true, mlp_bias = false,
        positions = { kind = "rotary", theta = 1e4, width = 4 } }"#;
    let form = form.replace('\n', " ");
    let first = crate::sandbox::SWEEP
        .replace(r#"data = { corpus = "rust-crates", seq_len = 16 }"#, data)
        .replace("model = { causal = true, final_norm = true, norm_eps = 1e-5 }", &form)
        .replace("d_k = 6, d_v = 6", "d_k = 4, d_v = 4");
    sandbox.write("sweep.toml", &first);
    let planned = sandbox.json(&["plan", "sweep.toml", "--json"]).to_string();
    assert!(planned.contains("300"), "{planned}");
    sandbox.ok(&["run", "sweep.toml", "-j", "2"]);
    let checkpoint = sandbox.a_checkpoint();
    let second = first
        .replace("\"small\"", "\"on\"")
        .replace(&form, "")
        .replace(
            "initial = { d_model = 8, n_layers = 1, n_heads = 1, d_k = 4, d_v = 4, d_ff = 16 }",
            &format!("initial = {{ checkpoint = {checkpoint:?} }}"),
        )
        .replace(
            "target = { d_model = 12, n_layers = 2, n_heads = 2, d_k = 4, d_v = 4, d_ff = 24 }",
            "target = { d_model = 16, n_layers = 3, n_heads = 3, d_k = 4, d_v = 4, d_ff = 32 }",
        )
        .replace(
            "strategies = [{ kind = \"from_scratch\" },",
            "strategies = [{ kind = \"from_scratch\" }, { kind = \"fixed_size\" },",
        );
    sandbox.write("on.toml", &second);
    sandbox.ok(&["run", "on.toml", "-j", "2"]);
    // What was learned is there from the first evaluation on.
    let at_first = |strategy: &str| {
        let sql = format!(
            "SELECT avg(val_loss) AS loss FROM curves WHERE sweep = 'on' AND strategy = \
             '{strategy}' AND tokens = (SELECT min(tokens) FROM curves)"
        );
        sandbox.json(&["query", &sql, "--format", "json"])[0]["loss"].as_f64().expect("a loss")
    };
    let (fresh, fixed, growing) =
        (at_first("from_scratch"), at_first("fixed_size"), at_first("random"));
    assert!(fixed < fresh - 0.5 && growing < fresh - 0.5, "{fresh} {fixed} {growing}");
    assert_eq!(
        sandbox.number("SELECT count(*) FROM growth WHERE sweep = 'on' AND preserved = 0"),
        0
    );
    assert!(sandbox.number("SELECT count(*) FROM growth WHERE sweep = 'on'") > 0);
    // Its loss on text is asked for with its tokenizer.
    let (code, error) = sandbox.wrong(&["eval", &checkpoint, "--text", "text.txt"]);
    assert!(code == 2 && error.contains("--tokenizer"), "{error}");
    let asked = sandbox.json(&[
        "eval",
        &checkpoint,
        "--text",
        "text.txt",
        "--tokenizer",
        "tokenizer.json",
        "--json",
    ]);
    let (loss, bits) =
        (asked["loss"].as_f64().expect("a loss"), asked["bits_per_byte"].as_f64().expect("bits"));
    assert!((0.5..4.0).contains(&loss) && bits < loss / std::f64::consts::LN_2, "{asked}");
    // A byte is less than a token: the views know both.
    let bits = "SELECT bits_per_token, bits_per_byte FROM finals WHERE sweep = 'on' LIMIT 1";
    let row = &sandbox.json(&["query", bits, "--format", "json"])[0];
    let [token, byte] =
        ["bits_per_token", "bits_per_byte"].map(|name| row[name].as_f64().expect("bits"));
    assert!(0.0 < byte && byte < 0.9 * token, "{row}");
    // The same again is the same sweep; what was laid down is enough, even if the checkpoint is
    // gone.
    sandbox.ok(&["run", "on.toml"]);
    assert_eq!(sandbox.number("SELECT count(*) FROM sweep"), 2);
    for (from, to, words) in [
        ("seq_len = 16", "seq_len = 4096", "data.seq_len"),
        ("initial = { checkpoint", "initial = { d_model = 12, checkpoint", "leave them out"),
        ("tokenizer.json", "nothing.json", "data.tokenizer"),
        ("target = { d_model = 16", "target = { d_model = 4", "shrink"),
        (
            "initial = { checkpoint = \"",
            "initial = { checkpoint = \"/nowhere",
            "initial.checkpoint",
        ),
    ] {
        assert!(second.contains(from), "{from}");
        sandbox.write("wrong.toml", &second.replace(from, to));
        let (code, error) = sandbox.wrong(&["plan", "wrong.toml"]);
        assert!(code == 2 && error.contains(words), "{from}: {error}");
    }
}
