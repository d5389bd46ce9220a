//! Checkpoints, and folders of transformers: read, and asked for a loss as `eval` does.

use std::{fs, path::Path};

use outgrow_core::{
    Activation, Architecture, Form, HeadShape, LayerShape, Norm, Positions, Rotary,
    edit::Initializer, growth::transform::MlpExpansion,
};
use outgrow_train::{
    Checkpoint, Device, GrowRequest, TrainingState, device, grow_verified,
    hub::{self, Dtype, HubModel},
    text_loss,
};
use serde_json::{Value, json};
use tch::Kind;
use tempfile::TempDir;

const HEAD: &str = "checkpoint.json";
const MODEL: &str = "model.safetensors";
const OPTIMIZER: &str = "optimizer.safetensors";
const CONFIG: &str = "config.json";
const INDEX: &str = "model.safetensors.index.json";

/// A folder of a thread, which each target has for itself.
fn folder(fill: impl FnOnce(&Path)) -> TempDir {
    device::initialise(1);
    let place = tempfile::tempdir().expect("a folder");
    fill(place.path());
    place
}

/// A checkpoint in the middle of its training, without digests, as other programs write them: so
/// that a change is found by what it means.
fn checkpoint(place: &Path) {
    let form = Form::decoder(Norm::RmsNorm, 1e-5);
    let architecture = Architecture::uniform(8, 4, 4, 1, LayerShape::uniform(1, 2, 2, 4), form);
    let fresh = TrainingState::fresh(&architecture, 1, Kind::Float, Device::Cpu);
    let state = TrainingState::from_parts(&architecture, fresh.parts(), 1);
    Checkpoint { state, progress: None }.write(&place.join("checkpoint")).expect("written");
    let head = place.join("checkpoint").join(HEAD);
    let mut value: Value = serde_json::from_slice(&fs::read(&head).expect("read")).expect("JSON");
    value.as_object_mut().expect("an object").remove("digests");
    fs::write(head, value.to_string()).expect("written");
}

/// Whether a folder is read; if it is, it must be usable.
fn is_read(folder: &Path) -> bool {
    let Ok(checkpoint) = Checkpoint::read(folder, Device::Cpu) else { return false };
    let _ = text_loss(&checkpoint, &[1, 0, 2, 1, 3], None, Device::Cpu);
    true
}

/// Whether a checkpoint with `input` in the place of one of its files is read.
fn in_checkpoint(place: &TempDir, file: &str, input: &[u8]) -> bool {
    let folder = place.path().join("checkpoint");
    fs::write(folder.join(file), input).expect("written");
    is_read(&folder)
}

fn seed_of(fill: fn(&Path), file: &str) -> Vec<Vec<u8>> {
    vec![fs::read(folder(fill).path().join(file)).expect("read")]
}

pub(crate) fn checkpoint_head(input: &[u8]) -> bool {
    thread_local!(static PLACE: TempDir = folder(checkpoint));
    PLACE.with(|place| in_checkpoint(place, HEAD, input))
}

pub(crate) fn checkpoint_heads() -> Vec<Vec<u8>> {
    seed_of(checkpoint, "checkpoint/checkpoint.json")
}

pub(crate) fn checkpoint_model(input: &[u8]) -> bool {
    thread_local!(static PLACE: TempDir = folder(checkpoint));
    PLACE.with(|place| in_checkpoint(place, MODEL, input))
}

pub(crate) fn checkpoint_models() -> Vec<Vec<u8>> {
    seed_of(checkpoint, "checkpoint/model.safetensors")
}

pub(crate) fn checkpoint_optimizer(input: &[u8]) -> bool {
    thread_local!(static PLACE: TempDir = folder(checkpoint));
    PLACE.with(|place| in_checkpoint(place, OPTIMIZER, input))
}

pub(crate) fn checkpoint_optimizers() -> Vec<Vec<u8>> {
    seed_of(checkpoint, "checkpoint/optimizer.safetensors")
}

/// One small architecture of each family.
fn families() -> [Architecture; 4] {
    let rotary = |channels: Option<usize>| {
        Positions::Rotary(Rotary {
            theta: 1e4,
            width: channels.unwrap_or(4),
            channels,
            scaling: None,
        })
    };
    let llama = Form {
        positions: rotary(None),
        activation: Activation::Silu,
        gated: true,
        mlp_bias: false,
        ..Form::decoder(Norm::RmsNorm, 1e-5)
    };
    let qwen = Form { qk_norm_eps: Some(1e-6), ..llama };
    let gpt2 = Form {
        activation: Activation::GeluTanh,
        qkv_bias: true,
        output_bias: true,
        tied: true,
        ..Form::decoder(Norm::LayerNorm, 1e-4)
    };
    let neox =
        Form { positions: rotary(Some(2)), activation: Activation::Gelu, parallel: true, ..gpt2 };
    let neox = Form { tied: false, ..neox };
    let shared = HeadShape { n_queries: 2, d_k: 4, d_v: 4 };
    let model = |form: Form, heads: Vec<HeadShape>| {
        Architecture::uniform(5, 8, 8, 1, LayerShape::own(heads, 6), form)
    };
    let own = vec![HeadShape::new(4, 4); 2];
    [
        model(llama, vec![shared]),
        model(qwen, vec![shared]),
        model(gpt2, own.clone()),
        model(neox, own),
    ]
}

/// A folder of transformers of each family, `0` to `3`.
fn hubs(place: &Path) {
    for (number, architecture) in families().iter().enumerate() {
        let state = TrainingState::fresh(architecture, 1, Kind::Float, Device::Cpu);
        hub::export(&state, &place.join(number.to_string()), None, Dtype::Float32, None)
            .expect("written");
    }
}

/// The first of the folders, its weights said to be in a file of another name by an index.
fn sharded(place: &Path) {
    hubs(place);
    let (single, shard) = (place.join("0").join(MODEL), "model-00001-of-00001.safetensors");
    let bytes = fs::read(&single).expect("read");
    let length =
        u64::from_le_bytes(*bytes.first_chunk().expect("safetensors begin with a length")) as usize;
    let header: Value = serde_json::from_slice(&bytes[8..8 + length]).expect("JSON");
    let tensors =
        header.as_object().expect("an object").keys().filter(|name| *name != "__metadata__");
    let map: serde_json::Map<String, Value> =
        tensors.map(|name| (name.clone(), json!(shard))).collect();
    let index =
        json!({ "metadata": { "total_size": bytes.len() - 8 - length }, "weight_map": map });
    fs::rename(single, place.join("0").join(shard)).expect("renamed");
    fs::write(place.join("0").join(INDEX), index.to_string()).expect("written");
}

pub(crate) fn hub_config(input: &[u8]) -> bool {
    thread_local!(static PLACE: TempDir = folder(hubs));
    PLACE.with(|place| {
        let read = |number: usize| {
            let folder = place.path().join(number.to_string());
            fs::write(folder.join(CONFIG), input).expect("written");
            is_read(&folder)
        };
        // Beside the weights of each family: only one of them can be right.
        (0..4).fold(false, |any, number| read(number) | any)
    })
}

pub(crate) fn hub_configs() -> Vec<Vec<u8>> {
    let place = folder(hubs);
    let config = |number: usize| {
        fs::read_to_string(place.path().join(number.to_string()).join(CONFIG)).expect("read")
    };
    let mut configs: Vec<String> = (0..4).map(config).collect();
    let first: Value = serde_json::from_str(&configs[0]).expect("JSON");
    for scaling in [
        json!({ "rope_type": "linear", "factor": 2.0 }),
        json!({ "rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 8 }),
        json!({ "rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 8 }),
        json!({ "rope_type": "longrope", "short_factor": [1.0, 1.5], "long_factor": [1.0, 2.5], "original_max_position_embeddings": 8 }),
    ] {
        let mut config = first.clone();
        config["rope_scaling"] = scaling;
        configs.push(config.to_string());
    }
    configs.into_iter().map(String::into_bytes).collect()
}

/// Grown by units of its MLPs, and read again.
pub(crate) fn hub_grown(input: &[u8]) -> bool {
    thread_local!(static PLACE: TempDir = folder(hubs));
    PLACE.with(|place| {
        let to = place.path().join("grown");
        let growths = [MlpExpansion { layer: None, d_ff: 9 }.into()];
        let grow = |number: usize| {
            let from = place.path().join(number.to_string());
            fs::write(from.join(CONFIG), input).expect("written");
            let initializer = &Initializer::Normal { scale: 1.0 };
            let (growths, device, dtype) = (&growths, Device::Cpu, None);
            let request = GrowRequest { growths, initializer, seed: 1, device, dtype };
            let grown = grow_verified(&from, &to, &request, &|_| ()).is_ok();
            assert_eq!(grown, to.exists(), "what was refused is not there");
            assert!(!grown || HubModel::read(&to).is_ok(), "what was written is read");
            let _ = fs::remove_dir_all(&to);
            grown
        };
        (0..4).fold(false, |any, number| grow(number) | any)
    })
}

pub(crate) fn hub_index(input: &[u8]) -> bool {
    thread_local!(static PLACE: TempDir = folder(sharded));
    PLACE.with(|place| {
        let folder = place.path().join("0");
        fs::write(folder.join(INDEX), input).expect("written");
        is_read(&folder)
    })
}

pub(crate) fn hub_indices() -> Vec<Vec<u8>> {
    seed_of(sharded, "0/model.safetensors.index.json")
}

pub(crate) fn hub_model(input: &[u8]) -> bool {
    thread_local!(static PLACE: TempDir = folder(hubs));
    PLACE.with(|place| {
        let read = |number: usize| {
            let folder = place.path().join(number.to_string());
            fs::write(folder.join(MODEL), input).expect("written");
            is_read(&folder) && HubModel::read(&folder).is_ok()
        };
        (0..4).fold(false, |any, number| read(number) | any)
    })
}

pub(crate) fn hub_models() -> Vec<Vec<u8>> {
    let place = folder(hubs);
    (0..4)
        .map(|number| fs::read(place.path().join(number.to_string()).join(MODEL)).expect("read"))
        .collect()
}
