//! Folders as Hugging Face's transformers keeps them, without transformers: what is written is read
//! again, grown, damaged. (That transformers itself agrees is tested by running the binary.)

use std::{
    fs,
    path::{Path, PathBuf},
};

use outgrow_core::{
    Activation, Architecture, Form, Growth, HeadShape, LayerShape, Norm, Positions, Rotary,
    Transform,
    edit::Initializer,
    growth::transform::{
        AttentionExpansion, HeadAddition, HeadsExpansion, HiddenExpansion, LayerAddition,
        MlpExpansion,
    },
};
use outgrow_train::{
    Checkpoint, Device, GrowError, GrowRequest, GrownModel, TrainingState, grow_verified,
    hub::{self, Dtype, Family, HubModel},
};
use tch::Kind;

fn architecture(family: Family, tied: bool) -> Architecture {
    let rotary = |channels: Option<usize>| {
        Positions::Rotary(Rotary {
            theta: 1e4,
            width: channels.unwrap_or(8),
            channels,
            scaling: None,
        })
    };
    let llama = Form {
        positions: rotary(None),
        activation: Activation::Silu,
        gated: true,
        mlp_bias: false,
        tied,
        ..Form::decoder(Norm::RmsNorm, 1e-6 * 24.0)
    };
    let gpt2 = Form {
        activation: Activation::GeluTanh,
        qkv_bias: true,
        output_bias: true,
        tied,
        ..Form::decoder(Norm::LayerNorm, 1e-5 * 24.0)
    };
    let (form, head, n) = match family {
        Family::Llama => (llama, HeadShape { n_queries: 2, d_k: 8, d_v: 8 }, 2),
        Family::Qwen3 => (
            Form { qk_norm_eps: Some(1e-6), ..llama },
            HeadShape { n_queries: 3, d_k: 8, d_v: 8 },
            1,
        ),
        Family::Gpt2 => (gpt2, HeadShape::new(8, 8), 3),
        Family::GptNeox => (
            Form {
                positions: rotary(Some(2)),
                activation: Activation::Gelu,
                parallel: true,
                ..gpt2
            },
            HeadShape::new(8, 8),
            3,
        ),
    };
    let layer = LayerShape::own(vec![head; n], 20);
    Architecture::uniform(31, 16, 24, 2, layer, form)
}

/// A folder with a model of the family.
fn folder(at: &Path, family: Family, tied: bool, dtype: Dtype) -> PathBuf {
    let kind = if dtype == Dtype::Float64 { Kind::Double } else { Kind::Float };
    let state = TrainingState::fresh(&architecture(family, tied), 7, kind, Device::Cpu);
    let to = at.join(format!("{}-{tied}-{}", family.model_type(), dtype.name()));
    hub::export(&state, &to, None, dtype, None).expect("it is written");
    to
}

fn weights(state: &TrainingState) -> Vec<(String, Vec<f64>)> {
    let values = |tensor: &tch::Tensor| {
        Vec::<f64>::try_from(tensor.to_kind(Kind::Double).flatten(0, -1)).expect("numbers")
    };
    state.parts().weights.iter().map(|(id, tensor)| (id.to_string(), values(tensor))).collect()
}

#[test]
fn what_is_written_is_read_again() {
    let sandbox = tempfile::tempdir().expect("a folder");
    for family in Family::ALL {
        for tied in [false, true] {
            let state =
                TrainingState::fresh(&architecture(family, tied), 7, Kind::Float, Device::Cpu);
            let to = folder(sandbox.path(), family, tied, Dtype::Float32);
            assert_eq!(HubModel::read(&to).expect("it reads").family, family);
            let again = Checkpoint::read(&to, Device::Cpu).expect("it reads").state;
            let (found, expected) = (again.architecture().clone(), state.architecture().clone());
            let ratio = found.form.eps_sum / expected.form.eps_sum;
            assert!((ratio - 1.0).abs() < 1e-12, "{family:?}: eps");
            let form = Form { eps_sum: expected.form.eps_sum, ..found.form };
            assert_eq!(Architecture { form, ..found }, expected);
            assert_eq!(weights(&again), weights(&state), "{family:?}");
        }
    }
}

fn growths(family: Family) -> Vec<Growth> {
    let mlp = MlpExpansion { layer: None, d_ff: 28 };
    let deep = LayerAddition { index: 1, shape: None };
    let heads: Transform = match family {
        Family::Llama | Family::Qwen3 => HeadAddition::queries(None, None, 1).into(),
        Family::Gpt2 | Family::GptNeox => HeadAddition::heads(None, 1).into(),
    };
    let d_model = if family == Family::Llama { 36 } else { 32 };
    let mut all: Vec<Growth> =
        vec![mlp.into(), deep.into(), heads.into(), HiddenExpansion { d_model }.into()];
    if family == Family::Llama {
        all.push(AttentionExpansion { layer: None, heads: None, d_k: 12 }.into());
        all.push(HeadsExpansion { layer: None, heads: None, d_v: 12 }.into());
    }
    all
}

#[test]
fn a_grown_folder_computes_the_same() {
    let sandbox = tempfile::tempdir().expect("a folder");
    for family in Family::ALL {
        for (tied, dtype) in
            [(false, Dtype::Float32), (true, Dtype::Float32), (true, Dtype::Float64)]
        {
            let growths = growths(family);
            let from = folder(sandbox.path(), family, tied, dtype);
            fs::write(from.join("tokenizer.json"), "{}").expect("written");
            fs::write(from.join("pytorch_model.bin"), "old").expect("written");
            let to = from.with_extension("grown");
            let grown = grow(&from, &to, &growths).expect("it grows");
            assert!(
                grown.preserving && grown.preservation.holds(),
                "{family:?}: {:?}",
                grown.preservation
            );
            assert!(
                grown.preservation.max_logit > 0.01,
                "a model that says nothing proves nothing"
            );
            assert_eq!(grown.after.layers.len(), 3);
            assert!(to.join("tokenizer.json").exists() && !to.join("pytorch_model.bin").exists());
            assert_eq!(
                grown.left_out.iter().map(|file| &file.name).collect::<Vec<_>>(),
                ["pytorch_model.bin"]
            );
            assert_eq!(HubModel::read(&to).expect("it reads").dtype, dtype);
        }
    }
}

#[test]
fn what_the_format_can_not_say_is_refused_before_the_work() {
    let sandbox = tempfile::tempdir().expect("a folder");
    let cases: [(Family, Growth, &str); 6] = [
        (Family::Llama, MlpExpansion { layer: Some(0), d_ff: 28 }.into(), "every layer alike"),
        (
            Family::Llama,
            HeadsExpansion { layer: None, heads: None, d_v: 12 }.into(),
            "--d-k 12 --d-v 12",
        ),
        (Family::Llama, HiddenExpansion { d_model: 30 }.into(), "--d-model 32"),
        (Family::Gpt2, HiddenExpansion { d_model: 32 }.into(), "--n-heads 4"),
        (Family::GptNeox, HeadAddition::heads(None, 1).into(), "--d-model 32"),
        (Family::Qwen3, AttentionExpansion { layer: None, heads: None, d_k: 16 }.into(), "QK-norm"),
    ];
    for (family, growth, words) in cases {
        let from = folder(sandbox.path(), family, false, Dtype::Float32);
        let to = sandbox.path().join("grown");
        let error = grow(&from, &to, &[growth]).expect_err(words).to_string();
        assert!(error.contains(words), "{error}");
        fs::remove_dir_all(&from).expect("removed");
    }
    let short = folder(sandbox.path(), Family::Llama, false, Dtype::Bfloat16);
    let error =
        grow(&short, &sandbox.path().join("grown"), &[HiddenExpansion { d_model: 36 }.into()])
            .expect_err("rounded");
    assert!(
        matches!(error, GrowError::NotPreserved { .. })
            && error.to_string().contains("--dtype float32"),
        "{error}"
    );
    grow(&short, &sandbox.path().join("grown"), &[HiddenExpansion { d_model: 96 }.into()])
        .expect("a factor of 4 is exact");
}

fn grow(from: &Path, to: &Path, growths: &[Growth]) -> Result<GrownModel, GrowError> {
    let initializer = &Initializer::Normal { scale: 1.0 };
    let (seed, device, dtype) = (1, Device::Cpu, None);
    let request = GrowRequest { growths, initializer, seed, device, dtype };
    grow_verified(from, to, &request, &|_| {})
}

/// Everything that may be wrong with a folder gives an error that names it, and nothing is written.
#[test]
fn damaged_and_hostile_folders_write_nothing() {
    let sandbox = tempfile::tempdir().expect("a folder");
    let secret = sandbox.path().join("secret.safetensors");
    fs::copy(
        folder(sandbox.path(), Family::Gpt2, true, Dtype::Float32).join("model.safetensors"),
        &secret,
    )
    .expect("copied");
    type Damage<'a> = (&'a str, Box<dyn Fn(&Path) + 'a>);
    let weights = |folder: &Path| folder.join("model.safetensors");
    let edit = |folder: &Path, from: &str, to: &str| {
        let path = folder.join("config.json");
        let text = fs::read_to_string(&path).expect("readable");
        assert!(text.contains(from), "{text}");
        fs::write(path, text.replace(from, to)).expect("written");
    };
    let index = |folder: &Path, file: &str| {
        let text =
            format!(r#"{{"metadata": {{}}, "weight_map": {{"model.norm.weight": "{file}"}}}}"#);
        fs::write(folder.join("model.safetensors.index.json"), text).expect("written");
    };
    let cut = |folder: &Path, keep: fn(usize) -> usize| {
        let bytes = fs::read(weights(folder)).expect("readable");
        fs::write(weights(folder), &bytes[..keep(bytes.len())]).expect("written");
    };
    let damages: Vec<Damage> = vec![
        ("no whole safetensors file", Box::new(|f| cut(f, |n| n - 5))),
        ("no whole safetensors file", Box::new(|f| cut(f, |_| 40))),
        ("no whole safetensors file", Box::new(|f| cut(f, |_| 0))),
        (
            "no whole safetensors file",
            Box::new(|f| fs::write(weights(f), [0xff; 64]).expect("written")),
        ),
        (
            "neither model.safetensors nor",
            Box::new(|f| fs::remove_file(weights(f)).expect("removed")),
        ),
        (
            "has shape",
            Box::new(|f| edit(f, r#""intermediate_size": 20"#, r#""intermediate_size": 21"#)),
        ),
        ("has shape", Box::new(|f| edit(f, r#""vocab_size": 31"#, r#""vocab_size": 30"#))),
        (
            "is missing",
            Box::new(|f| edit(f, r#""num_hidden_layers": 2"#, r#""num_hidden_layers": 3"#)),
        ),
        (
            "is no tensor of",
            Box::new(|f| edit(f, r#""num_hidden_layers": 2"#, r#""num_hidden_layers": 1"#)),
        ),
        (
            "more than 16384 layers",
            Box::new(|f| {
                edit(f, r#""num_hidden_layers": 2"#, r#""num_hidden_layers": 99999999999"#)
            }),
        ),
        (
            "it must be from 1 to",
            Box::new(|f| edit(f, r#""hidden_size": 24"#, r#""hidden_size": 0"#)),
        ),
        (
            "must be a whole number",
            Box::new(|f| edit(f, r#""hidden_size": 24"#, r#""hidden_size": -24"#)),
        ),
        (
            "not a multiple",
            Box::new(|f| edit(f, r#""num_key_value_heads": 2"#, r#""num_key_value_heads": 3"#)),
        ),
        ("theta", Box::new(|f| edit(f, "10000.0", "-1"))),
        (
            "it must be a number",
            Box::new(|f| edit(f, r#""rms_norm_eps": 1e-6"#, r#""rms_norm_eps": "small""#)),
        ),
        ("unknown", Box::new(|f| edit(f, r#""model_type": "llama""#, r#""model_type": "mamba""#))),
        ("unknown", Box::new(|f| edit(f, r#""silu""#, r#""tanh""#))),
        ("no JSON object", Box::new(|f| fs::write(f.join("config.json"), "[1]").expect("written"))),
        ("plain file name", Box::new(|f| index(f, "../secret.safetensors"))),
        ("plain file name", Box::new(|f| index(f, secret.to_str().expect("text")))),
        ("plain file name", Box::new(|f| index(f, ".."))),
        ("names it", Box::new(|f| index(f, "model-00001-of-00001.safetensors"))),
        ("no whole safetensors file", Box::new(|f| index(f, "config.json"))),
        (
            "`weight_map` is missing",
            Box::new(|f| fs::write(f.join("model.safetensors.index.json"), "{}").expect("written")),
        ),
    ];
    for (number, (words, damage)) in damages.iter().enumerate() {
        let from = folder(sandbox.path(), Family::Llama, false, Dtype::Float32);
        damage(&from);
        let before = names(sandbox.path());
        let error = grow(
            &from,
            &sandbox.path().join("grown"),
            &[MlpExpansion { layer: None, d_ff: 28 }.into()],
        );
        let error =
            error.err().unwrap_or_else(|| panic!("{number} ({words}) was grown")).to_string();
        assert!(error.contains(words), "{number}: {error}");
        assert_eq!(names(sandbox.path()), before, "{number}: something was written");
        fs::remove_dir_all(&from).expect("removed");
    }
}

fn names(folder: &Path) -> Vec<PathBuf> {
    let mut all: Vec<PathBuf> = fs::read_dir(folder)
        .expect("a folder")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    all.sort();
    all
}
