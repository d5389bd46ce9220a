//! What belongs to a database is not written over, and what a newcomer is told leads on.

use std::fs;

use crate::desk::Desk;

#[test]
fn no_output_takes_the_place_of_the_database_or_of_its_files() {
    let desk = Desk::new();
    desk.ok(&["run", "sweep.toml", "-j", "1"]);
    let before = desk.rows();
    fs::hard_link(desk.path("outgrow.db"), desk.path("alias.db")).expect("linked");
    std::os::unix::fs::symlink("outgrow.db", desk.path("link.db")).expect("linked");
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
        let (code, said) = desk.wrong(&["query", "SELECT 1", "-o", to]);
        assert_eq!(code, 2, "{to}: {said}");
        assert!(said.contains("belongs to the database"), "{to}: {said}");
    }
    for to in [".", "outgrow.db.checkpoints", "outgrow.db.checkpoints/report"] {
        let (code, said) = desk.wrong(&["report", "small", "-o", to, "--force"]);
        assert_eq!(code, 2, "{to}: {said}");
        assert!(said.contains("holds the database or its files"), "{to}: {said}");
    }
    assert_eq!(desk.rows(), before);
    desk.ok(&["query", "SELECT 1", "-o", "rows.csv", "--format", "csv"]);
}

#[test]
fn a_run_on_an_existing_file_leaves_no_log() {
    let desk = Desk::new();
    desk.ok(&["run", "sweep.toml", "-j", "1"]);
    desk.write("other.toml", &crate::desk::SWEEP.replace("seed = ", "seed = 1"));
    for file in ["other.toml", "other.toml", "sweep.toml"] {
        desk.ok(&["run", file, "-j", "1"]);
        assert!(!desk.path("outgrow.db-wal").exists(), "after {file}");
    }
}

#[test]
fn a_sweep_of_ones_own_is_three_commands_away() {
    let desk = Desk::new();
    let said = desk.ok(&[]);
    assert!(said.contains("outgrow init") && said.contains("outgrow plan"), "{said}");
    let text: String = (0..20_000).map(|n| format!("line {n} of a text\n")).collect();
    desk.write("own.txt", &text);
    let init = ["init", "mine.toml", "--text", "own.txt", "--parameters", "30k", "--tokens", "40k"];
    desk.ok(&init);
    assert_eq!(desk.wrong(&init).0, 2, "nothing is written over");
    let plan = desk.ok(&["plan", "mine.toml"]);
    assert!(plan.contains("lemon") && plan.contains("name = \"mine\""), "{plan}");
    desk.ok(&["run", "mine.toml"]);
    let said = desk.ok(&[]);
    assert!(said.contains("outgrow report mine"), "{said}");
    desk.ok(&["report", "mine"]);
    assert!(desk.path("reports/mine/README.md").exists());
    for wrong in [
        ["init", "x.toml", "--text", "nowhere"],
        ["init", "x.toml", "--parameters", "12"],
        ["init", "nowhere/x.toml", "--text", "own.txt"].map(|word| word),
    ] {
        let (code, said) = desk.wrong(&wrong);
        assert!([2, 3].contains(&code), "{wrong:?}: {said}");
        assert!(!desk.path("x.toml").exists());
    }
}

#[test]
fn evaluation_beyond_the_validation_text_is_said() {
    let desk = Desk::new();
    let sweep = crate::desk::SWEEP.replace("tokens = 256,", "tokens = 900_000_000_000,");
    assert_ne!(sweep, crate::desk::SWEEP);
    desk.write("s.toml", &sweep);
    let said = desk.ok(&["plan", "s.toml"]);
    assert!(said.contains("evaluation.tokens is 900000000000"), "{said}");
}

/// Text and results in one folder: the results are no text, and are not opened as such.
#[test]
fn results_beside_the_text_are_no_text() {
    let desk = Desk::new();
    for n in 0..3 {
        desk.write(&format!("{n}.txt"), &format!("some words of text number {n}\n").repeat(2000));
    }
    let data = "data = { paths = [\".\"], validation = 0.1, seq_len = 16 }";
    let sweep =
        crate::desk::SWEEP.replace("data = { corpus = \"rust-crates\", seq_len = 16 }", data);
    assert_ne!(sweep, crate::desk::SWEEP);
    desk.write("sweep.toml", &sweep);
    let first = desk.json(&["plan", "sweep.toml", "--json"])["data"].clone();
    for _ in 0..2 {
        desk.ok(&["run", "sweep.toml", "-j", "1"]);
        assert_eq!(desk.json(&["plan", "sweep.toml", "--json"])["data"], first);
    }
    fs::write(desk.path("sweep.toml"), sweep.replace("[\".\"]", "[\"\"]")).expect("written");
    let (code, said) = desk.wrong(&["plan", "sweep.toml"]);
    assert!(code == 2 && said.contains("an empty name"), "{said}");
}

/// What a refused run leaves as it was.
#[test]
fn a_refused_run_leaves_the_text_of_others() {
    let desk = Desk::new();
    desk.write("own.txt", &"words of a text\n".repeat(2000));
    desk.ok(&["data", "tokenize", "own.txt", "--vocab-size", "300"]);
    let data = |seq_len| {
        let data = format!(
            "data = {{ paths = [\"own.txt\"], validation = 0.1, tokenizer = \"tokenizer.json\", \
             seq_len = {seq_len} }}"
        );
        crate::desk::SWEEP.replace("data = { corpus = \"rust-crates\", seq_len = 16 }", &data)
    };
    desk.write("sweep.toml", &data(16));
    desk.ok(&["run", "sweep.toml", "-j", "1"]);
    let text = || {
        let mut names: Vec<_> = fs::read_dir(desk.path("outgrow.db.text"))
            .expect("text")
            .map(|entry| entry.expect("an entry").file_name())
            .collect();
        names.sort();
        names
    };
    let before = text();
    desk.write("long.toml", &data(60_000).replace("25_600", "600_000_000"));
    assert_eq!(desk.wrong(&["run", "long.toml"]).0, 2);
    assert_eq!(text(), before);
}
