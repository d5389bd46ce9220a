//! Models leave outgrow: text is drawn from them, and PyTorch computes what we compute.

use std::{collections::BTreeMap, fs, path::Path};

use outgrow_core::{
    Architecture,
    growth::compose::{random_architecture, random_tokens},
    model::parameters,
    stream::{Stream, stream},
};
use rand::RngExt;
use serde_json::{Map, Value, json};

use crate::sandbox::{SWEEP, Sandbox, python};

/// Writes a checkpoint with random weights as any program may: two files.
fn write_random(architecture: &Architecture, folder: &Path, rng: &mut Stream) {
    let (mut header, mut bytes) = (Map::new(), vec![]);
    for id in parameters(architecture) {
        let (shape, from) = (id.shape(architecture), bytes.len());
        for _ in 0..shape.iter().product::<usize>() {
            bytes.extend(rng.random_range(-1.0..1.0f64).to_le_bytes());
        }
        let tensor = json!({ "dtype": "F64", "shape": shape, "data_offsets": [from, bytes.len()] });
        header.insert(id.to_string(), tensor);
    }
    let header = serde_json::to_vec(&header).expect("JSON");
    let file = [&(header.len() as u64).to_le_bytes()[..], &header, &bytes].concat();
    fs::create_dir(folder).expect("a folder");
    fs::write(folder.join("model.safetensors"), file).expect("written");
    let head =
        json!({ "format": "outgrow-checkpoint", "version": 1, "architecture": architecture });
    fs::write(folder.join("checkpoint.json"), head.to_string()).expect("written");
}

fn numbers(value: &Value, all: &mut Vec<f64>) {
    match value {
        Value::Array(list) => list.iter().for_each(|value| numbers(value, all)),
        number => all.push(number.as_f64().expect("a number")),
    }
}

#[test]
fn pytorch_computes_the_same_logits_of_every_form() {
    let n = if std::env::var_os("OUTGROW_TEST_LONG").is_some() { 200 } else { 40 };
    let (sandbox, mut rng) = (Sandbox::new(), stream(1, "pytorch"));
    let mut pairs = vec![];
    for number in 0..n {
        let architecture = random_architecture(&mut rng);
        let (folder, tokens) = (format!("model{number}"), format!("tokens{number}.json"));
        write_random(&architecture, &sandbox.path(&folder), &mut rng);
        let row = random_tokens(&architecture, &mut rng);
        sandbox.write(&tokens, &json!([row]).to_string());
        pairs.push((folder, tokens));
    }
    let of = |name: &str| sandbox.path(name).display().to_string();
    let args: Vec<String> =
        pairs.iter().flat_map(|(folder, rows)| [of(folder), of(rows)]).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let Some(answer) = python("logits.py", &args) else { return };
    let theirs: Vec<Value> = serde_json::from_str(&answer).expect("JSON");
    for ((folder, tokens), theirs) in pairs.iter().zip(&theirs) {
        let ours = sandbox.json(&["eval", folder, "--tokens", tokens, "--json"]);
        let (mut a, mut b) = (vec![], vec![]);
        numbers(&ours["logits"], &mut a);
        numbers(theirs, &mut b);
        assert_eq!(a.len(), b.len(), "{folder}");
        let largest = a.iter().fold(1.0, |most: f64, x| most.max(x.abs()));
        let change = a.iter().zip(&b).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        let form = fs::read_to_string(sandbox.path(folder).join("checkpoint.json"));
        assert!(change < 1e-7 * largest, "{change:e} of {largest}: {}", form.expect("a head"));
    }
}

#[test]
fn a_trained_checkpoint_is_read_by_pytorch_with_its_optimizer_and_without() {
    let sandbox = Sandbox::new();
    sandbox.write("tokens.json", "[[72, 101, 108, 108, 111], [1, 2, 3, 4, 5]]");
    sandbox.ok(&["run", "sweep.toml", "-j2", "--keep-final", "all"]);
    let asked = |sandbox: &Sandbox| {
        let path = sandbox.ok(&["path", "random/0#0"]).trim().to_owned();
        let args = [&*path, "tokens.json"].map(|name| sandbox.path(name).display().to_string());
        let answer = python("logits.py", &[&args[0], &args[1]])?;
        let ours = sandbox.json(&["eval", &path, "--tokens", "tokens.json", "--json"]);
        let (mut a, mut b) = (vec![], vec![]);
        numbers(&ours["logits"], &mut a);
        numbers(&serde_json::from_str::<Value>(&answer).expect("JSON")[0], &mut b);
        Some(a.iter().zip(&b).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max))
    };
    let Some(whole) = asked(&sandbox) else { return };
    sandbox.ok(&["clean"]);
    let weights = asked(&sandbox).expect("it was there before");
    assert!(whole < 1e-4 && weights < 1e-4, "{whole} {weights}");
}

#[test]
fn text_is_drawn_from_a_trial() {
    let sandbox = Sandbox::new();
    sandbox.ok(&["run", "sweep.toml", "-j2"]);
    let sample = |more: &[&str]| {
        let args = ["sample", "random/1#1", "--prompt", "fn é(", "--tokens", "40"];
        sandbox.ok(&[&args[..], more].concat())
    };
    let first = sample(&["--seed", "3"]);
    assert!(first.starts_with("fn é(") && first.len() > 30, "{first:?}");
    assert_eq!(sample(&["--seed", "3"]), first);
    assert_ne!(sample(&["--seed", "4"]), first);
    let greedy = sample(&["--temperature", "0"]);
    assert_eq!(greedy, sample(&["--temperature", "0", "--seed", "9"]));
    assert_eq!(greedy, sample(&["--top-k", "1"]));
    // A folder is as good; what is longer than the model reads is told once.
    let path = sandbox.ok(&["path", "random/1#1"]).trim().to_owned();
    let args = ["sample", &path, "--prompt", "fn é(", "--tokens", "40", "--temperature", "0"];
    let output = sandbox.run(&args);
    assert_eq!(String::from_utf8_lossy(&output.stdout), greedy);
    let notes = String::from_utf8_lossy(&output.stderr);
    assert_eq!(notes.matches("reads the last 16").count(), 1, "{notes}");
    for (args, why) in [
        (vec!["sample", "nobody", "--prompt", "a"], "there is no folder nobody, and no trial"),
        (vec!["sample", &path, "--prompt", ""], "the prompt is empty"),
        (vec!["sample", &path, "--prompt", "a", "--temperature=-1"], "from 1e-3"),
        (vec!["sample", &path, "--prompt", "a", "--top-k", "0"], "top-k"),
    ] {
        let (code, said) = sandbox.wrong(&args);
        assert!(code == 2 && said.contains(why), "{said}");
    }
    let both = SWEEP.replace("causal = true", "causal = false").replace("25_600", "640");
    sandbox.write("both.toml", &both.replace("small", "both"));
    sandbox.ok(&["run", "both.toml", "-j2"]);
    let (code, said) = sandbox.wrong(&["sample", "both/from_scratch/0#0", "--prompt", "a"]);
    assert!(code == 2 && said.contains("only a causal model"), "{said}");
}

/// A tokenizer of 97 words, t0 to t96.
fn tokenizer() -> String {
    let vocab: BTreeMap<String, usize> = (0..97).map(|n| (format!("t{n}"), n)).collect();
    json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": [],
        "normalizer": null, "pre_tokenizer": { "type": "WhitespaceSplit" },
        "post_processor": null, "decoder": null,
        "model": { "type": "WordLevel", "vocab": vocab, "unk_token": "t0" },
    })
    .to_string()
}

#[test]
fn the_most_likely_text_is_that_of_transformers() {
    let sandbox = Sandbox::new();
    let hub = sandbox.path("hub").display().to_string();
    if python("hub.py", &["make", &hub]).is_none() {
        return;
    }
    sandbox.write("tokenizer.json", &tokenizer());
    let prompt = [1, 5, 9, 33, 96, 12, 4, 8];
    let rows = sandbox.write("rows.json", &json!([prompt]).to_string()).display().to_string();
    let words = |ids: &[u64]| ids.iter().map(|id| format!("t{id}")).collect::<Vec<_>>().join(" ");
    for name in ["llama", "qwen3", "gpt2", "gpt_neox"] {
        let folder = format!("hub/{name}");
        let theirs =
            python("hub.py", &["ask", &rows, &sandbox.path(&folder).display().to_string()]);
        let theirs: Value = serde_json::from_str(&theirs.expect("as before")).expect("JSON");
        let ids = &theirs.as_object().expect("models").values().next().expect("one")["generated"];
        let ids: Vec<u64> = serde_json::from_value(ids[0].clone()).expect("ids");
        let all = [&prompt[..], &ids].concat();
        let ids = if ids.starts_with(&prompt) { ids } else { all };
        sandbox.ok(&["convert", &folder, name]);
        let new = (ids.len() - prompt.len()).to_string();
        for model in [folder.as_str(), name] {
            let args = ["sample", model, "--prompt", &words(&prompt), "--temperature", "0"];
            let more = ["--tokens", &new, "--tokenizer", "tokenizer.json"];
            assert_eq!(sandbox.ok(&[&args[..], &more].concat()).trim(), words(&ids), "{model}");
        }
    }
}

#[test]
fn a_model_that_no_format_can_say_is_told_which_could() {
    let sandbox = Sandbox::new();
    let sweep = SWEEP.replace("25_600", "640").replace("causal = true", "causal = false");
    sandbox.write("sweep.toml", &sweep.replace("norm_eps", "norm_gains = false, norm_eps"));
    sandbox.ok(&["run", "sweep.toml", "-j2"]);
    let path = sandbox.ok(&["path", "from_scratch/0#0"]).trim().to_owned();
    let (code, why) = sandbox.wrong(&["convert", &path, "hub"]);
    assert_eq!(code, 2);
    for part in [
        "the llama format of Hugging Face can't say this model: it must be causal; its norms must \
         have gains; its MLP must have a gate; positions must be rotary",
        "causal = true, final_norm = true, norm_gains = true, norm = \"rms_norm\", gated = true",
        "`llama-tiny`",
    ] {
        assert!(why.contains(part), "{part}: {why}");
    }
    // With these fields it converts.
    let model = "gated = true, positions = { kind = \"rotary\", theta = 10000.0, width = 4 }";
    let sweep = SWEEP.replace("25_600", "640").replace("norm_eps", &format!("{model}, norm_eps"));
    let sweep = sweep.replace("d_k = 6, d_v = 6", "d_k = 4, d_v = 4").replace("small", "llama");
    sandbox.write("sweep.toml", &sweep);
    sandbox.ok(&["run", "sweep.toml", "-j2"]);
    let path = sandbox.ok(&["path", "llama/from_scratch/0#0"]).trim().to_owned();
    sandbox.ok(&["convert", &path, "hub"]);
}
