//! Folders of transformers that contradict themselves, or bring along what is not theirs: what
//! transformers loads is what is read, or it is refused, and both candidates are named.

use std::{fs, path::Path, sync::OnceLock};

use serde_json::{Map, Value, json};

use crate::{hub::difference, sandbox::Sandbox};

const ROWS: &str =
    "[[1, 5, 9, 33, 96, 12, 4, 8, 60, 61, 2, 7], [3, 3, 90, 11, 0, 45, 44, 43, 21, 1, 2, 3]]";

/// The folders of `scripts/hub.py`, where transformers is installed.
fn python(args: &[&str]) -> Option<String> {
    crate::sandbox::python("hub.py", args)
}

/// Models to begin with, and those with odd files, made once for all tests; none where transformers
/// is not installed.
fn models() -> Option<&'static str> {
    static MADE: OnceLock<Option<String>> = OnceLock::new();
    let make = || {
        let folder = concat!(env!("CARGO_TARGET_TMPDIR"), "/models").to_owned();
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).expect("a folder");
        python(&["make", &folder]).and_then(|_| python(&["odd", &folder])).map(|_| folder)
    };
    MADE.get_or_init(make).as_deref()
}

/// A copy of a folder.
fn copied(from: &str, to: &Path) {
    fs::create_dir(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder") {
        let path = entry.expect("an entry").path();
        fs::copy(&path, to.join(path.file_name().expect("a name"))).expect("copied");
    }
}

/// Changes fields of a configuration; one whose name begins with - is taken away first.
fn change(folder: &Path, changes: &Value) {
    let path = folder.join("config.json");
    let mut config: Map<String, Value> =
        serde_json::from_slice(&fs::read(&path).expect("read")).expect("JSON");
    for (key, value) in changes.as_object().expect("an object") {
        match key.strip_prefix('-') {
            Some(key) => drop(config.remove(key)),
            None => drop(config.insert(key.clone(), value.clone())),
        }
    }
    fs::write(path, serde_json::to_vec(&config).expect("JSON")).expect("written");
}

/// How to grow a folder of this name, so that sizes and rotary positions are written anew.
fn way(name: &str) -> &'static [&'static str] {
    match name {
        name if name.starts_with("gpt2") => &["--d-model", "48", "--n-heads", "6"],
        name if name.starts_with("gpt_neox") => &["--d-model", "128", "--d-k", "32", "--d-v", "32"],
        name if name.starts_with("qwen3") => &["--d-ff", "64"],
        _ => &["--d-ff", "64", "--d-k", "12", "--d-v", "12", "--n-layers", "3"],
    }
}

/// What is read: to whom it is the same, without a word or with these ones.
fn readable() -> Vec<(&'static str, Value, &'static str)> {
    let linear = json!({ "rope_type": "linear", "factor": 2.0, "rope_theta": 5e5 });
    vec![
        ("llama", json!({ "rope_scaling": null }), ""),
        ("llama", json!({ "rope_scaling": {} }), ""),
        ("llama", json!({ "rope_scaling": { "rope_type": "default" } }), ""),
        ("llama", json!({ "rope_theta": 10000.0 }), ""),
        ("llama", json!({ "rope_parameters": linear, "rope_scaling": linear }), ""),
        (
            "llama",
            json!({ "rope_parameters": linear, "rope_scaling": { "type": "linear", "factor": 2.0 }, "rope_theta": 5e5 }),
            "",
        ),
        (
            "llama",
            json!({ "-rope_parameters": 0, "rope_theta": 5e5, "rope_scaling": { "type": "linear", "factor": 2.0 } }),
            "",
        ),
        ("llama", json!({ "-rope_parameters": 0, "rope_theta": 5e5 }), ""),
        (
            "llama",
            json!({ "rope_parameters": { "rope_type": "linear", "factor": 2.0 }, "rope_theta": 5e5 }),
            "",
        ),
        (
            "llama",
            json!({ "-head_dim": 0, "pretraining_tp": 2, "sliding_window": null, "is_causal": true }),
            "",
        ),
        (
            "llama",
            json!({ "attention_multiplier": null, "logits_scaling": 1.0, "num_experts": 0 }),
            "",
        ),
        ("llama", json!({ "architectures": null }), ""),
        ("llama", json!({ "architectures": ["LlamaModel"] }), ""),
        ("llama", json!({ "torch_dtype": "float32" }), ""),
        ("llama", json!({ "dtype": "bfloat16" }), "says bfloat16"),
        ("llama", json!({ "favourite_colour": "green" }), "favourite_colour"),
        ("llama-bfloat16", json!({ "num_key_value_heads": null, "attention_dropout": 0.5 }), ""),
        ("llama-long", json!({ "original_max_position_embeddings": 32 }), ""),
        (
            "gpt2",
            json!({ "n_ctx": 64, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4 }),
            "",
        ),
        (
            "gpt2",
            json!({ "reorder_and_upcast_attn": true, "head_dim": 8, "max_position_embeddings": 64 }),
            "",
        ),
        (
            "gpt_neox",
            json!({ "rotary_emb_base": 10000, "rotary_pct": 0.25, "rope_theta": 10000.0, "is_decoder": true }),
            "",
        ),
        (
            "gpt_neox",
            json!({ "-rope_parameters": 0, "rotary_emb_base": 5e5, "rotary_pct": 0.5 }),
            "",
        ),
        ("gpt_neox", json!({ "-rope_parameters": 0 }), ""),
        ("qwen3", json!({ "use_sliding_window": false, "sliding_window": 16 }), ""),
        ("qwen3", json!({ "layer_types": ["full_attention", "full_attention"] }), ""),
        // Sizes that agree under another family's name grow under both.
        ("llama", json!({ "n_layer": 2 }), ""),
        ("gpt_neox", json!({ "layer_norm_epsilon": 1e-5, "head_dim": 16 }), ""),
        ("tied-same-head", json!({}), ""),
        ("tied-same-head-bfloat16", json!({}), ""),
        ("two-sets-same", json!({}), "not from model-00001-of-00001.safetensors"),
        ("index-of-one", json!({}), ""),
        ("strays", json!({}), "not from model-00001-of-00002.safetensors, pytorch_model.bin"),
        ("buffers", json!({}), ""),
    ]
}

#[test]
fn what_transformers_loads_is_what_is_read_and_grown() {
    let sandbox = Sandbox::new();
    let Some(models) = models() else { return };
    let tokens = sandbox.write("tokens.json", ROWS).to_str().expect("text").to_owned();
    let mut ours = vec![];
    for (number, (base, changes, words)) in readable().into_iter().enumerate() {
        let (folder, grown) =
            (sandbox.path(&format!("{number}")), sandbox.path(&format!("{number}.grown")));
        copied(&format!("{models}/{base}"), &folder);
        change(&folder, &changes);
        let [folder, grown] = [&folder, &grown].map(|path| path.to_str().expect("text").to_owned());
        let output = sandbox.run(&["eval", &folder, "--tokens", &tokens, "--json"]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{base} {changes}: {said}");
        // What it is at is said on a slow machine, too.
        let said: String = said.lines().filter(|line| line.starts_with("note:")).collect();
        assert!(
            if words.is_empty() { said.is_empty() } else { said.contains(words) },
            "{base} {changes}: {said:?}"
        );
        let logits: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        let mut args = vec!["grow", &folder, &grown, "--dtype", "float32"];
        args.extend(way(base));
        sandbox.ok(&args);
        ours.push((folder, grown, logits["logits"].clone(), changes));
    }
    let mut args = vec!["try", &tokens];
    ours.iter().for_each(|(folder, grown, ..)| args.extend([folder.as_str(), grown.as_str()]));
    let theirs: Value = serde_json::from_str(&python(&args).expect("it was there")).expect("JSON");
    for (folder, grown, logits, changes) in &ours {
        for folder in [folder, grown] {
            assert_eq!(theirs[folder]["refused"], Value::Null, "{folder} {changes}");
            let error = difference(&theirs[folder]["logits"], logits);
            assert!(error <= 1e-5, "{folder} {changes}: transformers' logits are {error:e} away");
        }
    }
}

/// What is refused, and what is said.
fn refused() -> Vec<(&'static str, Value, &'static [&'static str])> {
    let linear = json!({ "rope_type": "linear", "factor": 2.0 });
    let rope = |fields: Value| json!({ "rope_parameters": fields });
    vec![
        // Two statements of one fact.
        (
            "llama",
            json!({ "rope_scaling": linear }),
            &["`rope_scaling` is", "`rope_parameters` is"],
        ),
        (
            "llama",
            json!({ "rope_theta": 5e5 }),
            &["`rope_theta` is 500000", "`rope_parameters.rope_theta` is 10000"],
        ),
        (
            "llama",
            json!({ "rope_scaling": { "rope_type": "default", "rope_theta": 5e5 } }),
            &["`rope_parameters.rope_theta` is 10000", "`rope_scaling.rope_theta` is 500000"],
        ),
        (
            "llama",
            json!({ "rope_parameters": { "rope_type": "linear", "factor": 2.0, "rope_theta": 5e5 }, "rope_scaling": linear }),
            &["`rope_parameters.rope_theta` is 500000", "by default it is 10000"],
        ),
        (
            "llama",
            rope(json!({ "rope_type": "linear", "type": "llama3", "factor": 2.0 })),
            &["`rope_type` is \"linear\"", "`type` is \"llama3\""],
        ),
        (
            "llama",
            rope(json!({ "rope_type": "default", "factor": 8.0 })),
            &["`factor` 8.0", "default"],
        ),
        (
            "llama-long",
            json!({ "original_max_position_embeddings": 16 }),
            &["`original_max_position_embeddings` is 16", "it is 32"],
        ),
        (
            "gpt_neox",
            json!({ "rotary_emb_base": 5e5 }),
            &["`rotary_emb_base` is 500000", "`rope_parameters.rope_theta` is 10000"],
        ),
        (
            "gpt_neox",
            json!({ "rotary_pct": 0.5 }),
            &["`rotary_pct` is 0.5", "`rope_parameters.partial_rotary_factor` is 0.25"],
        ),
        ("gpt_neox", json!({ "rope_theta": 5e5 }), &["`rope_theta` is 500000", "10000"]),
        ("gpt_neox", json!({ "head_dim": 32 }), &["`head_dim` is 32", "16 each"]),
        ("gpt2", json!({ "scale_attn_weights": null }), &["`scale_attn_weights` is null"]),
        ("gpt2", json!({ "scale_attn_weights": 1 }), &["`scale_attn_weights` is 1"]),
        ("gpt2", json!({ "head_dim": 16 }), &["`head_dim` is 16", "8 each"]),
        ("gpt2", json!({ "hidden_size": 64 }), &["`n_embd` is 32", "`hidden_size` is 64"]),
        ("gpt2", json!({ "n_ctx": 1024 }), &["`n_positions` is 64", "`n_ctx` is 1024"]),
        (
            "gpt2",
            json!({ "num_attention_heads": 8 }),
            &["`n_head` is 4", "`num_attention_heads` is 8"],
        ),
        (
            "gpt2",
            json!({ "hidden_act": "relu" }),
            &["`activation_function` is \"gelu_new\"", "`hidden_act` is \"relu\""],
        ),
        (
            "llama",
            json!({ "torch_dtype": "bfloat16" }),
            &["`dtype` is \"float32\"", "`torch_dtype` is \"bfloat16\""],
        ),
        (
            "llama",
            json!({ "architectures": ["MistralForCausalLM"] }),
            &["MistralForCausalLM", "LlamaForCausalLM"],
        ),
        (
            "llama",
            json!({ "architectures": ["LlamaForSequenceClassification"] }),
            &["LlamaForSequenceClassification"],
        ),
        ("llama", json!({ "model_type": "gpt2" }), &["LlamaForCausalLM", "GPT2LMHeadModel"]),
        (
            "qwen3",
            json!({ "layer_types": ["full_attention"] }),
            &["`layer_types` has 1", "`num_hidden_layers` is 2"],
        ),
        ("llama", json!({ "head_dim": 16 }), &["q_proj.weight", "shape"]),
        ("llama", json!({ "attention_bias": true }), &["q_proj.bias", "missing"]),
        ("llama", json!({ "mlp_bias": true }), &["gate_proj.bias", "missing"]),
        ("llama-float64", json!({ "attention_bias": false }), &["bias", "is no tensor of"]),
        (
            "tied-own-head",
            json!({}),
            &["tie_word_embeddings", "lm_head.weight", "model.embed_tokens.weight"],
        ),
        ("tied-own-head-float16", json!({}), &["tie_word_embeddings", "lm_head.weight"]),
        ("tied-rounded-head", json!({}), &["tie_word_embeddings", "lm_head.weight"]),
        ("sharded-own-head", json!({}), &["tie_word_embeddings", "lm_head.weight"]),
        ("gpt2-own-head", json!({}), &["tie_word_embeddings", "transformer.wte.weight"]),
        (
            "two-sets-differ",
            json!({}),
            &["model.norm.weight", "model.safetensors and", "model.safetensors.index.json"],
        ),
        ("index-wrong", json!({}), &["`model.norm.weight` is in", "but it is in"]),
        ("index-lacks", json!({}), &["does not name `model.norm.weight`"]),
        // What other code computes.
        (
            "llama",
            json!({ "auto_map": { "AutoModelForCausalLM": "modeling_x.XForCausalLM" } }),
            &["auto_map", "modeling_x.XForCausalLM"],
        ),
        (
            "llama",
            json!({ "auto_map": { "AutoConfig": "configuration_x.XConfig" } }),
            &["auto_map"],
        ),
        ("llama", json!({ "quantization_config": { "quant_method": "gptq" } }), &["quantized"]),
        ("llama", json!({ "sliding_window": 16 }), &["`sliding_window` is 16"]),
        (
            "qwen3",
            json!({ "use_sliding_window": true, "sliding_window": 16 }),
            &["`use_sliding_window` is true"],
        ),
        (
            "llama",
            json!({ "layer_types": ["full_attention", "sliding_attention"] }),
            &["layer_types"],
        ),
        ("llama", json!({ "attention_multiplier": 0.5 }), &["`attention_multiplier` is 0.5"]),
        ("llama", json!({ "logits_scaling": 8.0 }), &["`logits_scaling` is 8.0"]),
        ("llama", json!({ "residual_multiplier": 0.22 }), &["residual_multiplier"]),
        ("llama", json!({ "final_logit_softcapping": 30.0 }), &["final_logit_softcapping"]),
        ("llama", json!({ "is_causal": false }), &["`is_causal` is false"]),
        (
            "llama",
            json!({ "per_layer_config": { "0": { "intermediate_size": 24 } } }),
            &["per_layer_config"],
        ),
        ("llama", json!({ "num_local_experts": 8 }), &["num_local_experts"]),
        ("llama", json!({ "text_config": { "hidden_size": 32 } }), &["text_config"]),
        (
            "llama",
            json!({ "transformers_weights": "other.safetensors" }),
            &["transformers_weights"],
        ),
        ("gpt2", json!({ "pruned_heads": { "0": [1] } }), &["pruned_heads"]),
        (
            "gpt2",
            json!({ "scale_attn_by_inverse_layer_idx": true }),
            &["scale_attn_by_inverse_layer_idx"],
        ),
        ("gpt2", json!({ "scale_attn_weights": false }), &["scale_attn_weights"]),
        ("gpt2", json!({ "add_cross_attention": true }), &["add_cross_attention"]),
        ("llama", json!({ "partial_rotary_factor": 0.5 }), &["partial_rotary_factor"]),
        (
            "llama",
            rope(json!({ "full_attention": { "rope_type": "default" } })),
            &["unknown field `full_attention`"],
        ),
        ("llama", rope(json!({ "rope_type": "yarn", "factor": 2.0 })), &["\"yarn\""]),
        ("llama", rope(json!({ "rope_type": "dynamic", "factor": 2.0 })), &["\"dynamic\""]),
        // What is no value.
        ("llama", json!({ "rms_norm_eps": null }), &["`rms_norm_eps` is null"]),
        ("llama", json!({ "tie_word_embeddings": null }), &["`tie_word_embeddings` is null"]),
        ("llama", json!({ "hidden_act": null }), &["`hidden_act` is null"]),
        ("llama", json!({ "rope_theta": null }), &["`rope_theta` is null"]),
        ("llama", json!({ "tie_word_embeddings": 1 }), &["true or false"]),
        ("llama", json!({ "num_attention_heads": 5 }), &["not a multiple"]),
        ("not-a-number", json!({}), &["model.layers.1.mlp.up_proj.weight", "NaN"]),
        ("infinite", json!({}), &["model.layers.1.mlp.up_proj.weight", "infinity"]),
        // What no machine holds.
        ("llama", json!({ "vocab_size": 1_000_000_000_000u64 }), &["vocab_size is 1000000000000"]),
        ("llama", json!({ "num_hidden_layers": 1_000_000_000 }), &["layers"]),
        (
            "llama",
            json!({ "max_position_embeddings": 1_000_000_000_000_000u64 }),
            &["seq_len is 1000000000000000"],
        ),
        ("llama", json!({ "hidden_size": 1u64 << 62 }), &["d_model is"]),
        (
            "qwen3",
            json!({ "-layer_types": 0, "num_hidden_layers": 16_384, "num_attention_heads": 16_384, "num_key_value_heads": 16_384 }),
            &["heads in all layers"],
        ),
    ]
}

#[test]
fn what_contradicts_itself_is_refused_by_every_command_and_writes_nothing() {
    let sandbox = Sandbox::new();
    let Some(models) = models() else { return };
    sandbox.write("tokens.json", ROWS);
    sandbox.write("text.txt", "some text");
    for (number, (base, changes, words)) in refused().iter().enumerate() {
        let folder = sandbox.path("odd");
        copied(&format!("{models}/{base}"), &folder);
        change(&folder, changes);
        let commands: [&[&str]; 6] = [
            &["grow", "odd", "grown", "--d-ff", "64"],
            &["eval", "odd", "--tokens", "tokens.json"],
            &["eval", "odd", "--text", "text.txt"],
            &["check", "odd", "-n", "1"],
            &["doctor", "odd", "--d-ff", "64"],
            &["convert", "odd", "checkpoint"],
        ];
        // All of them for some: they share the reader.
        let commands = if number % 8 == 0 { &commands[..] } else { &commands[..2] };
        for args in commands {
            let (code, error) = sandbox.wrong(args);
            assert_eq!(code, 2, "{args:?} {base} {changes}: {error}");
            assert!(
                words.iter().all(|words| error.contains(words)),
                "{args:?} {base} {changes}: {error}"
            );
        }
        assert!(
            ["grown", "checkpoint"].iter().all(|name| !sandbox.path(name).exists()),
            "{base} {changes}"
        );
        fs::remove_dir_all(&folder).expect("removed");
    }
}

/// Files beside the model: what is copied, what is named, what is refused.
/// The frequencies that stand beside ours, for transformers, must be those.
#[test]
fn frequencies_of_ours_are_read_whole_or_refused() {
    let sandbox = Sandbox::new();
    let Some(models) = models() else { return };
    let tokens = sandbox.write("tokens.json", ROWS).to_str().expect("text").to_owned();
    sandbox.ok(&[
        "grow",
        &format!("{models}/llama-float64"),
        "grown",
        "--d-k",
        "16",
        "--d-v",
        "16",
    ]);
    sandbox.ok(&["eval", "grown", "--tokens", &tokens, "--json"]);
    let config: Value =
        serde_json::from_slice(&fs::read(sandbox.path("grown/config.json")).expect("read"))
            .expect("JSON");
    assert!(config["outgrow_rotary"].is_object(), "nothing would be tested: {config}");
    let other = [("attention_factor", 2.0), ("factor", 8.0), ("rope_theta", 1234.5)];
    for (number, (key, value)) in other.into_iter().enumerate() {
        let folder = sandbox.path(&format!("{number}"));
        copied(sandbox.path("grown").to_str().expect("text"), &folder);
        let mut changed = config.clone();
        for section in ["rope_scaling", "rope_parameters"] {
            changed[section][key] = value.into();
        }
        if key == "rope_theta" {
            changed[key] = value.into();
        }
        change(&folder, &changed);
        let folder = folder.to_str().expect("text");
        let (code, said) = sandbox.wrong(&["eval", folder, "--tokens", &tokens]);
        assert!(code == 2 && said.contains("outgrow_rotary"), "{key}: {code} {said}");
    }
}

#[test]
fn what_belongs_to_the_old_size_does_not_go_along() {
    let sandbox = Sandbox::new();
    let Some(models) = models() else { return };
    let folder = sandbox.path("from");
    copied(&format!("{models}/llama"), &folder);
    let put = |name: &str| {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(path, name).expect("written");
    };
    let kept = [
        "tokenizer.json",
        "tokenizer_config.json",
        "special_tokens_map.json",
        "added_tokens.json",
        "vocab.json",
        "merges.txt",
        "tokenizer.model",
        "qwen.tiktoken",
        "chat_template.jinja",
        "additional_chat_templates/tool.jinja",
        "LICENSE",
        "LICENSE.md",
        "NOTICE.txt",
        "USE_POLICY.md",
    ];
    let left = [
        "README.md",
        "pytorch_model.bin",
        "pytorch_model.bin.index.json",
        "tf_model.h5",
        "flax_model.msgpack",
        "model.onnx",
        "model.onnx.data",
        "ggml-model-q4_0.gguf",
        "model.tflite",
        "consolidated.00.pth",
        "optimizer.pt",
        "scheduler.pt",
        "rng_state.pth",
        "trainer_state.json",
        "training_args.bin",
        "quantize_config.json",
        "original/consolidated.00.pth",
        "configuration_x.py",
        "model-00001-of-00009.gguf",
        "consolidated.safetensors",
        ".gitattributes",
        "eval_results.json",
    ];
    kept.iter().chain(&left).for_each(|name| put(name));
    let output = sandbox.run(&["grow", "from", "to", "--d-ff", "64"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    for name in kept {
        assert_eq!(fs::read_to_string(sandbox.path("to").join(name)).expect("copied"), name);
    }
    for name in left {
        let first = name.split('/').next().expect("a part");
        assert!(!sandbox.path("to").join(first).exists() && said.contains(first), "{name}: {said}");
    }
    assert!(!said.contains("tokenizer"), "{said}");
    // The same by `convert --like`.
    sandbox.ok(&["convert", "from", "checkpoint"]);
    let output = sandbox.run(&["convert", "checkpoint", "again", "--like", "from"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("optimizer.pt"), "{said}");
    // What makes the model another is refused, and can be taken away.
    for (name, words) in [
        ("adapter_config.json", "Merge it first"),
        ("adapter_model.safetensors", "Merge it first"),
        ("adapter_model.bin", "Merge it first"),
        ("modeling_llama.py", "code of the folder's own"),
    ] {
        put(name);
        let (code, error) = sandbox.wrong(&["grow", "from", "other", "--d-ff", "64"]);
        assert!(code == 2 && error.contains(words) && error.contains(name), "{error}");
        fs::remove_file(folder.join(name)).expect("removed");
    }
    sandbox.ok(&["grow", "from", "other", "--d-ff", "64"]);
}

/// Files that are none of what they should be.
#[test]
fn broken_files_are_named() {
    let sandbox = Sandbox::new();
    let Some(models) = models() else { return };
    let config = fs::read_to_string(format!("{models}/llama/config.json")).expect("read");
    let with = |from: &str, to: &str| config.replacen(from, to, 1).into_bytes();
    let cases: [(&str, Vec<u8>, &str); 9] = [
        ("config.json", [b"\xef\xbb\xbf", config.as_bytes()].concat(), "byte order mark"),
        ("config.json", b"\xff\xfe{\0}\0".to_vec(), "not UTF-8"),
        ("config.json", with("{", "{\"hidden_size\": 64, "), "`hidden_size` stands there twice"),
        (
            "config.json",
            with("\"rope_theta\": 10000.0", "\"rope_theta\": 1, \"rope_theta\": 2"),
            "`rope_theta` stands there twice",
        ),
        ("config.json", with("1e-06", "NaN"), "NaN is no number of JSON"),
        ("config.json", with("1e-06", "-Infinity"), "Infinity is no number of JSON"),
        ("config.json", b"[1]".to_vec(), "no JSON object"),
        (
            "model.safetensors",
            b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n".to_vec(),
            "git lfs pull",
        ),
        ("model.safetensors", vec![0xff; 64], "no whole safetensors file"),
    ];
    for (file, content, words) in cases {
        let folder = sandbox.path("broken");
        copied(&format!("{models}/llama"), &folder);
        fs::write(folder.join(file), content).expect("written");
        let (code, error) = sandbox.wrong(&["grow", "broken", "grown", "--d-ff", "64"]);
        assert!(code == 2 && error.contains(words) && error.contains(file), "{words}: {error}");
        fs::remove_dir_all(&folder).expect("removed");
    }
    // A shard that is not there.
    let folder = sandbox.path("broken");
    copied(&format!("{models}/llama-sharded-tied"), &folder);
    fs::remove_file(folder.join("model-00002-of-00004.safetensors")).expect("it was there");
    let (code, error) = sandbox.wrong(&["grow", "broken", "grown", "--d-ff", "64"]);
    assert!(
        code == 2
            && error.contains("model-00002-of-00004.safetensors")
            && error.contains("names it"),
        "{error}"
    );
}

/// A model that says that it reads 131,072 tokens, or a billion, is probed with no more than
/// others; a text is read in windows.
#[test]
fn work_does_not_grow_with_what_a_file_says() {
    let sandbox = Sandbox::new();
    let Some(models) = models() else { return };
    for positions in [131_072, 1 << 24] {
        let folder = sandbox.path("long");
        copied(&format!("{models}/llama"), &folder);
        change(&folder, &json!({ "max_position_embeddings": positions }));
        fs::remove_file(folder.join("tokenizer.json")).expect("it is no tokenizer");
        let limited = |args: &[&str]| {
            // 4 GB of addresses beside what libtorch takes: enough for a bounded probe, not for the
            // square of these lengths.
            let line = "ulimit -v 8000000; exec \"$0\" \"$@\"";
            let mut command = std::process::Command::new("sh");
            let output = command
                .current_dir(sandbox.path(""))
                .args(["-c", line, env!("CARGO_BIN_EXE_outgrow")])
                .args(args)
                .output();
            let output = output.expect("it runs");
            assert!(
                output.status.success(),
                "{args:?}: {}",
                String::from_utf8_lossy(&output.stderr)
            );
            String::from_utf8(output.stdout).expect("text")
        };
        limited(&["doctor", "long", "--d-ff", "64"]);
        limited(&["check", "long", "-n", "3"]);
        limited(&["grow", "long", "grown", "--d-ff", "64"]);
        fs::remove_dir_all(sandbox.path("grown")).expect("removed");
        // As many tokens as bytes: each of a vocabulary of 97.
        sandbox.write("bytes.json", &byte_tokenizer());
        sandbox.write("text.txt", &"abcdefgh ".repeat(3_000));
        let eval = ["eval", "long", "--text", "text.txt", "--tokenizer", "bytes.json", "--json"];
        let found: Value = serde_json::from_str(&limited(&eval)).expect("JSON");
        assert_eq!(
            (&found["window"], &found["text_bytes"]),
            (&json!(1024), &json!(27_000)),
            "{found}"
        );
        let asked: Value =
            serde_json::from_str(&limited(&[&eval[..], &["--window", "100"]].concat()))
                .expect("JSON");
        assert_eq!((&asked["window"], &asked["tokens"]), (&json!(100), &json!(26_900)), "{asked}");
        let (code, error) = sandbox.wrong(&[&eval[..], &["--window", "99999999"]].concat());
        assert!(code == 2 && error.contains("this model reads 1 to"), "{error}");
        fs::remove_dir_all(&folder).expect("removed");
    }
}

/// A tokenizer of lower-case letters and the space.
fn byte_tokenizer() -> String {
    let vocab: Map<String, Value> = ('a'..='z')
        .chain([' ', '?'])
        .enumerate()
        .map(|(id, c)| (c.to_string(), json!(id)))
        .collect();
    json!({ "version": "1.0", "truncation": null, "padding": null, "added_tokens": [], "normalizer": null, "pre_tokenizer": null,
        "post_processor": null, "decoder": null, "model": { "type": "BPE", "dropout": null, "unk_token": "?",
        "continuing_subword_prefix": null, "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false,
        "vocab": vocab, "merges": [] } })
    .to_string()
}

/// Sizes that no machine holds are refused before anything is laid out for them, of folders and of
/// checkpoints.
#[test]
fn sizes_are_bounded() {
    let sandbox = Sandbox::new();
    let Some(models) = models() else { return };
    copied(&format!("{models}/llama"), &sandbox.path("F"));
    sandbox.ok(&["convert", "F", "C"]);
    for (size, words) in [
        (["--n-layers", "100000000000"], "1 to 16384"),
        (["--n-layers", "1000000"], "1 to 16384"),
        (["--n-layers", "0"], "1 to 16384"),
        (["--n-layers", "16000"], "at most 1024 are allowed"),
        (["--d-model", "16000000"], "GB"),
        (["--d-model", "160000000000"], "1 to 16777216"),
        (["--d-ff", "1000000000000000000"], "1 to 16777216"),
        (["--n-heads", "1000000000"], "1 to 16384"),
        (["--n-kv-heads", "1000000000"], "1 to 16384"),
    ] {
        for from in ["F", "C"] {
            for command in [&["grow", from, "G"][..], &["doctor", from]] {
                let (code, error) = sandbox.wrong(&[command, &size].concat());
                assert!(code == 2 && error.contains(words), "{command:?} {size:?}: {error}");
            }
        }
    }
    for list in [
        r#"[{"transform": "hidden_expansion", "d_model": 16000000}]"#,
        r#"[{"transform": "mlp_expansion", "d_ff": 160000000000}]"#,
        r#"[{"transform": "head_addition", "n_new_heads": 1000000000}]"#,
    ] {
        sandbox.write("growths.json", list);
        let (code, error) = sandbox.wrong(&["grow", "F", "G", "--apply", "growths.json"]);
        assert!(code == 2 && !sandbox.path("G").exists(), "{error}");
    }
    let grown = [
        &["grow", "F", "G"][..],
        &["--n-layers", "1000", "--n-heads", "16384", "--n-kv-heads", "16384"],
    ]
    .concat();
    let (code, error) = sandbox.wrong(&grown);
    assert!(code == 2 && error.contains("at most 1048576 are allowed in all"), "{error}");
}

/// What a shorter type does is said, with what to do.
#[test]
fn a_shorter_type_is_refused_with_a_hint() {
    let sandbox = Sandbox::new();
    let Some(models) = models() else { return };
    copied(&format!("{models}/llama"), &sandbox.path("F"));
    for name in ["bfloat16", "float16"] {
        let (code, error) = sandbox.wrong(&["grow", "F", "G", "--d-ff", "64", "--dtype", name]);
        let hint = format!("{name} rounds the weights themselves, which are stored in float32");
        assert!(code == 1 && error.contains(&hint) && error.contains("--dtype float32"), "{error}");
    }
    // Too large for float16.
    copied(&format!("{models}/llama"), &sandbox.path("H"));
    let path = sandbox.path("H/model.safetensors");
    let mut bytes = fs::read(&path).expect("read");
    let last = bytes.len() - 4;
    bytes[last..].copy_from_slice(&1e6_f32.to_le_bytes());
    fs::write(path, bytes).expect("written");
    let (code, error) = sandbox.wrong(&["grow", "H", "G", "--d-ff", "64", "--dtype", "float16"]);
    assert!(
        code == 2 && error.contains("its numbers are too large") && error.contains("infinity"),
        "{error}"
    );
    assert!(!sandbox.path("G").exists());
}

/// Ctrl-C ends a growth at once and leaves nothing behind.
#[test]
fn a_growth_that_is_stopped_leaves_nothing() {
    let sandbox = Sandbox::new();
    let Some(models) = models() else { return };
    copied(&format!("{models}/llama"), &sandbox.path("F"));
    let entries = || {
        fs::read_dir(sandbox.path(""))
            .expect("a folder")
            .map(|e| e.expect("one").file_name())
            .collect::<Vec<_>>()
    };
    let before = entries().len();
    // Some 540 MB, which take a while.
    let mut child = sandbox.start(&["grow", "F", "G", "--d-model", "200000"]);
    while entries().len() == before {
        assert!(child.try_wait().expect("a child").is_none(), "it was done before it was stopped");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    crate::sandbox::signal(&[child.id() as i32], nix::sys::signal::Signal::SIGINT);
    assert_eq!(child.wait().expect("it ends").code(), Some(130));
    assert_eq!(entries().len(), before, "{:?}", entries());
}
