//! What commands write, and where: any name, any folder, any state of the sweep.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::sandbox::{SWEEP, Sandbox};

fn trained() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.ok(&["run", "sweep.toml", "-j", "2"]);
    sandbox
}

/// Every file below a folder, with what it holds.
fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        match path.is_dir() && !path.is_symlink() {
            true => found.extend(files(&path)),
            false => drop(found.insert(path.clone(), fs::read(&path).unwrap_or_default())),
        }
    }
    found
}

/// Changes a database as no command does; false where there is no Python.
fn change(sandbox: &Sandbox, database: &str, statements: &[(&str, &str)]) -> bool {
    let script = "import json, sqlite3, sys\nd = sqlite3.connect(sys.argv[1])\n\
                  for sql, value in json.loads(sys.argv[2]): d.execute(sql, (value,) if '?' in \
                  sql else ())\nd.commit()";
    let statements = serde_json::to_string(statements).expect("plain data");
    let status = Command::new("python3")
        .args(["-c", script])
        .arg(sandbox.path(database))
        .arg(statements)
        .status();
    let Ok(status) = status else {
        outgrow_testkit::skip("there is no python3 here");
        return false;
    };
    assert!(status.success());
    true
}

#[test]
fn names_of_an_old_database_stay_names() {
    let sandbox = trained();
    let long = "x".repeat(300);
    let names = [
        "a\nb\tc|<script>\u{1b}[31m\u{7}\r\u{202e}😀成",
        "../../../escaped",
        "/tmp/absolute",
        "..",
        "",
        "=1+1 \\ _ % & # $ { } ~ ^ \"'`",
        &long,
    ];
    for (number, name) in names.into_iter().enumerate() {
        let database = format!("{number}.db");
        fs::copy(sandbox.path("outgrow.db"), sandbox.path(&database)).expect("copied");
        let renamed = [
            ("UPDATE member SET strategy = ? WHERE strategy = 'random'", name),
            ("UPDATE sweep SET name = ?", name),
        ];
        if !change(&sandbox, &database, &renamed) {
            return;
        }
        let id = sandbox.json(&["query", "SELECT id FROM sweep", "--format", "json"])[0]["id"]
            .as_str()
            .expect("an id")
            .to_owned();
        let before = files(sandbox.0.path());
        fs::create_dir(sandbox.path("out")).expect("a folder");
        for (format, to) in [
            ("tensorboard", "out/tb"),
            ("csv", "out/csv"),
            ("jsonl", "out/jsonl"),
            ("parquet", "out/parquet"),
        ] {
            sandbox.ok(&["export", &id, "--db", &database, "--to", to, "--format", format]);
        }
        sandbox.ok(&["report", &id, "--db", &database]);
        // Whatever was written is in the folder that was named.
        let after = files(sandbox.0.path());
        let named = [sandbox.path("out"), sandbox.path("reports")];
        let elsewhere = |path: &&PathBuf| {
            !named.iter().any(|folder| path.starts_with(folder))
                && !path.to_string_lossy().contains(&database)
        };
        let of = |files: &BTreeMap<PathBuf, Vec<u8>>| {
            files.keys().filter(elsewhere).cloned().collect::<Vec<_>>()
        };
        assert_eq!(of(&before), of(&after), "{name:?}");
        assert_eq!(files(&sandbox.path("out/tb")).len(), 4, "{name:?}: a folder for each trial");
        for path in files(&sandbox.path("out/tb")).keys() {
            assert!(
                path.components().all(|part| part.as_os_str().len() <= 200),
                "{}",
                path.display()
            );
        }
        for text in [
            sandbox.ok(&["status", "--db", &database]),
            sandbox.ok(&["query", "SELECT DISTINCT strategy FROM finals", "--db", &database]),
            sandbox.wrong(&["report", "nobody", "--db", &database]).1,
        ] {
            assert!(
                !text.chars().any(|c| c.is_control() && c != '\n' || c == '\u{202e}'),
                "{name:?}: {text:?}"
            );
        }
        let made = fs::read_dir(sandbox.path("reports")).expect("reports").count();
        assert_eq!(made, 1, "{name:?}");
        fs::remove_dir_all(sandbox.path("reports"))
            .and_then(|()| fs::remove_dir_all(sandbox.path("out")))
            .expect("removed");
    }
}

#[test]
fn a_report_replaces_reports_of_its_sweep_alone() {
    let sandbox = trained();
    let report = ["report", "small", "-o", "own"];
    let forced = [&report[..], &["--force"]].concat();
    let all_but_the_database = || {
        let mut found = files(sandbox.0.path());
        found.retain(|path, _| !path.to_string_lossy().contains("outgrow.db"));
        found
    };
    let refused = |why: &str| {
        let before = all_but_the_database();
        let (code, errors) = sandbox.wrong(&report);
        assert!(code == 2 && errors.contains(why), "{why}: {errors}");
        assert!(all_but_the_database() == before, "{why}: nothing changes");
    };
    // A folder of the user's, of one file, of one link, of a folder.
    fs::create_dir(sandbox.path("own")).expect("a folder");
    sandbox.write("own/README.md", "mine");
    refused("no report");
    fs::remove_file(sandbox.path("own/README.md")).expect("removed");
    std::os::unix::fs::symlink("/tmp", sandbox.path("own/figures")).expect("a link");
    refused("no report");
    fs::remove_file(sandbox.path("own/figures")).expect("removed");
    sandbox.write("own/provenance.json", "{}");
    refused("no report");
    fs::remove_dir_all(sandbox.path("own")).expect("removed");
    sandbox.write("own", "a file");
    refused("is no folder");
    fs::remove_file(sandbox.path("own")).expect("removed");
    // Its own, and one that is empty.
    fs::create_dir(sandbox.path("own")).expect("a folder");
    sandbox.ok(&report);
    let whole = files(&sandbox.path("own"));
    sandbox.ok(&report);
    assert_eq!(files(&sandbox.path("own")), whole);
    // What the user put there, or changed there.
    sandbox.write("own/notes.txt", "mine");
    refused("notes.txt");
    fs::remove_file(sandbox.path("own/notes.txt")).expect("removed");
    std::os::unix::fs::symlink("/tmp", sandbox.path("own/tables/link")).expect("a link");
    refused("tables/link");
    fs::remove_file(sandbox.path("own/tables/link")).expect("removed");
    sandbox.write("own/README.md", "my own words");
    refused("README.md");
    sandbox.ok(&forced);
    assert_eq!(files(&sandbox.path("own")), whole);
    assert_eq!(
        fs::read_to_string(sandbox.path("own.replaced-1/README.md")).expect("kept"),
        "my own words"
    );
    // A left-over file of an older report goes with it.
    if !change(&sandbox, "outgrow.db", &[("DELETE FROM growth_event", "")]) {
        return;
    }
    assert!(sandbox.path("own/figures/growth_timeline-single.pdf").exists());
    sandbox.ok(&report);
    assert!(!sandbox.path("own/figures/growth_timeline-single.pdf").exists());
    // A preliminary one never takes the place of a complete one.
    change(
        &sandbox,
        "outgrow.db",
        &[(
            "UPDATE trial SET state = 'waiting' WHERE number = (SELECT max(number) FROM trial)",
            "",
        )],
    );
    refused("preliminary");
    sandbox.ok(&["report", "small", "-o", "other"]);
    sandbox.ok(&["report", "small", "-o", "other"]);
    sandbox.ok(&forced);
    assert!(
        fs::read_to_string(sandbox.path("own/README.md"))
            .expect("a text")
            .contains("Preliminary: 1 trials")
    );
    // Nor one of another sweep.
    change(&sandbox, "outgrow.db", &[("UPDATE trial SET state = 'complete'", "")]);
    sandbox.write(
        "sweep.toml",
        &SWEEP.replace("name = \"small\"", "name = \"other\"").replace("25_600", "2_560"),
    );
    sandbox.ok(&["run", "sweep.toml"]);
    let (code, errors) = sandbox.wrong(&["report", "other", "-o", "own"]);
    assert!(code == 2 && errors.contains("another sweep, small"), "{errors}");
    let before = files(&sandbox.path("own"));
    sandbox.ok(&["report", "other", "-o", "own", "--force"]);
    assert!(files(&sandbox.path("own")) != before);
    assert!(!sandbox.path("own.replaced-2").exists(), "a whole report of ours is not kept");
    let left = fs::read_dir(sandbox.0.path())
        .expect("a folder")
        .map(|entry| entry.expect("an entry").file_name());
    assert!(
        !left.into_iter().any(|name| name.to_string_lossy().starts_with(".outgrow")),
        "nothing is left behind"
    );
}

#[test]
fn an_ambiguous_name_is_asked_back() {
    let sandbox = Sandbox::new();
    let short = SWEEP.replace("25_600", "2_560");
    sandbox.write("sweep.toml", &short);
    let quiet = sandbox.run(&["run", "sweep.toml"]);
    assert!(
        quiet.status.success()
            && !String::from_utf8_lossy(&quiet.stderr).contains("note: the database has")
    );
    sandbox.write(
        "sweep.toml",
        &short
            .replace("learning_rate = 5e-3", "learning_rate = 4e-3")
            .replace("replicates = 2", "replicates = 1"),
    );
    // Before it runs, it is told; and again when it is planned.
    for command in ["plan", "run", "plan"] {
        let output = sandbox.run(&[command, "sweep.toml"]);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{errors}");
        for words in [
            "another sweep of the name small",
            "replicates 2 instead of 1",
            "training.learning_rate 0.005 instead of 0.004",
            "4 complete",
        ] {
            assert!(errors.contains(words), "{command}: {words} is missing: {errors}");
        }
    }
    let sweeps = sandbox.json(&["status", "--json"]);
    let ids: Vec<&str> = sweeps
        .as_array()
        .expect("sweeps")
        .iter()
        .filter_map(|sweep| sweep["id"].as_str())
        .collect();
    assert_eq!(ids.len(), 2);
    for args in [
        &["report", "small"][..],
        &["export", "small", "--to", "out"],
        &["status", "small"],
        &["worker", "small"],
        &["db", "copy", "outgrow.db", "b.db", "--sweep", "small"],
    ] {
        let (code, errors) = sandbox.wrong(args);
        assert_eq!(code, 2, "{args:?}: {errors}");
        for words in [
            &ids[0][..12],
            &ids[1][..12],
            "2 complete",
            "4 complete",
            "UTC",
            "training.learning_rate",
            "2 sweeps",
        ] {
            assert!(errors.contains(words), "{args:?}: {words} is missing: {errors}");
        }
    }
    assert!(
        !sandbox.path("reports").exists()
            && !sandbox.path("out").exists()
            && !sandbox.path("b.db").exists()
    );
    // An identity, or its beginning, says which.
    sandbox.ok(&["report", ids[0], "-o", "first"]);
    sandbox.ok(&["report", &ids[1][..8], "-o", "second"]);
    sandbox.ok(&["export", &ids[0][..12], "--to", "out"]);
    assert!(files(&sandbox.path("first")) != files(&sandbox.path("second")));
    let (code, errors) = sandbox.wrong(&["report", ids[0], "-o", "second"]);
    assert!(code == 2 && errors.contains("another sweep"), "{errors}");
    // The same file again is no other sweep.
    sandbox.write(
        "sweep.toml",
        &format!("# a comment\n{}", short.replace("version = 1", "version   = 1")),
    );
    let output = sandbox.run(&["plan", "sweep.toml"]);
    assert!(String::from_utf8_lossy(&output.stderr).contains("replicates 1 instead of 2"));
}
