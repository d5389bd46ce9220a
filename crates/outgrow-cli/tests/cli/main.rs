//! The whole, by running the binary as a user does.

mod asked;
mod compare;
mod database;
mod disk;
mod export;
mod faults;
mod fetch;
mod flops;
mod frontier;
mod help;
mod hub;
mod models_out;
mod odd;
mod outputs;
mod own;
mod refused;
mod repair;
mod sandbox;
mod search;
mod serve;
mod slurm;
mod text;
mod tokens;
mod written;

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use nix::{
    sys::signal::{Signal, kill, killpg},
    unistd::Pid,
};
use serde_json::{Value, json};

use crate::sandbox::{SWEEP, Sandbox, workers_of};

#[test]
fn the_same_bits_with_one_and_two_workers_and_when_killed() {
    let [one, two, killed] = [(); 3].map(|()| {
        let sandbox = Sandbox::new();
        // So long that it is never over before it is killed.
        sandbox.write("sweep.toml", &SWEEP.replace("tokens = 25_600", "tokens = 51_200"));
        sandbox
    });
    one.ok(&["run", "sweep.toml", "-j", "1"]);
    two.ok(&["run", "sweep.toml", "-j", "2"]);
    // Kill the supervisor and its workers in the middle, twice; what they were at goes on.
    for rows in [60, 300] {
        let mut run = killed
            .command(&["run", "sweep.toml", "-j", "2"])
            .stderr(Stdio::null())
            .spawn()
            .expect("it runs");
        killed.wait_for_rows(rows);
        let workers = workers_of(run.id());
        assert!(!workers.is_empty(), "nothing was running, so nothing is tested");
        workers
            .iter()
            .for_each(|pid| killpg(Pid::from_raw(*pid), Signal::SIGKILL).expect("killed"));
        run.kill().and_then(|()| run.wait()).expect("killed");
    }
    killed.ok(&["run", "sweep.toml", "-j", "2"]);
    let expected = one.rows();
    assert_eq!(expected, two.rows());
    assert_eq!(expected, killed.rows());
    let died = killed.ok(&[
        "query",
        "SELECT count(*) FROM attempt WHERE outcome = 'died'",
        "--format",
        "csv",
    ]);
    assert_ne!(died.lines().nth(1), Some("0"), "no attempt died, so nothing was tested");
    // Running again finds nothing to do, and changes nothing.
    one.ok(&["run", "sweep.toml"]);
    assert_eq!(expected, one.rows());
}

#[test]
fn without_enough_memory_the_batch_is_cut() {
    let sandbox = Sandbox::new();
    // One matrix of attention weights takes 0.5 GB; the batch in two parts fits.
    let sweep = SWEEP
        .replace("{ kind = \"from_scratch\" }, ", "")
        .replace("replicates = 2", "replicates = 1")
        .replace("batch_size = 4", "batch_size = 64")
        .replace("seq_len = 16", "seq_len = 512")
        .replace("n_heads = 2", "n_heads = 8")
        .replace("tokens = 25_600", "tokens = 65_536")
        .replace("tokens = 256,", "tokens = 65_536,");
    sandbox.write("s.toml", &sweep);
    let limited = |file: &str| {
        let mut command = Command::new("sh");
        let script =
            format!("ulimit -v 1900000; exec {} run {file} -j1", env!("CARGO_BIN_EXE_outgrow"));
        command.current_dir(sandbox.0.path()).env_remove("OUTGROW_DB").args(["-c", &script]);
        command
            .env("RAYON_NUM_THREADS", "1")
            .env("MALLOC_ARENA_MAX", "1")
            .output()
            .expect("it runs")
    };
    sandbox.write(
        "small.toml",
        &SWEEP.replace("tokens = 25_600", "tokens = 6400").replace("\"small\"", "\"smaller\""),
    );
    if !limited("small.toml").status.success() {
        outgrow_testkit::skip("libtorch reserves more address space here than this test allows");
        return;
    }
    let output = limited("s.toml");
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        output.status.success() && errors.contains("out of memory with the batch in 1 part(s)"),
        "{errors}"
    );
    assert!(!errors.contains("panicked"), "{errors}");
    let trial = &sandbox.json(&[
        "query",
        "SELECT state, micro_batches FROM trial ORDER BY micro_batches DESC",
        "--format",
        "json",
    ])[0];
    assert!(trial["state"] == "complete" && trial["micro_batches"].as_u64() > Some(1), "{trial}");
}

#[test]
fn a_common_beginning_is_trained_once_with_the_same_bits() {
    let sweep = SWEEP.replace(
        "plans = 1, max_stages = 3, grow_between = [0.1, 0.6]",
        "plans = 5, max_stages = 4, grow_between = [0.3, 0.9]",
    );
    let (alone, shared) = (Sandbox::new(), Sandbox::new());
    for (sandbox, more) in [(&alone, &["--no-shared-prefix"][..]), (&shared, &["-j2"])] {
        sandbox.write("s.toml", &sweep);
        sandbox.ok(&[&["run", "s.toml"], more].concat());
    }
    assert_eq!(alone.rows(), shared.rows());
    let spent = |sandbox: &Sandbox| {
        let sums = "SELECT sum(charged_flops) AS charged, sum(spent_flops) AS spent FROM compute";
        let row = sandbox.json(&["query", sums, "--format", "json"]);
        [&row[0]["charged"], &row[0]["spent"]].map(|n| n.as_f64().expect("a number"))
    };
    let ([charged, all], [charged_too, less]) = (spent(&alone), spent(&shared));
    assert!(
        charged == all && charged == charged_too && less < 0.9 * all,
        "{charged} {all} {charged_too} {less}"
    );
    let plan = shared.ok(&["plan", "s.toml", "--tree"]);
    assert!(plan.contains("8 of them share a prefix with an earlier one"), "{plan}");
    let left = fs::read_dir(shared.path("outgrow.db.checkpoints")).expect("a folder");
    let left = left.filter(|entry| {
        entry.as_ref().is_ok_and(|e| e.file_name().to_string_lossy().contains("-at-"))
    });
    assert_eq!(left.count(), 0, "what nobody begins from any more goes");
}

#[test]
fn replicates_are_trained_together_with_the_same_numbers() {
    let sweep = SWEEP
        .replace(
            "plans = 1, max_stages = 3, grow_between = [0.1, 0.6]",
            "plans = 3, about = \"plan\", max_stages = 3, grow_between = [0.3, 0.9]",
        )
        .replace("float32", "float64");
    let (alone, together) = (Sandbox::new(), Sandbox::new());
    for sandbox in [&alone, &together] {
        sandbox.write("s.toml", &sweep);
    }
    alone.ok(&["run", "s.toml", "-j2"]);
    // The worker is killed in the middle: what it held may stand at different steps then.
    let run = ["run", "s.toml", "-j1", "--stacked-replicates", "4"];
    let mut killed = together.command(&run).stderr(Stdio::null()).spawn().expect("it runs");
    together.wait_for_rows(150);
    let workers = workers_of(killed.id());
    assert!(!workers.is_empty(), "nothing was running, so nothing is tested");
    workers.iter().for_each(|pid| killpg(Pid::from_raw(*pid), Signal::SIGKILL).expect("killed"));
    assert!(killed.wait().expect("it ends").success());
    let numbers = |sandbox: &Sandbox| -> Vec<f64> {
        let cells = sandbox.rows().replace('\n', ",");
        cells.split(',').filter_map(|cell| cell.parse().ok()).collect()
    };
    let (expected, found) = (numbers(&alone), numbers(&together));
    assert_eq!(expected.len(), found.len());
    let near = |(a, b): (&f64, &f64)| (a - b).abs() <= 1e-6 * a.abs().max(1e-6);
    let off = expected.iter().zip(&found).find(|(a, b)| !near((a, b)));
    assert!(off.is_none(), "{off:?}");
    let attempts = |condition: &str| -> u64 {
        let sql = format!("SELECT count(*) AS n FROM attempt WHERE {condition}");
        together.json(&["query", &sql, "--format", "json"])[0]["n"].as_u64().expect("a number")
    };
    // All plans have two replicates, and two attempts died.
    assert_eq!((attempts("stacked_replicates = 2"), attempts("outcome = 'died'")), (10, 2));
    assert_eq!(
        attempts("outcome = 'complete' AND coalesce(peak_bytes > predicted_bytes, 1)"),
        0,
        "predicted is too little"
    );
}

#[test]
fn an_interrupt_saves_and_two_runs_share_the_work() {
    let (sandbox, whole) = (Sandbox::new(), Sandbox::new());
    let run = sandbox
        .command(&["run", "sweep.toml", "-j", "2"])
        .stderr(Stdio::piped())
        .spawn()
        .expect("it runs");
    sandbox.wait_for_rows(60);
    kill(Pid::from_raw(run.id() as i32), Signal::SIGINT).expect("interrupted");
    let output = run.wait_with_output().expect("it ends");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(130), "{errors}");
    assert!(errors.contains("goes on from there"), "{errors}");
    let status = sandbox.json(&["status", "--json"]);
    assert_eq!(status[0]["running"], json!([]), "{status}");
    let runs: Vec<_> = (0..2)
        .map(|_| {
            sandbox
                .command(&["run", "sweep.toml", "-j", "1"])
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
        })
        .collect();
    for run in runs {
        assert!(run.expect("it runs").wait().expect("it ends").success());
    }
    whole.ok(&["run", "sweep.toml"]);
    assert_eq!(sandbox.rows(), whole.rows());
}

#[test]
fn wrong_sweeps_are_told_so() {
    let sandbox = Sandbox::new();
    sandbox.write("empty.txt", "");
    sandbox.write("short.txt", "too short");
    fs::create_dir(sandbox.path("nothing")).expect("a folder");
    let paths =
        |paths: &str| format!("data = {{ paths = [\"{paths}\"], validation = 0.5, seq_len = 16 }}");
    let data = "data = { corpus = \"rust-crates\", seq_len = 16 }";
    let cases = [
        ("replicates = 2", "replicats = 2".to_owned(), "unknown field `replicats`"),
        ("d_model = 12", "d_model = 4".to_owned(), "d_model"),
        ("n_layers = 2", "n_layers = 0".to_owned(), "target"),
        ("batch_size = 4", "batch_size = 0".to_owned(), "training.batch_size"),
        ("learning_rate = 5e-3", "learning_rate = -1.0".to_owned(), "training.learning_rate"),
        ("grow_between = [0.1, 0.6]", "grow_between = [0.6, 0.1]".to_owned(), "grow_between"),
        (
            "kind = \"normal\", scale = 1.0",
            "kind = \"normal\", scale = 0.0".to_owned(),
            "never learn",
        ),
        ("kind = \"normal\", scale = 1.0", "kind = \"zero\"".to_owned(), "never learn"),
        ("kind = \"random\"", "kind = \"rondom\"".to_owned(), "rondom"),
        ("rust-crates", "war-and-peace".to_owned(), "war-and-peace"),
        (data, paths("missing.txt"), "missing.txt"),
        (data, paths("empty.txt"), "empty"),
        (data, paths("nothing"), "empty"),
        (data, paths("short.txt"), "at least 17"),
        ("version = 1", "version = 2".to_owned(), "reads version 1"),
        ("seq_len = 16", "seq_len = 16, vocab_size = 5".to_owned(), "`data.vocab_size`: it is 5"),
        ("replicates = 2", "replicates = 1_000_000_000".to_owned(), "at most 100000 trials"),
        ("plans = 1", "plans = 1_000_000_000".to_owned(), "at most 100000 trials"),
        ("kind = \"random\"", "kind = \"random\", name = \"../../escaped\"".to_owned(), "is '/'"),
        ("kind = \"random\"", "kind = \"random\", name = \"a\\nb\"".to_owned(), "is '\\n'"),
    ];
    for (from, to, expected) in cases {
        assert!(SWEEP.contains(from), "{from}");
        sandbox.write("bad.toml", &SWEEP.replacen(from, &to, 1));
        for command in ["plan", "run"] {
            let (code, errors) = sandbox.wrong(&[command, "bad.toml"]);
            assert_eq!(code, 2, "{to}: {errors}");
            assert!(errors.contains(expected) && errors.contains("bad.toml"), "{to}: {errors}");
        }
    }
    assert_eq!(sandbox.wrong(&["run", "no-such.toml"]).0, 2);
    assert_eq!(sandbox.wrong(&["run", "sweep.toml", "--devices", "cuda:77"]).0, 2);
    assert!(!sandbox.path("outgrow.db").exists(), "a wrong sweep must leave nothing behind");
}

#[test]
fn what_is_no_sweep_file_is_refused_at_once() {
    let sandbox = Sandbox::new();
    sandbox.write("binary.toml", "");
    fs::write(sandbox.path("binary.toml"), b"name = \"\xff\xfe\"\n").expect("written");
    nix::unistd::mkfifo(&sandbox.path("pipe.toml"), nix::sys::stat::Mode::S_IRWXU).expect("a pipe");
    let huge = fs::File::create(sandbox.path("huge.toml")).expect("a file");
    huge.set_len(10 << 30).expect("a file of holes");
    for (file, words) in [
        ("/dev/zero", "no regular file"),
        ("pipe.toml", "no regular file"),
        (".", "it is a folder"),
        ("binary.toml", "byte 8 is not UTF-8"),
        ("huge.toml", "no sweep file has more than"),
        ("missing.toml", "No such file"),
    ] {
        for command in ["plan", "run"] {
            let (code, errors) = sandbox.wrong(&[command, file]);
            assert!(
                code == 2 && errors.contains(words) && errors.contains(file),
                "{file}: {errors}"
            );
        }
    }
}

#[test]
fn a_text_of_ones_own_counts_from_the_sweeps_folder() {
    let sandbox = Sandbox::new();
    fs::create_dir_all(sandbox.path("sub/text/deep")).expect("a folder");
    sandbox.write(
        "sub/text/a.txt",
        &"It was the best of times, it was the worst of times. ".repeat(40),
    );
    sandbox.write("sub/text/deep/b.txt", &"Call me Ishmael. ".repeat(60));
    let data = "data = { paths = [\"text\"], validation = 0.2, seq_len = 16 }";
    let own = SWEEP.replace("data = { corpus = \"rust-crates\", seq_len = 16 }", data);
    sandbox.write("sub/own.toml", &own.replace("25_600", "2_560"));
    sandbox.ok(&["run", "sub/own.toml"]);
    let trials = || {
        sandbox.ok(&["query", "SELECT trial, val_loss FROM finals ORDER BY 1", "--format", "csv"])
    };
    let first = trials();
    assert_eq!(first.lines().count(), 5);
    // The same text in another place is the same trials; another text is others.
    fs::rename(sandbox.path("sub"), sandbox.path("moved")).expect("moved");
    sandbox.ok(&["run", "moved/own.toml"]);
    assert_eq!(first, trials());
    sandbox.write(
        "moved/text/a.txt",
        &"It was the age of wisdom, it was the age of foolishness. ".repeat(40),
    );
    sandbox.ok(&["run", "moved/own.toml"]);
    assert_eq!(trials().lines().count(), 9);
}

#[test]
fn wrong_places_are_told_so() {
    let sandbox = Sandbox::new();
    sandbox.write(
        "notes.db",
        &"not a database, but a text that is long enough to be taken for one ".repeat(4),
    );
    sandbox.write("empty.txt", "");
    let cases: [(&[&str], i32, &str); 13] = [
        (&["--db", "notes.db", "run", "sweep.toml"], 2, "another program"),
        (&["--db", "notes.db", "status"], 2, "another program"),
        (&["--db", "none.db", "status"], 2, "there is no database none.db"),
        (&["--db", "no/folder/a.db", "run", "sweep.toml"], 3, "is its folder there"),
        (&["--db", "/proc/a.db", "run", "sweep.toml"], 3, "/proc/a.db"),
        (&["--db", "mysql://host/x", "status"], 2, "postgres://USER@HOST/DATABASE"),
        (
            &["--db", "postgres://me:s3cret@127.0.0.1:1/x", "status"],
            3,
            "postgres://me:***@127.0.0.1:1/x",
        ),
        (&["plan", "sweep.toml", "--gflops", "nan"], 2, "from 1e-3 to 1e12"),
        (&["plan", "sweep.toml", "--gflops", "0"], 2, "from 1e-3 to 1e12"),
        (&["init", "a.toml", "--text", "empty.txt"], 2, "empty.txt is empty"),
        (&["db", "copy", "notes.db", "./notes.db"], 2, "the database itself"),
        (&["eval", "nowhere", "--tokens", "t.json"], 2, "nowhere"),
        (&["grow", "nowhere", "to", "--d-ff", "9"], 2, "nowhere"),
    ];
    for (args, expected, text) in cases {
        let (code, errors) = sandbox.wrong(args);
        assert_eq!(code, expected, "{args:?}: {errors}");
        assert!(errors.contains(text), "{args:?}: {errors}");
    }
}

#[test]
fn a_full_disk_loses_nothing() {
    let (sandbox, whole) = (Sandbox::new(), Sandbox::new());
    // No file may grow beyond 900 blocks of 512 bytes: as on a full disk, writing fails. It happens
    // in the database's log.
    let script = format!(
        "trap '' XFSZ; ulimit -f 900; exec {} run sweep.toml -j 2",
        env!("CARGO_BIN_EXE_outgrow")
    );
    let output = Command::new("sh")
        .args(["-c", &script])
        .current_dir(sandbox.0.path())
        .output()
        .expect("it runs");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{errors}");
    assert!(!errors.contains("panicked"), "{errors}");
    let recorded = sandbox.rows();
    assert!(recorded.lines().count() > 20, "the disk was full before anything was recorded");
    sandbox.ok(&["run", "sweep.toml"]);
    let all = sandbox.rows();
    assert!(recorded.lines().all(|line| all.contains(line)), "a recorded row was lost");
    whole.ok(&["run", "sweep.toml"]);
    assert_eq!(all, whole.rows());
}

#[test]
fn from_a_sweep_to_its_report_and_its_checkpoints() {
    let sandbox = Sandbox::new();
    let planned = sandbox.json(&["plan", "sweep.toml", "--json"]);
    assert_eq!(planned["trials"].as_array().map(Vec::len), Some(4));
    // The doctor looks at the optimizer's state, too.
    sandbox.ok(&["run", "sweep.toml", "--keep-final", "all"]);
    report(&sandbox);
    query(&sandbox);
    checkpoints(&sandbox);
}

fn report(sandbox: &Sandbox) {
    let answers = ["first", "second"]
        .map(|folder| sandbox.json(&["report", "small", "--json", "-o", folder])["answer"].clone());
    assert!(
        answers[0]["control"]["trained"]["loss"]["mean"].as_f64().is_some_and(|loss| loss > 0.0),
        "{answers:?}"
    );
    let files = |folder: &str| {
        let mut found = vec![];
        collect(&sandbox.path(folder), &mut found);
        found.sort();
        found
            .into_iter()
            .map(|path| {
                (
                    path.strip_prefix(sandbox.path(folder)).expect("inside").to_owned(),
                    fs::read(&path).expect("read"),
                )
            })
            .collect::<Vec<_>>()
    };
    let first = files("first");
    assert!(first == files("second"), "the same rows must give the same bytes");
    for name in [
        "README.md",
        "provenance.json",
        "tables/summary-single.tex",
        "figures/loss_vs_flops-single.pdf",
        "figures/growth_timeline-double.svg",
    ] {
        assert!(
            first.iter().any(|(path, bytes)| path == Path::new(name) && !bytes.is_empty()),
            "{name} is missing"
        );
    }
    assert_eq!(
        sandbox.wrong(&["report", "smoll"]),
        (2, "error: there is no sweep `smoll` in the database; there is small\n".into())
    );
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("a file").path();
        if path.is_dir() { collect(&path, files) } else { files.push(path) }
    }
}

fn query(sandbox: &Sandbox) {
    let sql = "SELECT strategy, replicate, val_loss, NULL AS missing FROM finals ORDER BY 1, 2";
    let rows = sandbox.json(&["query", sql, "--format", "json"]);
    assert_eq!((rows.as_array().map(Vec::len), &rows[0]["missing"]), (Some(4), &Value::Null));
    assert!(rows[0]["val_loss"].as_f64().is_some_and(|loss| loss > 1.0 && loss < 6.0), "{rows}");
    let csv = sandbox.ok(&["query", sql, "--format", "csv"]);
    assert!(csv.starts_with("strategy,replicate,val_loss,missing\nfrom_scratch,0,"), "{csv}");
    assert!(sandbox.ok(&["query", sql]).contains("from_scratch"));
    sandbox.ok(&["query", sql, "--format", "parquet", "-o", "a.parquet"]);
    assert!(fs::read(sandbox.path("a.parquet")).expect("written").starts_with(b"PAR1"));
    assert_eq!(sandbox.wrong(&["query", sql, "--format", "parquet"]).0, 2);
    assert_eq!(sandbox.wrong(&["query", "SELECT nonsense FROM finals"]).0, 2);
    assert_eq!(sandbox.wrong(&["query", "DELETE FROM trial"]).0, 2);
}

fn checkpoints(sandbox: &Sandbox) {
    let checkpoint = sandbox.a_checkpoint();
    sandbox.write("tokens.json", "[[72, 101, 108, 108, 111], [1, 2, 3, 4, 255]]");
    sandbox.write("text.txt", &"fn main() { println!(\"hello\"); }\n".repeat(9));
    sandbox.write(
        "apply.json",
        r#"[{"transform": "mlp_expansion", "layer": 0, "d_ff": 31}, {"transform": "hidden_expansion", "d_model": 17},
        {"transform": "layer_addition", "index": 1}, {"transform": "head_addition", "layer": 2, "n_new_heads": 1}]"#,
    );
    sandbox.ok(&["grow", &checkpoint, "grown", "--apply", "apply.json"]);
    sandbox.ok(&[
        "grow",
        "grown",
        "larger",
        "--d-model",
        "20",
        "--n-layers",
        "4",
        "--d-ff",
        "40",
        "--init",
        "copy",
    ]);
    sandbox.write("named.json", r#"{"tokens": [[72, 101, 108, 108, 111], [1, 2, 3, 4, 255]]}"#);
    let logits = |folder: &str| {
        sandbox.json(&["eval", folder, "--tokens", "tokens.json", "--json"])["logits"].clone()
    };
    let (before, after) = (flat(&logits(&checkpoint)), flat(&logits("larger")));
    assert_eq!(before.len(), 2 * 5 * 256);
    assert_eq!(
        sandbox.json(&["eval", &checkpoint, "--tokens", "named.json", "--json"])["logits"],
        logits(&checkpoint)
    );
    let worst = before.iter().zip(&after).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    assert!(worst < 1e-5 && worst.is_finite(), "logits changed by {worst:e}");
    let loss = |folder: &str| {
        sandbox.json(&["eval", folder, "--text", "text.txt", "--json"])["loss"]
            .as_f64()
            .expect("a loss")
    };
    assert!((loss(&checkpoint) - loss("larger")).abs() < 1e-5);
    assert!(sandbox.ok(&["check", "larger", "-n", "4"]).contains("preserved"));
    operators(sandbox, &checkpoint);
    assert!(sandbox.ok(&["check", "-n", "20"]).contains("preserved"));
    let (code, errors) = sandbox.wrong(&["grow", "larger", "smaller", "--d-ff", "8"]);
    assert!(code == 2 && errors.contains("shrink"), "{errors}");
    let (code, errors) = sandbox.wrong(&["grow", "larger", "grown", "--d-ff", "99"]);
    assert!(code == 2 && errors.contains("exists"), "{errors}");
    sandbox.write("tokens.json", "[[1, 256]]");
    let (code, errors) = sandbox.wrong(&["eval", "larger", "--tokens", "tokens.json"]);
    assert!(code == 2 && errors.contains("256"), "{errors}");
    let weights = sandbox.path("grown/model.safetensors");
    let mut bytes = fs::read(&weights).expect("read");
    *bytes.last_mut().expect("a byte") ^= 1;
    fs::write(&weights, bytes).expect("written");
    let (code, errors) = sandbox.wrong(&["eval", "grown", "--text", "text.txt"]);
    assert!(code == 2 && errors.contains("damaged"), "{errors}");
}

/// `grow` by a published operator, and `doctor` before it.
fn operators(sandbox: &Sandbox, checkpoint: &str) {
    let stack = r#"{"kind": "stack", "order": "block"}"#;
    let grown = sandbox.json(&[
        "grow",
        checkpoint,
        "stacked",
        "--operator",
        stack,
        "--n-layers",
        "4",
        "--json",
    ]);
    assert_eq!(
        (&grown["preserving"], &grown["growths"][0]["operator"]["kind"]),
        (&json!(false), &json!("stack"))
    );
    let (code, errors) =
        sandbox.wrong(&["grow", checkpoint, "odd", "--operator", stack, "--n-layers", "3"]);
    assert!(
        code == 2
            && errors.contains("n_layers must be multiplied by a whole number: 2 can't become 3"),
        "{errors}"
    );
    let (code, errors) = sandbox.wrong(&[
        "grow",
        checkpoint,
        "odd",
        "--operator",
        r#"{"kind": "lego"}"#,
        "--n-layers",
        "3",
    ]);
    assert!(code == 2 && errors.contains("lego") && !sandbox.path("odd").exists(), "{errors}");
    let cloning = r#"{"kind": "hyper_cloning"}"#;
    let widths = ["--d-model", "24", "--n-heads", "4", "--d-ff", "48"];
    let examine = |operator: &str, more: &[&str]| {
        let args = [&["doctor", checkpoint, "--operator", operator], &widths[..], more].concat();
        sandbox.ok(&args)
    };
    let text = examine(cloning, &["--text", "text.txt"]);
    // Equal at first; the originals' moments, which the copies lack, then make them different.
    assert!(
        text.contains("preserved, as claimed")
            && text.contains("gradients 1.000000, at step 3 0.9"),
        "{text}"
    );
    let noisy: Value = serde_json::from_str(&examine(
        r#"{"kind": "hyper_cloning", "noise_db": 10.0}"#,
        &["--json"],
    ))
    .expect("JSON");
    assert_eq!(
        (&noisy["locked"], &noisy["dead"], &noisy["preserving"]),
        (&json!(false), &json!(false), &json!(true))
    );
    assert!(noisy["diagnosis"]["reached"][2].as_f64().is_some_and(|share| share > 0.5), "{noisy}");
    let (code, errors) =
        sandbox.wrong(&["doctor", checkpoint, "--text", "nowhere.txt", "--d-ff", "99"]);
    assert!(code == 2 && errors.contains("nowhere.txt"), "{errors}");
}

fn flat(value: &Value) -> Vec<f64> {
    match value {
        Value::Array(values) => values.iter().flat_map(flat).collect(),
        other => vec![other.as_f64().expect("a number")],
    }
}
