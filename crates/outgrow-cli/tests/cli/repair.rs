//! `outgrow db check` and `outgrow db repair`: whatever was done to a database or its files, it is
//! found; and after repair and another run the numbers are those of a sweep that nothing happened
//! to.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Stdio,
    sync::OnceLock,
};

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::sandbox::{Sandbox, Server, execute, signal, workers_of};

/// A finished sweep, to be copied; and one whose run was killed.
pub struct Model {
    pub finished: Sandbox,
    pub killed: Sandbox,
    rows: String,
}

pub fn model() -> &'static Model {
    static MODEL: OnceLock<Model> = OnceLock::new();
    MODEL.get_or_init(|| {
        let [finished, killed] = [(); 2].map(|()| Sandbox::new());
        finished.ok(&["run", "sweep.toml", "-j2", "--keep-final", "all"]);
        kill(&killed, 60);
        let rows = finished.rows();
        Model { finished, killed, rows }
    })
}

/// Begins to train, and ends it when so many rows are there, without a word.
fn kill(sandbox: &Sandbox, rows: u64) {
    let mut run = sandbox.start(&["run", "sweep.toml", "-j1"]);
    sandbox.wait_for_rows(rows);
    signal(&[workers_of(run.id()), vec![run.id() as i32]].concat(), Signal::SIGKILL);
    run.wait().expect("it ends");
}

/// A copy of a sandbox with everything on it.
pub fn copy(sandbox: &Sandbox) -> Sandbox {
    let copied = Sandbox::new();
    copy_folder(sandbox.0.path(), copied.0.path());
    copied
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder") {
        let from = entry.expect("an entry").path();
        let to = to.join(from.file_name().expect("a name"));
        match from.is_dir() {
            true => copy_folder(&from, &to),
            false => assert!(fs::copy(&from, &to).is_ok(), "{} is copied", from.display()),
        }
    }
}

fn database(sandbox: &Sandbox) -> String {
    sandbox.path("outgrow.db").display().to_string()
}

/// Exit code of `db check`, and what it found.
fn check(sandbox: &Sandbox) -> (i32, Value) {
    let output = sandbox.run(&["db", "check", "--json"]);
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!errors.contains("panicked"), "{errors}");
    let found =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("no JSON: {errors}"));
    (output.status.code().unwrap_or(-1), found)
}

/// What is wrong is found, mended once, and after another run nothing is missing.
fn assert_mends(sandbox: &Sandbox, what: &str) -> Value {
    let (code, found) = check(sandbox);
    assert_eq!(code, 1, "{what}: nothing was found: {found:#}");
    let mended = sandbox.json(&["db", "repair", "--json"]);
    let kinds = |report: &Value| -> Vec<String> {
        report["findings"]
            .as_array()
            .expect("a list")
            .iter()
            .map(|finding| finding["text"].to_string())
            .collect()
    };
    assert_eq!(kinds(&found), kinds(&mended), "{what}: repair finds what check finds");
    assert_clean(sandbox, what);
    let again = sandbox.json(&["db", "repair", "--json"]);
    assert_eq!(again["findings"], serde_json::json!([]), "{what}: a second repair finds nothing");
    assert_unharmed(sandbox, what);
    found
}

fn assert_clean(sandbox: &Sandbox, what: &str) {
    let (code, found) = check(sandbox);
    assert_eq!((code, &found["findings"]), (0, &serde_json::json!([])), "{what}");
}

fn assert_unharmed(sandbox: &Sandbox, what: &str) {
    sandbox.ok(&["run", "sweep.toml", "-j2"]);
    assert_eq!(sandbox.number("SELECT count(*) FROM finals WHERE state = 'complete'"), 4, "{what}");
    assert!(
        sandbox.rows() == model().rows,
        "{what}: other numbers than those of the undisturbed sweep"
    );
    assert_clean(sandbox, what);
}

/// What is done to a finished sweep, and a word of what is said.
const DONE: &[(&str, &str)] = &[
    ("DELETE FROM eval_metric WHERE is_last = 1", "evaluation is missing"),
    ("DELETE FROM eval_metric WHERE step = 100", "evaluation is missing"),
    ("DELETE FROM eval_metric", "evaluations are missing"),
    ("UPDATE eval_metric SET val_loss = val_loss + 0.5 WHERE trial = 1", "not what was written"),
    ("UPDATE eval_metric SET is_last = 1 - is_last WHERE trial = 1", "not what was written"),
    (
        "UPDATE eval_metric SET checksum = 0, val_loss = 1 WHERE trial = 2 AND is_last = 1",
        "without a checksum",
    ),
    ("DELETE FROM step_metric WHERE step BETWEEN 100 AND 200 AND trial = 1", "steps are missing"),
    ("DELETE FROM step_metric WHERE step = 2 AND trial = 3", "step is missing"),
    ("UPDATE step_metric SET loss = 0.1 WHERE step = 300", "not what was written"),
    ("UPDATE step_metric SET wall_seconds = wall_seconds * 2", "not what was written"),
    ("UPDATE step_metric SET train_flops = train_flops + 1 WHERE step = 2", "FLOPs"),
    (
        "UPDATE step_metric SET step = step + 100000 WHERE step > 350 AND trial = 1",
        "nothing is recorded",
    ),
    (
        "UPDATE step_metric SET attempt = (SELECT min(id) FROM attempt WHERE trial <> \
         step_metric.trial) WHERE step < 50",
        "another trial",
    ),
    ("DELETE FROM growth_event", "growth event"),
    ("UPDATE growth_event SET max_logit_change = 0.5", "not what was written"),
    ("UPDATE growth_event SET transforms = '[]' WHERE stage = 0", "not what was written"),
    ("UPDATE attempt SET epoch = epoch + 7 WHERE trial = 1", "epoch"),
    (
        "UPDATE trial SET definition = replace(definition, 'cosine', 'constant') WHERE number = 1",
        "definition",
    ),
    ("UPDATE trial SET definition = '{' WHERE number = 2", "definition"),
    ("UPDATE trial SET id = '0123456789abcdef0123456789abcdef' WHERE number = 2", "definition"),
    ("UPDATE trial SET tokens = tokens + 1", "tokens is not"),
    (
        "UPDATE trial SET train_flops = 7, parameters = 7, learning_rate = 7 WHERE number = 4",
        "parameters is not",
    ),
    ("UPDATE trial SET state = 'diverged' WHERE number = 1", "diverged"),
    ("UPDATE trial SET state = 'running' WHERE number = 1", "nobody holds it"),
    ("UPDATE attempt SET outcome = NULL WHERE trial = 2", "are open"),
    ("UPDATE member SET kind = 'random' WHERE position = 0", "places"),
    ("UPDATE member SET trial = 1", "places"),
    ("DELETE FROM member WHERE position = 1", "places"),
    ("UPDATE member SET learning_rate = 3", "places"),
    ("UPDATE trial SET state = 'pruned' WHERE number = 2", "never written"),
    ("UPDATE sweep SET name = 'other'", "is called"),
    ("UPDATE sweep SET spec = replace(spec, 'small', 'smaller')", "its text is not"),
    ("UPDATE sweep SET data_digest = 'x'", "its text is not"),
    ("UPDATE checkpoint SET digest = 'x'", "can't be used"),
    ("UPDATE checkpoint SET tokens = 1", "can't be used"),
];

/// The same, where references are not checked.
const UNCHECKED: &[(&str, &str)] = &[
    ("DELETE FROM trial WHERE number = 2", "definition"),
    ("DELETE FROM trial", "definition"),
    ("DELETE FROM attempt WHERE trial = 1", "an attempt that is not there"),
    ("DELETE FROM environment", "an environment that is not there"),
    ("DELETE FROM sweep", "a sweep that is not there"),
    ("DELETE FROM sweep; DELETE FROM trial WHERE number = 3", "a trial that is not there"),
    ("UPDATE step_metric SET trial = 77 WHERE trial = 1", "a trial that is not there"),
    (
        "DELETE FROM trial WHERE number = 1; DELETE FROM eval_metric WHERE trial = 1 AND step > \
         200",
        "definition",
    ),
];

/// Of so many cases one is tried; in the long form (`scripts/test --long`) all are.
fn every(n: usize) -> usize {
    if std::env::var_os("OUTGROW_TEST_LONG").is_some() { 1 } else { n }
}

#[test]
fn wrong_rows_are_found_and_mended() {
    assert_clean(&model().finished, "nothing");
    for (sql, said) in DONE.iter().skip(1).step_by(every(3)) {
        let sandbox = copy(&model().finished);
        execute(&database(&sandbox), sql);
        let found = assert_mends(&sandbox, sql);
        assert!(found["findings"].to_string().contains(said), "{sql}: {found:#}");
    }
    for (sql, said) in UNCHECKED.iter().step_by(every(2)) {
        let sandbox = copy(&model().finished);
        execute(&database(&sandbox), &format!("PRAGMA foreign_keys = OFF; {sql}"));
        let found = assert_mends(&sandbox, sql);
        assert!(found["findings"].to_string().contains(said), "{sql}: {found:#}");
    }
}

/// Views, tables and indexes that are not those of this version.
#[test]
fn another_schema_is_found_and_made_anew() {
    for (sql, said) in [
        ("DROP VIEW finals", "the view finals is missing"),
        (
            "DROP VIEW curves; CREATE VIEW curves AS SELECT 1 AS trial",
            "the view curves is not the one of this version",
        ),
        ("DROP TABLE snapshot", "the table snapshot is missing"),
        ("DROP TABLE snapshot; DROP VIEW finals", "the view finals is missing"),
    ] {
        let sandbox = copy(&model().finished);
        execute(&database(&sandbox), &format!("PRAGMA foreign_keys = OFF; {sql}"));
        let found = assert_mends(&sandbox, sql);
        assert!(found["findings"].to_string().contains(said), "{sql}: {found:#}");
    }
}

/// Words of ours in a file do not make it ours, and looking leaves nothing beside it.
#[test]
fn files_of_other_programs_are_left_alone() {
    let sandbox = Sandbox::new();
    let notes = "my notes on growth_event; CREATE TABLE growth_event (a); CREATE TABLE step_metric";
    sandbox.write("notes.txt", notes);
    sandbox.write("padded.txt", &format!("{notes:1024}"));
    let theirs = sandbox.path("theirs.db").display().to_string();
    fs::write(&theirs, "").expect("written");
    execute(
        &theirs,
        "CREATE TABLE notes (text); INSERT INTO notes VALUES ('CREATE TABLE growth_event, CREATE \
         TABLE step_metric')",
    );
    for file in ["notes.txt", "padded.txt", "theirs.db"] {
        let before = fs::read(sandbox.path(file)).expect("read");
        for command in ["check", "repair"] {
            let (code, said) = sandbox.wrong(&["db", command, file]);
            assert!(code == 2 && said.contains("another program"), "{file}: {code} {said}");
        }
        assert_eq!(fs::read(sandbox.path(file)).expect("read"), before, "{file}");
    }
    nix::unistd::mkfifo(&sandbox.path("pipe"), nix::sys::stat::Mode::S_IRWXU).expect("a pipe");
    fs::create_dir(sandbox.path("folder")).expect("a folder");
    for (what, said) in [("pipe", "no regular file"), ("folder", "is a folder")] {
        for command in ["check", "repair"] {
            let (code, errors) = sandbox.wrong(&["db", command, what]);
            assert!(code == 2 && errors.contains(said), "{what}: {code} {errors}");
        }
    }
    let finished = copy(&model().finished);
    finished.ok(&["db", "check"]);
    for log in ["outgrow.db-wal", "outgrow.db-shm"] {
        assert!(!finished.path(log).exists(), "check left {log}");
    }
}

#[test]
fn wrong_rows_are_found_and_mended_on_a_server() {
    let Some((_server, url)) = Server::start() else { return };
    let base = url.rsplit_once('/').expect("a database").0.to_owned();
    for (number, (sql, said)) in DONE.iter().enumerate().step_by(every(3)) {
        execute(&url, &format!("CREATE DATABASE mend_{number}"));
        let address = format!("{base}/mend_{number}");
        let sandbox = Sandbox::with(Some(address.clone()));
        let finished = copy(&model().finished);
        sandbox.ok(&["db", "copy", &database(&finished), &address]);
        fs::rename(
            finished.path("outgrow.db.checkpoints"),
            sandbox.path(&format!("mend_{number}.checkpoints")),
        )
        .expect("moved");
        execute(&address, sql);
        let found = assert_mends(&sandbox, sql);
        assert!(found["findings"].to_string().contains(said), "{sql}: {found:#}");
    }
}

#[test]
fn no_report_is_made_of_rows_that_are_not_what_was_written() {
    for (sql, said) in [
        (
            "UPDATE eval_metric SET val_loss = val_loss - 0.1 WHERE trial = 1 AND step = 200",
            "not what was written",
        ),
        ("UPDATE growth_event SET max_logit_change = 0", "not what was written"),
        ("DELETE FROM eval_metric WHERE is_last = 1 AND trial = 1", "no last evaluation"),
    ] {
        let sandbox = copy(&model().finished);
        execute(&database(&sandbox), sql);
        for args in [
            &["report", "small", "-o", "report"][..],
            &["export", "--to", "files", "--format", "csv"],
        ] {
            let (code, errors) = sandbox.wrong(args);
            assert!(
                code == 3 && errors.contains(said) && errors.contains("outgrow db check"),
                "{args:?}: {code} {errors}"
            );
        }
        assert!(!sandbox.path("report").exists() && !sandbox.path("files").exists());
    }
}

/// The recorded checkpoints of a sandbox, the newest of each trial first.
fn checkpoints(sandbox: &Sandbox) -> Vec<PathBuf> {
    let sql = "SELECT t.id, path FROM checkpoint c JOIN trial t ON t.number = c.trial ORDER BY \
               trial, step DESC";
    let rows = sandbox.json(&["query", sql, "--format", "json"]);
    let folder = |row: &Value| {
        let (trial, path) =
            (row["id"].as_str().expect("a trial"), row["path"].as_str().expect("a path"));
        sandbox
            .path("outgrow.db.checkpoints")
            .join(trial)
            .join(Path::new(path).file_name().expect("a name"))
    };
    // Older ones were removed when newer ones were recorded.
    rows.as_array().expect("rows").iter().map(folder).filter(|folder| folder.exists()).collect()
}

#[test]
fn wrong_checkpoints_are_found_and_what_they_hold_is_trained_again() {
    type Damage = (&'static str, fn(&Path));
    let damages: [Damage; 4] = [
        ("the folder is gone", |folder| fs::remove_dir_all(folder).expect("removed")),
        ("a file is gone", |folder| {
            // Of a complete trial the weights alone are kept.
            let optimizer = folder.join("optimizer.safetensors");
            let path =
                if optimizer.exists() { optimizer } else { folder.join("model.safetensors") };
            fs::remove_file(path).expect("removed")
        }),
        ("a byte is another", |folder| {
            let path = folder.join("model.safetensors");
            let mut bytes = fs::read(&path).expect("read");
            let middle = bytes.len() / 2;
            bytes[middle] ^= 4;
            fs::write(&path, bytes).expect("written");
        }),
        ("the head is cut off", |folder| {
            fs::write(folder.join("checkpoint.json"), "{").expect("written")
        }),
    ];
    for (what, damage) in damages {
        // All of them, or every other one: then there is one to go back to.
        for every in [1, 2] {
            for model in [&model().killed, &model().finished]
                .into_iter()
                .skip(every - 1)
                .step_by(self::every(2))
            {
                let sandbox = copy(model);
                checkpoints(&sandbox).iter().step_by(every).for_each(|folder| damage(folder));
                let found = assert_mends(&sandbox, what);
                assert!(
                    found["findings"].to_string().contains("can't be used"),
                    "{what}: {found:#}"
                );
            }
        }
    }
    // Complete trials keep their numbers: nothing is trained again.
    let sandbox = copy(&model().finished);
    fs::remove_dir_all(sandbox.path("outgrow.db.checkpoints")).expect("removed");
    let (code, found) = check(&sandbox);
    assert_eq!((code, &found["again"]), (1, &serde_json::json!([])));
}

#[test]
fn a_killed_run_is_mended_whatever_is_lost_of_it() {
    let sandbox = copy(&model().killed);
    let (code, found) = check(&sandbox);
    assert!(code == 1 && found.to_string().contains("nobody holds it"), "{code} {found:#}");
    assert_mends(&sandbox, "killed");
    for sql in [
        "DELETE FROM step_metric WHERE step < 40",
        "DELETE FROM eval_metric",
        "UPDATE step_metric SET loss = 1 WHERE step > 20",
        "DELETE FROM checkpoint",
        "DELETE FROM growth_event",
    ] {
        let sandbox = copy(&model().killed);
        execute(&database(&sandbox), sql);
        assert_mends(&sandbox, sql);
    }
}

/// A number below `n` of a fixed sequence.
fn draw(seed: &mut u64, n: usize) -> usize {
    *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    (*seed >> 33) as usize % n
}

/// After damage to the file: what can be saved is saved, and the rest trained again.
fn assert_recovers(sandbox: &Sandbox, what: &str) {
    let before = fs::read(sandbox.path("outgrow.db")).expect("read");
    let (code, found) = check(sandbox);
    assert!(code == 0 || code == 1, "{what}: {code} {found:#}");
    assert!(
        fs::read(sandbox.path("outgrow.db")).expect("read") == before,
        "{what}: check changes nothing"
    );
    let mended = sandbox.json(&["db", "repair", "--json"]);
    if found.to_string().contains("\"damage\"") {
        let kept = mended["kept"]
            .as_str()
            .expect("a place")
            .rsplit_once(" as ")
            .expect("a name")
            .1
            .to_owned();
        assert!(
            fs::read(sandbox.path(&kept)).expect("read") == before,
            "{what}: the old file is kept as it was"
        );
    }
    assert_clean(sandbox, what);
    assert_unharmed(sandbox, what);
}

#[test]
fn a_damaged_file_is_saved_as_far_as_it_can_be_read() {
    let mut seed = 11;
    for round in 0..if every(2) == 1 { 200 } else { 6 } {
        let sandbox = copy(if round % 3 == 0 { &model().killed } else { &model().finished });
        // What lies in the log goes into the file.
        execute(&database(&sandbox), "PRAGMA wal_checkpoint(TRUNCATE)");
        let path = sandbox.path("outgrow.db");
        let mut bytes = fs::read(&path).expect("read");
        for _ in 0..1 + round % 4 {
            let at = 4096 + draw(&mut seed, bytes.len() - 4096);
            let length = 1 + draw(&mut seed, 300);
            let end = (at + length).min(bytes.len());
            bytes[at..end]
                .iter_mut()
                .for_each(|byte| *byte = byte.wrapping_mul(167).wrapping_add(13));
        }
        fs::write(&path, bytes).expect("written");
        assert_recovers(&sandbox, &format!("round {round}"));
    }
}

#[test]
fn a_file_that_was_cut_off_or_lost_its_first_page_is_begun_anew() {
    for cut in [4096, 20_000, 100_000] {
        let sandbox = copy(&model().finished);
        let path = sandbox.path("outgrow.db");
        let bytes = fs::read(&path).expect("read");
        fs::write(&path, &bytes[..cut.min(bytes.len() - 4096)]).expect("written");
        assert_recovers(&sandbox, &format!("cut at {cut}"));
    }
    for length in [16, 100, 4096] {
        let sandbox = copy(&model().finished);
        let path = sandbox.path("outgrow.db");
        let mut bytes = fs::read(&path).expect("read");
        bytes[..length].fill(0);
        fs::write(&path, bytes).expect("written");
        assert_recovers(&sandbox, &format!("the first {length} bytes"));
    }
    // What is no database of ours is left alone.
    let sandbox = Sandbox::new();
    for text in ["no database at all", "SQLite format 3\0 or so"] {
        sandbox.write("outgrow.db", text);
        for command in ["check", "repair"] {
            let (code, errors) = sandbox.wrong(&["db", command]);
            assert!(code == 2 && errors.contains("another program"), "{command}: {code} {errors}");
        }
        assert_eq!(fs::read(sandbox.path("outgrow.db")).expect("read"), text.as_bytes());
    }
    let (code, errors) = sandbox.wrong(&["db", "check", "nowhere.db"]);
    assert!(code == 2 && errors.contains("there is no database nowhere.db"), "{code} {errors}");
    assert!(!sandbox.path("nowhere.db").exists());
}

#[test]
fn a_live_run_is_left_alone() {
    let sandbox = Sandbox::new();
    sandbox.write(
        "sweep.toml",
        &crate::sandbox::SWEEP.replace("tokens = 25_600", "tokens = 1_638_400"),
    );
    let mut run = sandbox
        .command(&["run", "sweep.toml", "-j1"])
        .stdout(Stdio::null())
        .spawn()
        .expect("it runs");
    sandbox.wait_for_rows(20);
    let said = sandbox.ok(&["db", "check"]);
    let (code, errors) = sandbox.wrong(&["db", "repair"]);
    let orphan = sandbox.path("outgrow.db.checkpoints").join(format!("{}-at-1-1", "0".repeat(32)));
    fs::create_dir_all(&orphan).expect("a folder");
    let found = sandbox.json(&["db", "check", "--json"]);
    signal(&[run.id() as i32], Signal::SIGTERM);
    run.wait().expect("it ends");
    assert!(said.contains("a run is live"), "{said}");
    assert!(
        code == 3 && errors.contains("a run is live") && errors.contains("nothing was changed"),
        "{code} {errors}"
    );
    assert_eq!(
        found["orphans"],
        serde_json::json!([]),
        "what lies on disk is not judged meanwhile"
    );
    assert_clean(&sandbox, "after the run");
    assert_eq!(check(&sandbox).1["orphans"].as_array().map(Vec::len), Some(1));
}

#[test]
fn orphans_are_listed_and_removed_on_demand() {
    let sandbox = copy(&model().finished);
    let (checkpoints, trial) =
        (sandbox.path("outgrow.db.checkpoints"), checkpoints(&sandbox)[0].clone());
    let trial = trial.parent().expect("its folder").to_owned();
    let id = trial.file_name().expect("a name").to_string_lossy().into_owned();
    let unknown = "0".repeat(32);
    let orphans = [
        trial.join("step-0000000001-9"),
        trial.join("step-0000000002-1.tmp-77"),
        checkpoints.join(&unknown),
        checkpoints.join(format!("{id}-at-20-1")),
        sandbox.path("outgrow.db.initial").join(&unknown),
    ];
    for folder in &orphans {
        fs::create_dir_all(folder).expect("a folder");
        fs::write(folder.join("x"), "12345").expect("written");
    }
    fs::create_dir_all(sandbox.path("outgrow.db.text")).expect("a folder");
    sandbox.write(&format!("outgrow.db.text/{unknown}.train"), "text");
    fs::write(trial.join("spool-1"), "left").expect("written");
    // What has no name of ours is nobody's business.
    let mine = [trial.join("notes.txt"), sandbox.write("outgrow.db.text/notes.txt", "mine")];
    fs::write(&mine[0], "mine").expect("written");
    let (code, found) = check(&sandbox);
    assert_eq!((code, found["orphans"].as_array().map(Vec::len)), (0, Some(7)), "{found:#}");
    assert_eq!(found["orphan_bytes"], 5 * 5 + 4 + 4);
    sandbox.ok(&["db", "repair"]);
    assert!(orphans.iter().all(|path| path.exists()), "nobody asked for it");
    sandbox.ok(&["db", "repair", "--remove-orphans"]);
    assert!(orphans.iter().all(|path| !path.exists()) && mine.iter().all(|path| path.exists()));
    assert_eq!(check(&sandbox).1["orphans"], serde_json::json!([]));
    assert_unharmed(&sandbox, "without orphans");
}
