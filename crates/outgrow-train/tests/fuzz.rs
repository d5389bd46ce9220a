//! Checkpoints are untrusted input: whatever is in their files, reading them gives a checkpoint or an error.

use std::fs;

use outgrow_core::{Architecture, Form, LayerShape, Norm};
use outgrow_testkit::fuzz::fuzz;
use outgrow_train::{Checkpoint, Device, TrainingState};
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
