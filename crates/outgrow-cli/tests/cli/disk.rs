//! What stays on the disk: `--keep-final`, `outgrow clean`, `outgrow rm`, `outgrow path`.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::sandbox::{SWEEP, Sandbox, Server, execute, signal, workers_of};

const RUN: &[&str] = &["run", "sweep.toml", "-j2"];
const KEEP_ALL: &[&str] = &["run", "sweep.toml", "-j2", "--keep-final", "all"];

/// Every folder of a checkpoint, in order.
fn checkpoints(sandbox: &Sandbox) -> Vec<PathBuf> {
    let entries = |folder: &Path| {
        let entries = fs::read_dir(folder).into_iter().flatten();
        let mut paths: Vec<PathBuf> =
            entries.map(|entry| entry.expect("an entry").path()).collect();
        paths.sort();
        paths
    };
    let trials = entries(&sandbox.path("outgrow.db.checkpoints"));
    trials.iter().filter(|path| path.is_dir()).flat_map(|trial| entries(trial)).collect()
}

fn has_optimizer(folder: &Path) -> bool {
    folder.join("optimizer.safetensors").exists()
}

/// The database and its files are as they were written, and nothing lies there beside.
fn assert_clean(sandbox: &Sandbox) {
    let found = sandbox.json(&["db", "check", "--json"]);
    assert_eq!(found["orphans"].as_array().map(Vec::len), Some(0), "{found:#}");
}

#[test]
fn a_complete_trial_leaves_its_weights_all_or_nothing() {
    let [weights, all, none] = [(); 3].map(|()| Sandbox::new());
    weights.ok(RUN);
    all.ok(KEEP_ALL);
    none.ok(&["run", "sweep.toml", "-j2", "--keep-final", "none"]);
    assert_eq!((weights.rows(), none.rows()), (all.rows(), all.rows()));
    let kept = checkpoints(&weights);
    assert!(kept.len() == 4 && !kept.iter().any(|folder| has_optimizer(folder)), "{kept:?}");
    let kept = checkpoints(&all);
    assert!(kept.len() == 8 && kept.iter().all(|folder| has_optimizer(folder)), "{kept:?}");
    assert!(checkpoints(&none).is_empty());
    for sandbox in [&weights, &all, &none] {
        assert_clean(sandbox);
        let status = sandbox.json(&["status", "--json"]);
        let bytes = status[0]["checkpoint_bytes"].as_u64().expect("bytes");
        assert_eq!(bytes > 0, !checkpoints(sandbox).is_empty(), "{status}");
    }
    let (code, why) = none.wrong(&["path", "from_scratch/0#0"]);
    assert!(code == 2 && why.contains("--keep-final weights"), "{why}");
    // The weights are those of the whole checkpoint, to the last bit.
    let path = |sandbox: &Sandbox| sandbox.ok(&["path", "random/1#1"]).trim().to_owned();
    let of = |sandbox: &Sandbox| fs::read(sandbox.path(&path(sandbox)).join("model.safetensors"));
    assert_eq!(of(&weights).expect("weights"), of(&all).expect("weights"));
}

#[test]
fn what_reads_checkpoints_reads_weights_alone() {
    let sandbox = Sandbox::new();
    sandbox.ok(RUN);
    let path = sandbox.ok(&["path", "random/0#0"]).trim().to_owned();
    sandbox.write("text.txt", "fn main() { let x = 1; }\n".repeat(20).as_str());
    sandbox.ok(&["eval", &path, "--text", "text.txt"]);
    sandbox.ok(&["grow", &path, "grown", "--d-ff", "40"]);
    sandbox.ok(&["doctor", &path, "--d-ff", "40"]);
    sandbox.ok(&["check", &path, "--compositions", "2"]);
    let sweep = SWEEP.replace("name = \"small\"", "name = \"further\"");
    let sweep = sweep.lines().map(|line| match line.split(' ').next() {
        Some("initial") => format!("initial = {{ checkpoint = \"{path}\" }}"),
        Some("target") => "target = { d_model = 12, n_layers = 2, n_heads = 2, d_k = 6, d_v = 6, \
                           d_ff = 48 }"
            .into(),
        Some("tokens") => "tokens = 1_280".into(),
        _ => line.to_owned(),
    });
    sandbox.write("further.toml", &sweep.collect::<Vec<_>>().join("\n"));
    sandbox.ok(&["run", "further.toml", "-j2"]);
    // What is lost is trained again, from the beginning where there is nothing to go on from.
    let rows = sandbox.rows();
    let database = sandbox.path("outgrow.db").display().to_string();
    let last = "DELETE FROM eval_metric WHERE is_last = 1 AND trial IN
                (SELECT trial FROM member m JOIN sweep s ON s.id = m.sweep_id WHERE name = 'small')";
    execute(&database, last);
    sandbox.ok(&["db", "repair"]);
    sandbox.ok(RUN);
    assert_eq!(sandbox.rows(), rows);
    assert_clean(&sandbox);
}

#[test]
fn clean_removes_what_no_trial_needs() {
    let sandbox = Sandbox::new();
    sandbox.ok(KEEP_ALL);
    let rows = sandbox.rows();
    let before = checkpoints(&sandbox);
    let trial = before[0].parent().expect("a trial").to_owned();
    for name in ["step-0000000007-1.tmp-1", "step-0000000009-1"] {
        fs::create_dir(trial.join(name)).expect("a folder");
        fs::write(trial.join(name).join("model.safetensors"), vec![0; 1000]).expect("written");
    }
    let unknown = trial.with_file_name("0".repeat(32));
    fs::create_dir(&unknown).expect("a folder");
    let would = sandbox.json(&["clean", "--dry-run", "--json"]);
    assert_eq!(checkpoints(&sandbox).len(), before.len() + 2, "nothing was removed");
    let did = sandbox.json(&["clean", "--json"]);
    assert_eq!((&would["garbage"], &would["bytes"]), (&did["garbage"], &did["bytes"]));
    let kinds: Vec<&str> = did["garbage"]
        .as_array()
        .expect("kinds")
        .iter()
        .filter_map(|k| k["what"].as_str())
        .collect();
    assert_eq!(
        kinds,
        [
            "checkpoints of trials that no sweep has",
            "folders that were never finished, or are not recorded",
            "older checkpoints of complete trials",
            "optimizer states of complete trials",
        ]
    );
    let kept = checkpoints(&sandbox);
    assert!(kept.len() == 4 && !kept.iter().any(|folder| has_optimizer(folder)), "{kept:?}");
    assert!(!unknown.exists());
    assert_clean(&sandbox);
    assert_eq!(sandbox.rows(), rows);
    assert_eq!(sandbox.ok(&["clean"]).trim(), "there is nothing to remove");
    let path = sandbox.ok(&["path", "random/0#0"]).trim().to_owned();
    sandbox.write("text.txt", "fn main() { let x = 1; }\n".repeat(20).as_str());
    sandbox.ok(&["eval", &path, "--text", "text.txt"]);
    let (code, why) = sandbox.wrong(&["clean", "smal"]);
    assert!(code == 2 && why.contains("there is small"), "{why}");
    sandbox.ok(&["clean", "small", "--keep-final", "none"]);
    assert!(checkpoints(&sandbox).is_empty());
    assert_clean(&sandbox);
}

#[test]
fn clean_beside_a_run_changes_nothing_of_it() {
    let undisturbed = Sandbox::new();
    undisturbed.ok(RUN);
    cleaned_while_it_runs(&Sandbox::new(), &undisturbed.rows());
}

#[test]
fn clean_beside_a_run_changes_nothing_of_it_on_a_server() {
    let Some((_server, url)) = Server::start() else { return };
    let undisturbed = Sandbox::new();
    undisturbed.ok(RUN);
    cleaned_while_it_runs(&Sandbox::with(Some(url)), &undisturbed.rows());
}

fn cleaned_while_it_runs(sandbox: &Sandbox, rows: &str) {
    let mut run = sandbox.start(RUN);
    sandbox.wait_for_rows(5);
    let mut rounds = 0;
    while run.try_wait().expect("it can be asked").is_none() {
        sandbox.ok(&["clean"]);
        rounds += 1;
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(rounds > 0 && run.wait().expect("it ends").success());
    assert_eq!(sandbox.rows(), rows);
    sandbox.ok(&["clean"]);
    let found = sandbox.json(&["db", "check", "--json"]);
    assert_eq!(found["findings"].as_array().map(Vec::len), Some(0), "{found:#}");
}

/// The first sweep, and one with a replicate more.
fn two_sweeps(sandbox: &Sandbox) {
    let larger = SWEEP.replace("replicates = 2", "replicates = 3").replace("small", "larger");
    sandbox.write("larger.toml", &larger);
    sandbox.ok(RUN);
    sandbox.ok(&["run", "larger.toml", "-j2"]);
}

#[test]
fn rm_removes_a_sweep_and_nothing_that_others_have() {
    rm_removes(&Sandbox::new());
}

#[test]
fn rm_removes_a_sweep_and_nothing_that_others_have_on_a_server() {
    let Some((_server, url)) = Server::start() else { return };
    rm_removes(&Sandbox::with(Some(url)));
}

fn rm_removes(sandbox: &Sandbox) {
    two_sweeps(sandbox);
    let count = |table: &str| sandbox.number(&format!("SELECT count(*) AS n FROM {table}"));
    assert_eq!((count("trial"), count("sweep")), (6, 2));
    let rows = sandbox.json(&[
        "query",
        "SELECT trial, step, val_loss FROM curves WHERE sweep = \
                                        'small' ORDER BY 1, 2",
        "--format",
        "json",
    ]);
    let (code, why) = sandbox.wrong(&["rm", "larger"]);
    assert!(code == 2 && why.contains("--yes"), "{why}");
    let would = sandbox.json(&["rm", "larger", "--dry-run", "--json"]);
    assert_eq!((would["trials"].as_u64(), would["shared"].as_u64()), (Some(2), Some(4)));
    assert_eq!((count("trial"), count("sweep")), (6, 2));
    let said = sandbox.ok(&["rm", "larger", "--yes"]);
    assert!(said.contains("4 trials that other sweeps have, too, stay"), "{said}");
    assert_eq!((count("trial"), count("sweep"), count("member")), (4, 1, 4));
    assert_clean(sandbox);
    let after = sandbox.json(&[
        "query",
        "SELECT trial, step, val_loss FROM curves ORDER BY 1, 2",
        "--format",
        "json",
    ]);
    assert_eq!(after, rows);
    sandbox.ok(&["rm", "small", "--yes"]);
    for table in ["trial", "sweep", "step_metric", "attempt", "environment", "checkpoint"] {
        assert_eq!(count(table), 0, "{table}");
    }
    assert!(checkpoints(sandbox).is_empty());
    assert_clean(sandbox);
    let (code, why) = sandbox.wrong(&["rm", "small", "--yes"]);
    assert!(code == 2 && why.contains("there is no sweep `small`"), "{why}");
    // It can be trained again.
    sandbox.ok(RUN);
}

#[test]
fn rm_refuses_a_sweep_that_is_trained() {
    let sandbox = Sandbox::new();
    let mut run = sandbox.start(RUN);
    sandbox.wait_for_rows(5);
    let (code, why) = sandbox.wrong(&["rm", "small", "--yes"]);
    assert!(code == 3 && why.contains("trains small/") && why.contains("`kill "), "{why}");
    signal(&[workers_of(run.id()), vec![run.id() as i32]].concat(), Signal::SIGKILL);
    run.wait().expect("it ends");
    // Whoever held its trials is dead.
    sandbox.ok(&["rm", "small", "--yes"]);
    assert_eq!(sandbox.number("SELECT count(*) AS n FROM trial"), 0);
    assert_clean(&sandbox);
}

#[test]
fn a_trial_is_found_by_its_identity_or_label() {
    let sandbox = Sandbox::new();
    two_sweeps(&sandbox);
    let all = "SELECT trial FROM finals WHERE strategy = 'from_scratch' AND replicate = 1";
    let all: Value = sandbox.json(&["query", all, "--format", "json"]);
    let id = all[0]["trial"].as_str().expect("an identity");
    let path = sandbox.ok(&["path", id]);
    assert!(path.contains(id) && sandbox.path(path.trim()).is_dir() && path.lines().count() == 1);
    let labels = ["from_scratch/0#1", "small/from_scratch/0#1", "larger/from_scratch/0#1@5e-3"];
    for name in [&id[..8]].into_iter().chain(labels) {
        assert_eq!(sandbox.ok(&["path", name]), path, "{name}");
    }
    let (code, why) = sandbox.wrong(&["path", "nobody/0#1"]);
    assert!(code == 2 && why.contains("strategy/plan#replicate"), "{why}");
    fs::remove_dir_all(sandbox.path("outgrow.db.checkpoints")).expect("removed");
    let (code, why) = sandbox.wrong(&["path", id]);
    assert!(code == 3 && why.contains("--files"), "{why}");
    // One strategy, two rates.
    let rates = SWEEP.replace("name = ", "grid.training.learning_rate = [5e-3, 1e-2]\nname = ");
    sandbox.write("rates.toml", &rates.replace("small", "rates"));
    sandbox.ok(&["run", "rates.toml", "-j2"]);
    let (code, why) = sandbox.wrong(&["path", "rates/from_scratch/0#0"]);
    assert!(code == 2 && why.contains("2 trials answer") && why.contains("#0@0.01"), "{why}");
    sandbox.ok(&["path", "rates/from_scratch/0#0@0.01"]);
}
