//! What the system refuses, and what belongs to others: nothing whole is given up for it.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use crate::{
    repair::{copy, model},
    sandbox::{Sandbox, execute},
};

/// Every file below a folder, with what it holds.
fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.expect("an entry").path();
        match path.is_dir() {
            true => found.extend(files(&path)),
            false => drop(found.insert(path.clone(), fs::read(&path).expect("read"))),
        }
    }
    found
}

fn checkpoints(sandbox: &Sandbox) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = files(&sandbox.path("outgrow.db.checkpoints"));
    found.retain(|path, _| !path.ends_with("clean.lock"));
    found
}

/// Runs by a shell, as `outgrow` in its words.
fn shell(sandbox: &Sandbox, script: &str) -> Output {
    let script = script.replace("outgrow ", &format!("{} ", env!("CARGO_BIN_EXE_outgrow")));
    let mut command = Command::new("sh");
    command.args(["-c", &script]).current_dir(sandbox.0.path());
    command.env_remove("OUTGROW_FILES").env_remove("OUTGROW_DB").output().expect("it runs")
}

/// Exit code and all that it says where no file can grow, as on a full disk.
fn on_a_full_disk(sandbox: &Sandbox, command: &str) -> (i32, String) {
    let output = shell(sandbox, &format!("trap '' XFSZ; ulimit -f 10; exec outgrow {command}"));
    let said = [output.stdout, output.stderr].concat();
    (output.status.code().unwrap_or(-1), String::from_utf8_lossy(&said).into_owned())
}

#[test]
fn what_can_not_be_opened_is_not_damaged() {
    let sandbox = copy(&model().finished);
    let (database, kept) =
        (fs::read(sandbox.path("outgrow.db")).expect("read"), checkpoints(&sandbox));
    let names = || fs::read_dir(sandbox.0.path()).expect("a folder").count();
    fs::create_dir(sandbox.path("outgrow.db-wal")).expect("a folder");
    let before = names();
    for command in [
        &["db", "check"][..],
        &["db", "repair"],
        &["db", "repair", "--remove-orphans"],
        &["status"],
    ] {
        let (code, why) = sandbox.wrong(command);
        assert!(
            code == 3 && why.contains("outgrow.db-wal is no regular file"),
            "{command:?}: {why}"
        );
    }
    assert!(names() == before && checkpoints(&sandbox) == kept, "nothing is set aside or removed");
    assert!(fs::read(sandbox.path("outgrow.db")).expect("read") == database);
    fs::remove_dir(sandbox.path("outgrow.db-wal")).expect("removed");
    sandbox.ok(&["db", "check"]);
}

#[test]
fn a_full_disk_is_told_and_can_be_read() {
    let sandbox = copy(&model().finished);
    execute(&sandbox.path("outgrow.db").display().to_string(), "PRAGMA wal_checkpoint(TRUNCATE)");
    let (database, kept) =
        (fs::read(sandbox.path("outgrow.db")).expect("read"), checkpoints(&sandbox));
    for command in [
        "status",
        "path from_scratch/0#1",
        "query 'SELECT 1 AS one'",
        "db check",
        "clean --dry-run",
    ] {
        let (code, said) = on_a_full_disk(&sandbox, command);
        assert_eq!(code, 0, "{command}: {said}");
    }
    for command in ["rm small --yes", "clean"] {
        let (code, said) = on_a_full_disk(&sandbox, command);
        let is_told = said.contains("the disk is full") && said.contains("free about 1 MB");
        assert!(code == 3 && is_told, "{command}: {code} {said}");
    }
    assert!(fs::read(sandbox.path("outgrow.db")).expect("read") == database);
    assert!(checkpoints(&sandbox) == kept, "nothing is removed that is still recorded");
    sandbox.ok(&["db", "check"]);
}

/// Where rows of trials are lost, whole folders look as if they belonged to nothing.
#[test]
fn files_of_lost_trials_are_no_orphans() {
    let sandbox = copy(&model().finished);
    let path = sandbox.path("outgrow.db");
    execute(&path.display().to_string(), "PRAGMA wal_checkpoint(TRUNCATE)");
    let page = sandbox.number("SELECT rootpage AS n FROM sqlite_schema WHERE name = 'trial'");
    let mut bytes = fs::read(&path).expect("read");
    let at = (page as usize - 1) * 4096;
    bytes[at..at + 4096].fill(0xff);
    fs::write(&path, bytes).expect("written");
    let kept = checkpoints(&sandbox);
    let found = sandbox.run(&["db", "check", "--json"]);
    let found: serde_json::Value = serde_json::from_slice(&found.stdout).expect("JSON");
    assert_eq!(
        (&found["orphans"], &found["orphans_known"]),
        (&serde_json::json!([]), &false.into())
    );
    let (code, why) = sandbox.wrong(&["db", "repair", "--remove-orphans"]);
    assert!(code == 1 && why.contains("no orphan was removed"), "{code} {why}");
    assert!(checkpoints(&sandbox) == kept);
}

#[test]
fn a_copy_leaves_the_files_of_its_original_alone() {
    let sandbox = copy(&model().finished);
    let kept = checkpoints(&sandbox);
    sandbox.ok(&["db", "copy", "outgrow.db", "copied.db"]);
    fs::copy(sandbox.path("outgrow.db"), sandbox.path("cp.db")).expect("copied");
    for database in ["copied.db", "cp.db"] {
        let rows = "SELECT count(*) AS n FROM checkpoint";
        let rows = || sandbox.json(&["--db", database, "query", rows, "--format", "json"]);
        let before = rows();
        for keep in ["weights", "none", "all"] {
            let said = sandbox.ok(&["--db", database, "clean", "--keep-final", keep]);
            let is_told = said.contains("checkpoints lie elsewhere, as in outgrow.db.checkpoints");
            assert!(is_told && said.starts_with("there is nothing to remove"), "{said}");
            let would = sandbox.json(&[
                "--db",
                database,
                "clean",
                "--keep-final",
                keep,
                "--dry-run",
                "--json",
            ]);
            assert_eq!((&would["bytes"], would["elsewhere"].as_u64()), (&0.into(), Some(8)));
        }
        let status = sandbox.json(&["--db", database, "status", "--json"]);
        assert_eq!((&status[0]["checkpoint_bytes"], rows()), (&0.into(), before));
        sandbox.ok(&["--db", database, "rm", "small", "--yes"]);
        assert!(checkpoints(&sandbox) == kept, "{database}");
    }
    sandbox.ok(&["db", "check"]);
}

#[test]
fn finishing_a_copied_sweep_leaves_what_it_began_from() {
    let sandbox = copy(&model().killed);
    let kept = checkpoints(&sandbox);
    assert!(!kept.is_empty());
    sandbox.ok(&["db", "copy", "outgrow.db", "copied.db"]);
    sandbox.ok(&["--db", "copied.db", "run", "sweep.toml", "-j2"]);
    assert!(checkpoints(&sandbox) == kept, "the original's checkpoints are its own");
    sandbox.ok(&["--db", "copied.db", "clean"]);
    assert!(checkpoints(&sandbox) == kept);
}

#[test]
fn an_answer_replaces_answers_alone() {
    let sandbox = copy(&model().finished);
    fs::copy(sandbox.path("outgrow.db"), sandbox.path("other.db")).expect("copied");
    sandbox.write("text.txt", &"Call me Ishmael. Some years ago, ...\n".repeat(9));
    fs::create_dir(sandbox.path("folder")).expect("a folder");
    let sql = "SELECT state, val_loss FROM finals";
    for (file, why) in [
        ("other.db", "a SQLite database"),
        ("text.txt", "--force"),
        ("folder", "name a file in it"),
    ] {
        let before = fs::read(sandbox.path(file)).ok();
        for format in ["table", "csv", "json", "jsonl", "parquet"] {
            let (code, said) = sandbox.wrong(&["query", sql, "-o", file, "--format", format]);
            assert!(code == 2 && said.contains(file) && said.contains(why), "{format}: {said}");
        }
        assert!(fs::read(sandbox.path(file)).ok() == before, "{file}");
    }
    for format in ["table", "csv", "json", "jsonl", "parquet"] {
        let file = format!("answer-{format}");
        sandbox.ok(&["query", "SELECT 1 AS a, 2 AS b", "-o", &file, "--format", format]);
        sandbox.ok(&["query", sql, "-o", &file, "--format", format]);
    }
    sandbox.ok(&["query", sql, "-o", "text.txt", "--force"]);
    assert!(fs::read_to_string(sandbox.path("text.txt")).expect("read").contains("val_loss"));
}

#[test]
fn what_nobody_can_hear_stops_nothing() {
    let sandbox = Sandbox::new();
    let few = crate::sandbox::SWEEP.replace("25_600", "2_560");
    sandbox.write("sweep.toml", &few);
    let output = shell(&sandbox, "exec outgrow run sweep.toml -j2 2>/dev/full");
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(sandbox.number("SELECT count(*) FROM finals WHERE state = 'complete'"), 4);
    for (command, code) in
        [("status nowhere", 2), ("--db none.db status", 2), ("plan sweep.toml", 0)]
    {
        let output = shell(&sandbox, &format!("exec outgrow {command} 2>/dev/full"));
        assert_eq!(output.status.code(), Some(code), "{command}");
    }
    // Who reads all that it says and goes away.
    shell(&sandbox, "{ outgrow run nowhere.toml 2>&1; echo $? >code; } | head -c 0");
    assert_eq!(fs::read_to_string(sandbox.path("code")).expect("read").trim(), "2");
}
