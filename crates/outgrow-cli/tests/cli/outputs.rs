//! What commands write, and where: any name, any folder, any state of the sweep.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::desk::{Desk, SWEEP};

fn trained() -> Desk {
    let desk = Desk::new();
    desk.ok(&["run", "sweep.toml", "-j", "2"]);
    desk
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
fn change(desk: &Desk, database: &str, statements: &[(&str, &str)]) -> bool {
    let script = "import json, sqlite3, sys\nd = sqlite3.connect(sys.argv[1])\n\
                  for sql, value in json.loads(sys.argv[2]): d.execute(sql, (value,) if '?' in \
                  sql else ())\nd.commit()";
    let statements = serde_json::to_string(statements).expect("plain data");
    let status = Command::new("python3")
        .args(["-c", script])
        .arg(desk.path(database))
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
    let desk = trained();
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
        fs::copy(desk.path("outgrow.db"), desk.path(&database)).expect("copied");
        let renamed = [
            ("UPDATE member SET strategy = ? WHERE strategy = 'random'", name),
            ("UPDATE sweep SET name = ?", name),
        ];
        if !change(&desk, &database, &renamed) {
            return;
        }
        let id = desk.json(&["query", "SELECT id FROM sweep", "--format", "json"])[0]["id"]
            .as_str()
            .expect("an id")
            .to_owned();
        let before = files(desk.0.path());
        fs::create_dir(desk.path("out")).expect("a folder");
        for (format, to) in [
            ("tensorboard", "out/tb"),
            ("csv", "out/csv"),
            ("jsonl", "out/jsonl"),
            ("parquet", "out/parquet"),
        ] {
            desk.ok(&["export", &id, "--db", &database, "--to", to, "--format", format]);
        }
        desk.ok(&["report", &id, "--db", &database]);
        // Whatever was written is in the folder that was named.
        let after = files(desk.0.path());
        let named = [desk.path("out"), desk.path("reports")];
        let elsewhere = |path: &&PathBuf| {
            !named.iter().any(|folder| path.starts_with(folder))
                && !path.to_string_lossy().contains(&database)
        };
        let of = |files: &BTreeMap<PathBuf, Vec<u8>>| {
            files.keys().filter(elsewhere).cloned().collect::<Vec<_>>()
        };
        assert_eq!(of(&before), of(&after), "{name:?}");
        assert_eq!(files(&desk.path("out/tb")).len(), 4, "{name:?}: a folder for each trial");
        for path in files(&desk.path("out/tb")).keys() {
            assert!(
                path.components().all(|part| part.as_os_str().len() <= 200),
                "{}",
                path.display()
            );
        }
        for text in [
            desk.ok(&["status", "--db", &database]),
            desk.ok(&["query", "SELECT DISTINCT strategy FROM finals", "--db", &database]),
            desk.wrong(&["report", "nobody", "--db", &database]).1,
        ] {
            assert!(
                !text.chars().any(|c| c.is_control() && c != '\n' || c == '\u{202e}'),
                "{name:?}: {text:?}"
            );
        }
        let made = fs::read_dir(desk.path("reports")).expect("reports").count();
        assert_eq!(made, 1, "{name:?}");
        fs::remove_dir_all(desk.path("reports"))
            .and_then(|()| fs::remove_dir_all(desk.path("out")))
            .expect("removed");
    }
}

#[test]
fn a_report_replaces_reports_of_its_sweep_alone() {
    let desk = trained();
    let report = ["report", "small", "-o", "own"];
    let forced = [&report[..], &["--force"]].concat();
    let all_but_the_database = || {
        let mut found = files(desk.0.path());
        found.retain(|path, _| !path.to_string_lossy().contains("outgrow.db"));
        found
    };
    let refused = |why: &str| {
        let before = all_but_the_database();
        let (code, errors) = desk.wrong(&report);
        assert!(code == 2 && errors.contains(why), "{why}: {errors}");
        assert!(all_but_the_database() == before, "{why}: nothing changes");
    };
    // A folder of the user's, of one file, of one link, of a folder.
    fs::create_dir(desk.path("own")).expect("a folder");
    desk.write("own/README.md", "mine");
    refused("no report");
    fs::remove_file(desk.path("own/README.md")).expect("removed");
    std::os::unix::fs::symlink("/tmp", desk.path("own/figures")).expect("a link");
    refused("no report");
    fs::remove_file(desk.path("own/figures")).expect("removed");
    desk.write("own/provenance.json", "{}");
    refused("no report");
    fs::remove_dir_all(desk.path("own")).expect("removed");
    desk.write("own", "a file");
    refused("is no folder");
    fs::remove_file(desk.path("own")).expect("removed");
    // Its own, and one that is empty.
    fs::create_dir(desk.path("own")).expect("a folder");
    desk.ok(&report);
    let whole = files(&desk.path("own"));
    desk.ok(&report);
    assert_eq!(files(&desk.path("own")), whole);
    // What the user put there, or changed there.
    desk.write("own/notes.txt", "mine");
    refused("notes.txt");
    fs::remove_file(desk.path("own/notes.txt")).expect("removed");
    std::os::unix::fs::symlink("/tmp", desk.path("own/tables/link")).expect("a link");
    refused("tables/link");
    fs::remove_file(desk.path("own/tables/link")).expect("removed");
    desk.write("own/README.md", "my own words");
    refused("README.md");
    desk.ok(&forced);
    assert_eq!(files(&desk.path("own")), whole);
    assert_eq!(
        fs::read_to_string(desk.path("own.replaced-1/README.md")).expect("kept"),
        "my own words"
    );
    // A left-over file of an older report goes with it.
    if !change(&desk, "outgrow.db", &[("DELETE FROM growth_event", "")]) {
        return;
    }
    assert!(desk.path("own/figures/growth_timeline-single.pdf").exists());
    desk.ok(&report);
    assert!(!desk.path("own/figures/growth_timeline-single.pdf").exists());
    // A preliminary one never takes the place of a complete one.
    change(
        &desk,
        "outgrow.db",
        &[(
            "UPDATE trial SET state = 'waiting' WHERE number = (SELECT max(number) FROM trial)",
            "",
        )],
    );
    refused("preliminary");
    desk.ok(&["report", "small", "-o", "other"]);
    desk.ok(&["report", "small", "-o", "other"]);
    desk.ok(&forced);
    assert!(
        fs::read_to_string(desk.path("own/README.md"))
            .expect("a text")
            .contains("Preliminary: 1 trials")
    );
    // Nor one of another sweep.
    change(&desk, "outgrow.db", &[("UPDATE trial SET state = 'complete'", "")]);
    desk.write(
        "sweep.toml",
        &SWEEP.replace("name = \"small\"", "name = \"other\"").replace("25_600", "2_560"),
    );
    desk.ok(&["run", "sweep.toml"]);
    let (code, errors) = desk.wrong(&["report", "other", "-o", "own"]);
    assert!(code == 2 && errors.contains("another sweep, small"), "{errors}");
    let before = files(&desk.path("own"));
    desk.ok(&["report", "other", "-o", "own", "--force"]);
    assert!(files(&desk.path("own")) != before);
    assert!(!desk.path("own.replaced-2").exists(), "a whole report of ours is not kept");
    let left = fs::read_dir(desk.0.path())
        .expect("a folder")
        .map(|entry| entry.expect("an entry").file_name());
    assert!(
        !left.into_iter().any(|name| name.to_string_lossy().starts_with(".outgrow")),
        "nothing is left behind"
    );
}

#[test]
fn an_ambiguous_name_is_asked_back() {
    let desk = Desk::new();
    let short = SWEEP.replace("25_600", "2_560");
    desk.write("sweep.toml", &short);
    let quiet = desk.run(&["run", "sweep.toml"]);
    assert!(
        quiet.status.success()
            && !String::from_utf8_lossy(&quiet.stderr).contains("note: the database has")
    );
    desk.write(
        "sweep.toml",
        &short
            .replace("learning_rate = 5e-3", "learning_rate = 4e-3")
            .replace("replicates = 2", "replicates = 1"),
    );
    // Before it runs, it is told; and again when it is planned.
    for command in ["plan", "run", "plan"] {
        let output = desk.run(&[command, "sweep.toml"]);
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
    let sweeps = desk.json(&["status", "--json"]);
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
        let (code, errors) = desk.wrong(args);
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
        !desk.path("reports").exists() && !desk.path("out").exists() && !desk.path("b.db").exists()
    );
    // An identity, or its beginning, says which.
    desk.ok(&["report", ids[0], "-o", "first"]);
    desk.ok(&["report", &ids[1][..8], "-o", "second"]);
    desk.ok(&["export", &ids[0][..12], "--to", "out"]);
    assert!(files(&desk.path("first")) != files(&desk.path("second")));
    let (code, errors) = desk.wrong(&["report", ids[0], "-o", "second"]);
    assert!(code == 2 && errors.contains("another sweep"), "{errors}");
    // The same file again is no other sweep.
    desk.write(
        "sweep.toml",
        &format!("# a comment\n{}", short.replace("version = 1", "version   = 1")),
    );
    let output = desk.run(&["plan", "sweep.toml"]);
    assert!(String::from_utf8_lossy(&output.stderr).contains("replicates 1 instead of 2"));
}
