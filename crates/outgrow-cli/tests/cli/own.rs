//! What belongs to a database is not written over, and what a newcomer is told leads on.

use std::fs;

use crate::sandbox::Sandbox;

#[test]
fn no_output_takes_the_place_of_the_database_or_of_its_files() {
    let sandbox = Sandbox::new();
    sandbox.ok(&["run", "sweep.toml", "-j", "1"]);
    let before = sandbox.rows();
    fs::hard_link(sandbox.path("outgrow.db"), sandbox.path("alias.db")).expect("linked");
    std::os::unix::fs::symlink("outgrow.db", sandbox.path("link.db")).expect("linked");
    for to in [
        "outgrow.db",
        "./outgrow.db",
        "outgrow.db-wal",
        "outgrow.db-shm",
        "outgrow.db-journal",
        "alias.db",
        "link.db",
        "outgrow.db.checkpoints/rows.csv",
        "outgrow.db.text/rows.csv",
        "outgrow.db.jobs/rows.csv",
    ] {
        let (code, said) = sandbox.wrong(&["query", "SELECT 1", "-o", to]);
        assert_eq!(code, 2, "{to}: {said}");
        assert!(said.contains("belongs to the database"), "{to}: {said}");
    }
    for to in [".", "outgrow.db.checkpoints", "outgrow.db.checkpoints/report"] {
        let (code, said) = sandbox.wrong(&["report", "small", "-o", to, "--force"]);
        assert_eq!(code, 2, "{to}: {said}");
        assert!(said.contains("holds the database or its files"), "{to}: {said}");
    }
    assert_eq!(sandbox.rows(), before);
    sandbox.ok(&["query", "SELECT 1", "-o", "rows.csv", "--format", "csv"]);
}

#[test]
fn a_run_on_an_existing_file_leaves_no_log() {
    let sandbox = Sandbox::new();
    sandbox.ok(&["run", "sweep.toml", "-j", "1"]);
    sandbox.write("other.toml", &crate::sandbox::SWEEP.replace("seed = ", "seed = 1"));
    for file in ["other.toml", "other.toml", "sweep.toml"] {
        sandbox.ok(&["run", file, "-j", "1"]);
        assert!(!sandbox.path("outgrow.db-wal").exists(), "after {file}");
    }
}

#[test]
fn a_sweep_of_ones_own_is_three_commands_away() {
    let sandbox = Sandbox::new();
    let said = sandbox.ok(&[]);
    assert!(said.contains("outgrow init") && said.contains("outgrow plan"), "{said}");
    let text: String = (0..20_000).map(|n| format!("line {n} of a text\n")).collect();
    sandbox.write("own.txt", &text);
    let init = ["init", "mine.toml", "--text", "own.txt", "--parameters", "30k", "--tokens", "40k"];
    sandbox.ok(&init);
    assert_eq!(sandbox.wrong(&init).0, 2, "nothing is written over");
    let plan = sandbox.ok(&["plan", "mine.toml"]);
    assert!(plan.contains("lemon") && plan.contains("name = \"mine\""), "{plan}");
    sandbox.ok(&["run", "mine.toml"]);
    let said = sandbox.ok(&[]);
    assert!(said.contains("outgrow report mine"), "{said}");
    sandbox.ok(&["report", "mine"]);
    assert!(sandbox.path("reports/mine/README.md").exists());
    for wrong in [
        ["init", "x.toml", "--text", "nowhere"],
        ["init", "x.toml", "--parameters", "12"],
        ["init", "nowhere/x.toml", "--text", "own.txt"].map(|word| word),
    ] {
        let (code, said) = sandbox.wrong(&wrong);
        assert!([2, 3].contains(&code), "{wrong:?}: {said}");
        assert!(!sandbox.path("x.toml").exists());
    }
}

#[test]
fn evaluation_beyond_the_validation_text_is_said() {
    let sandbox = Sandbox::new();
    let sweep = crate::sandbox::SWEEP.replace("tokens = 256,", "tokens = 900_000_000_000,");
    assert_ne!(sweep, crate::sandbox::SWEEP);
    sandbox.write("s.toml", &sweep);
    let said = sandbox.ok(&["plan", "s.toml"]);
    assert!(said.contains("evaluation.tokens is 900000000000"), "{said}");
}

/// Text and results in one folder: the results are no text, and are not opened as such.
#[test]
fn results_beside_the_text_are_no_text() {
    let sandbox = Sandbox::new();
    for n in 0..3 {
        sandbox
            .write(&format!("{n}.txt"), &format!("some words of text number {n}\n").repeat(2000));
    }
    let data = "data = { paths = [\".\"], validation = 0.1, seq_len = 16 }";
    let sweep =
        crate::sandbox::SWEEP.replace("data = { corpus = \"rust-crates\", seq_len = 16 }", data);
    assert_ne!(sweep, crate::sandbox::SWEEP);
    sandbox.write("sweep.toml", &sweep);
    let first = sandbox.json(&["plan", "sweep.toml", "--json"])["data"].clone();
    for _ in 0..2 {
        sandbox.ok(&["run", "sweep.toml", "-j", "1"]);
        assert_eq!(sandbox.json(&["plan", "sweep.toml", "--json"])["data"], first);
    }
    fs::write(sandbox.path("sweep.toml"), sweep.replace("[\".\"]", "[\"\"]")).expect("written");
    let (code, said) = sandbox.wrong(&["plan", "sweep.toml"]);
    assert!(code == 2 && said.contains("an empty name"), "{said}");
}

/// What a refused run leaves as it was.
#[test]
fn a_refused_run_leaves_the_text_of_others() {
    let sandbox = Sandbox::new();
    sandbox.write("own.txt", &"words of a text\n".repeat(2000));
    sandbox.ok(&["data", "tokenize", "own.txt", "--vocab-size", "300"]);
    let data = |seq_len| {
        let data = format!(
            "data = {{ paths = [\"own.txt\"], validation = 0.1, tokenizer = \"tokenizer.json\", \
             seq_len = {seq_len} }}"
        );
        crate::sandbox::SWEEP.replace("data = { corpus = \"rust-crates\", seq_len = 16 }", &data)
    };
    sandbox.write("sweep.toml", &data(16));
    sandbox.ok(&["run", "sweep.toml", "-j", "1"]);
    let text = || {
        let mut names: Vec<_> = fs::read_dir(sandbox.path("outgrow.db.text"))
            .expect("text")
            .map(|entry| entry.expect("an entry").file_name())
            .collect();
        names.sort();
        names
    };
    let before = text();
    sandbox.write("long.toml", &data(60_000).replace("25_600", "600_000_000"));
    assert_eq!(sandbox.wrong(&["run", "long.toml"]).0, 2);
    assert_eq!(text(), before);
}
