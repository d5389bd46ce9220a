//! Checkpoints are untrusted input: whatever is in their files, reading them gives a checkpoint or an error.

use std::fs;

use outgrow_core::{Activation, Architecture, Form, LayerShape, Norm, Positions, Rotary};
use outgrow_testkit::fuzz::fuzz;
use outgrow_train::{
    Checkpoint, Device, TrainingState,
    hub::{self, HubModel},
};
use tch::Kind;

const FILES: [&str; 2] = ["checkpoint.json", "model.safetensors"];

#[test]
fn checkpoints() {
    outgrow_train::device::initialise(1);
    let form = Form::decoder(Norm::RmsNorm, 1e-5);
    let architecture = Architecture::uniform(8, 4, 4, 1, LayerShape::uniform(1, 2, 2, 4), form);
    // On memory, where the system has it: a disk would be measured, not the reader.
    let base = if fs::metadata("/dev/shm").is_ok() { "/dev/shm".into() } else { std::env::temp_dir() };
    let place = tempfile::tempdir_in(base).expect("a folder");
    let folder = place.path().join("checkpoint");
    let state = TrainingState::fresh(&architecture, 1, Kind::Float, Device::Cpu);
    Checkpoint { state, progress: None }.write(&folder).expect("written");
    // Without digests, as other programs write them: so that what is wrong is not found by its digest alone.
    let head = fs::read_to_string(folder.join(FILES[0])).expect("read");
    let mut value: serde_json::Value = serde_json::from_str(&head).expect("JSON");
    value.as_object_mut().expect("an object").remove("digests");
    fs::write(folder.join(FILES[0]), value.to_string()).expect("written");
    for file in FILES {
        let path = folder.join(file);
        let whole = fs::read(&path).expect("read");
        fuzz(file, &[&whole], |input| {
            fs::write(&path, input).expect("written");
            let _ = Checkpoint::read(&folder, Device::Cpu);
        });
        fs::write(&path, &whole).expect("written");
    }
    Checkpoint::read(&folder, Device::Cpu).expect("as it was");
}

/// Whatever a folder of transformers holds, it is read or refused, within memory and time.
#[test]
fn folders_of_transformers() {
    outgrow_train::device::initialise(1);
    let base = if fs::metadata("/dev/shm").is_ok() { "/dev/shm".into() } else { std::env::temp_dir() };
    let place = tempfile::tempdir_in(base).expect("a folder");
    let rotary = Rotary { theta: 1e4, width: 4, channels: None, scaling: None };
    let form = Form {
        positions: Positions::Rotary(rotary),
        activation: Activation::Silu,
        gated: true,
        mlp_bias: false,
        ..Form::decoder(Norm::RmsNorm, 1e-5)
    };
    // Heads wider than the positions' own width: written with factors, in float64.
    let architecture = Architecture::uniform(7, 8, 8, 2, LayerShape::uniform(2, 6, 6, 12), form);
    let state = TrainingState::fresh(&architecture, 1, Kind::Double, Device::Cpu);
    let folder = place.path().join("model");
    hub::export(&state, &folder, None, hub::Dtype::Float64).expect("written");
    for file in ["config.json", "model.safetensors"] {
        let path = folder.join(file);
        let whole = fs::read(&path).expect("read");
        let other =
            String::from_utf8_lossy(&whole).replace("longrope", "llama3").replace("llama\"", "gpt_neox\"").into_bytes();
        fuzz(&format!("hub-{file}"), &[&whole, &other], |input| {
            fs::write(&path, input).expect("written");
            let _ = HubModel::read(&folder);
        });
        fs::write(&path, &whole).expect("written");
    }
    HubModel::read(&folder).expect("as it was");
}
