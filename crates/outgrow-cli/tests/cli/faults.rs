//! Whatever happens to processes, disks and databases: the numbers in the end are those of a sweep
//! that nothing happened to.
//!
//! The long form (`scripts/test --long`) kills 200 times instead of 8.

use std::{
    fs,
    io::{Read, Seek, SeekFrom, Write},
    process::{Command, Stdio},
    sync::OnceLock,
    thread::sleep,
    time::{Duration, Instant},
};

use nix::sys::signal::Signal;

use crate::sandbox::{SWEEP, Sandbox, Server, signal, workers_of};

/// A sweep of a few seconds, or longer.
fn sweep(tokens: &str) -> String {
    SWEEP.replace("tokens = 25_600", &format!("tokens = {tokens}"))
}

/// Every number of that sweep when nothing happens to it.
fn undisturbed() -> &'static str {
    static ROWS: OnceLock<String> = OnceLock::new();
    ROWS.get_or_init(|| {
        let sandbox = Sandbox::new();
        sandbox.write("sweep.toml", &sweep("51_200"));
        sandbox.ok(&["run", "sweep.toml"]);
        sandbox.rows()
    })
}

fn desk_with(database: Option<String>) -> Sandbox {
    let sandbox = Sandbox::with(database);
    sandbox.write("sweep.toml", &sweep("51_200"));
    sandbox
}

/// After whatever happened: the sweep is done, and has the numbers it must have, each once.
fn assert_unharmed(sandbox: &Sandbox) {
    sandbox.ok(&["run", "sweep.toml", "-j2"]);
    assert_eq!(sandbox.number("SELECT count(*) FROM finals WHERE state = 'complete'"), 4);
    assert!(sandbox.rows() == undisturbed(), "other numbers than those of the undisturbed sweep");
}

/// A number below `n` of a fixed sequence.
fn draw(seed: &mut u64, n: u64) -> u64 {
    *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    (*seed >> 33) % n
}

/// Kills the driver, a worker, or all of them, at random times, so many times; starts the driver
/// again where it is gone.
fn kill_at_random(sandbox: &Sandbox, kills: usize) {
    let (mut seed, mut killed, mut run) = (7, 0, sandbox.start(&["run", "sweep.toml", "-j2"]));
    sandbox.wait_for_rows(1);
    while killed < kills {
        sleep(Duration::from_millis(150 + draw(&mut seed, 1500)));
        // On a busy machine it takes a while until a worker trains, and can die in the middle.
        let recorded = || sandbox.number("SELECT count(*) FROM step_metric");
        let before = recorded();
        while recorded() == before && matches!(run.try_wait(), Ok(None)) {}
        let workers = workers_of(run.id());
        let driver = run.id() as i32;
        match draw(&mut seed, 3) {
            0 => signal(&[driver], Signal::SIGKILL),
            1 => signal(&workers[..workers.len().min(1)], Signal::SIGKILL),
            _ => signal(&[workers.clone(), vec![driver]].concat(), Signal::SIGKILL),
        }
        killed += 1;
        if let Ok(Some(status)) = {
            sleep(Duration::from_millis(20));
            run.try_wait()
        } {
            if status.success() {
                break;
            }
            run = sandbox.start(&["run", "sweep.toml", "-j2"]);
        }
    }
    signal(&[run.id() as i32], Signal::SIGTERM);
    run.wait().expect("it ends");
    assert!(
        sandbox.number("SELECT count(*) FROM attempt WHERE outcome = 'died'") > 0,
        "nothing died, so nothing was tested"
    );
}

fn is_long() -> bool {
    std::env::var_os("OUTGROW_TEST_LONG").is_some()
}

#[test]
fn kills_at_random_times_lose_nothing() {
    if !is_long() {
        let sandbox = desk_with(None);
        kill_at_random(&sandbox, 8);
        return assert_unharmed(&sandbox);
    }
    // Long enough for 200 kills.
    let (whole, killed) = (Sandbox::new(), Sandbox::new());
    for sandbox in [&whole, &killed] {
        sandbox.write("sweep.toml", &sweep("1_638_400"));
    }
    whole.ok(&["run", "sweep.toml"]);
    kill_at_random(&killed, 200);
    killed.ok(&["run", "sweep.toml", "-j2"]);
    assert!(whole.rows() == killed.rows(), "other numbers than those of the undisturbed sweep");
    println!(
        "{} attempts died",
        killed.number("SELECT count(*) FROM attempt WHERE outcome = 'died'")
    );
}

#[test]
fn kills_lose_nothing_on_a_server() {
    let Some((_server, url)) = Server::start() else { return };
    let sandbox = desk_with(Some(url));
    kill_at_random(&sandbox, if is_long() { 60 } else { 5 });
    assert_unharmed(&sandbox);
}

#[test]
fn a_server_that_crashes_is_waited_for() {
    let Some((server, url)) = Server::start() else { return };
    let sandbox = desk_with(Some(url));
    let run = sandbox
        .command(&["run", "sweep.toml", "-j2"])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it runs");
    sandbox.wait_for_rows(60);
    // A short crash, after which everything that waited is written.
    server.crash();
    sleep(Duration::from_secs(2));
    server.again().expect("it is installed");
    let seen = sandbox.number("SELECT count(*) FROM step_metric");
    sandbox.wait_for_rows(seen + 20);
    // A longer one, in which the workers die: what they recorded meanwhile waits on disk.
    server.crash();
    sleep(Duration::from_secs(7));
    let workers = workers_of(run.id());
    signal(&workers, Signal::SIGKILL);
    sleep(Duration::from_secs(1));
    let spools = find(&sandbox, "spool-");
    server.again().expect("it is installed");
    let output = run.wait_with_output().expect("it ends");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    assert!(
        errors.contains("the database does not answer") && errors.contains("is back"),
        "{errors}"
    );
    assert!(
        workers.is_empty() || !spools.is_empty(),
        "nothing was on disk, so nothing was tested: {errors}"
    );
    assert_unharmed(&sandbox);
    assert_eq!(find(&sandbox, "spool-"), [""; 0], "what was written is cleared away");
}

/// Files of a sandbox whose name begins so.
fn find(sandbox: &Sandbox, prefix: &str) -> Vec<String> {
    let output = Command::new("find")
        .arg(sandbox.0.path())
        .args(["-name", &format!("{prefix}*")])
        .output()
        .expect("find");
    String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect()
}

/// Trains until so many rows are there, then stops at once.
fn interrupted(rows: u64) -> Sandbox {
    let sandbox = desk_with(None);
    let mut run = sandbox.start(&["run", "sweep.toml", "-j1"]);
    sandbox.wait_for_rows(rows);
    signal(&workers_of(run.id()), Signal::SIGKILL);
    signal(&[run.id() as i32], Signal::SIGKILL);
    run.wait().expect("it ends");
    sandbox
}

/// A file that is changed or gone is said, by its name, and the checkpoint before is used, or
/// training begins anew. (That every kind of damage is seen is tested where checkpoints are read.)
#[test]
fn a_damaged_checkpoint_is_passed_over() {
    let sandbox = interrupted(60);
    let newest = "SELECT path FROM checkpoint ORDER BY trial DESC, step DESC LIMIT 2";
    let newest = sandbox.json(&["query", newest, "--format", "json"]);
    let folder = |n: usize| sandbox.path(newest[n]["path"].as_str().expect("a checkpoint"));
    let whole = folder(0).with_file_name("whole");
    fs::rename(folder(0), &whole).expect("moved");
    for file in ["checkpoint.json", "model.safetensors", "optimizer.safetensors"] {
        for is_gone in [true, false] {
            let copy = copy_of(&sandbox);
            let path = copy.path(newest[0]["path"].as_str().expect("a path"));
            fs::create_dir(&path).expect("a folder");
            for entry in fs::read_dir(&whole).expect("a folder") {
                let from = entry.expect("a file").path();
                fs::copy(&from, path.join(from.file_name().expect("a name"))).expect("copied");
            }
            let path = path.join(file);
            let mut bytes = fs::read(&path).expect("read");
            let middle = bytes.len() / 2;
            bytes[middle] ^= 0x10;
            if is_gone { fs::remove_file(&path) } else { fs::write(&path, bytes) }
                .expect("damaged");
            let output = copy.run(&["run", "sweep.toml", "-j2"]);
            let errors = String::from_utf8_lossy(&output.stderr);
            let said =
                |line: &str| line.contains("using the checkpoint before it") && line.contains(file);
            assert!(output.status.success() && errors.lines().any(said), "{file}: {errors}");
            assert_unharmed(&copy);
        }
    }
    for n in [0, 1] {
        let _ = fs::remove_dir_all(folder(n));
    }
    let output = sandbox.run(&["run", "sweep.toml", "-j2"]);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && errors.contains("there is no other, so training begins anew"),
        "{errors}"
    );
    assert_unharmed(&sandbox);
}

/// A sandbox with all that lies on another.
fn copy_of(sandbox: &Sandbox) -> Sandbox {
    let copy = Sandbox::new();
    let from = sandbox.path(".").display().to_string() + "/.";
    assert!(
        Command::new("cp").args(["-r", &from]).arg(copy.path(".")).status().expect("cp").success()
    );
    copy
}

/// Records, evaluations and checkpoints are hours away: a request to stop does not wait for them.
#[test]
fn an_interrupt_does_not_wait_for_a_record() {
    for asked in [Signal::SIGINT, Signal::SIGTERM] {
        let sandbox = Sandbox::new();
        let rare =
            ["25_600", "every_tokens = 640", "every_tokens = 960", "record_every_tokens = 128"];
        let rare = rare.iter().fold(SWEEP.to_owned(), |sweep, number| {
            let (name, _) = number.rsplit_once(' ').unwrap_or_default();
            sweep.replace(number, &format!("{name} 6_000_000_000"))
        });
        sandbox.write("sweep.toml", &rare);
        for times in [1, 2] {
            let mut run = sandbox.start(&["run", "sweep.toml", "-j1"]);
            sandbox.wait_for("SELECT count(*) AS n FROM attempt WHERE outcome IS NULL", 1);
            sleep(Duration::from_secs(1));
            for _ in 0..times {
                signal(&[run.id() as i32], asked);
                sleep(Duration::from_millis(400));
            }
            let ended = Instant::now();
            while run.try_wait().expect("asked").is_none() {
                assert!(ended.elapsed() < Duration::from_secs(120), "{asked}: it goes on");
                sleep(Duration::from_millis(50));
            }
            assert_eq!(run.wait().expect("it ended").code(), Some(130), "{asked}");
            assert!(
                sandbox.number("SELECT count(*) FROM checkpoint WHERE step > 0") > 0,
                "{asked}, {times} times"
            );
        }
    }
}

/// What `run` refuses leaves nothing behind.
#[test]
fn what_is_refused_leaves_nothing() {
    let sandbox = Sandbox::new();
    let own = |data: &str| {
        let line = SWEEP.lines().find(|line| line.starts_with("data")).expect("a line");
        SWEEP.replace(line, &format!("data = {{ {data}, validation = 0.1, seq_len = 16 }}"))
    };
    sandbox.write("text.txt", &"let x = y;\n".repeat(500));
    sandbox.write("good.toml", &own("paths = [\"text.txt\"]"));
    sandbox.write("no-text.toml", &own("paths = [\"nowhere.txt\"]"));
    sandbox.write(
        "impossible.toml",
        &own("paths = [\"text.txt\"]")
            .replace("grow_between = [0.1, 0.6]", "grow_between = [0.6, 0.1]"),
    );
    sandbox.write("foreign.db", &"not a database, but long enough to be one. ".repeat(100));
    fs::create_dir(sandbox.path("folder.db")).expect("a folder");
    let files = || {
        let mut names: Vec<_> = fs::read_dir(sandbox.0.path())
            .expect("a folder")
            .flatten()
            .map(|e| e.file_name())
            .collect();
        names.sort();
        names
    };
    let (before, foreign) = (files(), fs::read(sandbox.path("foreign.db")).expect("read"));
    let refused = [
        ("good.toml", "foreign.db", 2),
        ("good.toml", "folder.db", 2),
        ("good.toml", "no/such/folder.db", 3),
        ("no-text.toml", "new.db", 2),
        ("impossible.toml", "new.db", 2),
    ];
    for (sweep, database, expected) in refused {
        let (code, errors) = sandbox.wrong(&["run", sweep, "--db", database, "-j1"]);
        assert_eq!((code, files()), (expected, before.clone()), "{sweep} {database}: {errors}");
    }
    assert_eq!(fs::read(sandbox.path("foreign.db")).expect("read"), foreign);
}

#[test]
fn files_and_database_can_be_moved() {
    let sandbox = interrupted(60);
    let there = sandbox.path("elsewhere");
    fs::create_dir(&there).expect("a folder");
    sandbox.ok(&["db", "copy", "outgrow.db", "elsewhere/copy.db"]);
    fs::rename(sandbox.path("outgrow.db.checkpoints"), there.join("checkpoints")).expect("moved");
    fs::rename(sandbox.path("outgrow.db"), there.join("old.db")).expect("moved");
    let args = ["--db", "elsewhere/copy.db", "--files", "elsewhere", "run", "sweep.toml"];
    let output = sandbox.run(&args);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && !errors.contains("warning"), "{errors}");
    // What was left of the old one beside it must not be taken for the new one's.
    for left in ["outgrow.db-wal", "outgrow.db-shm"] {
        let _ = fs::remove_file(sandbox.path(left));
    }
    sandbox.ok(&["db", "copy", "elsewhere/copy.db", "outgrow.db"]);
    assert_unharmed(&sandbox);
}

#[test]
fn a_damaged_database_is_told_and_a_backup_goes_on() {
    let sandbox = interrupted(60);
    sandbox.ok(&["db", "copy", "outgrow.db", "backup.db"]);
    let mut file = fs::File::options()
        .read(true)
        .write(true)
        .open(sandbox.path("outgrow.db"))
        .expect("opened");
    let _ = fs::remove_file(sandbox.path("outgrow.db-wal"));
    let _ = fs::remove_file(sandbox.path("outgrow.db-shm"));
    let size = file.metadata().expect("a file").len();
    let mut page = vec![0; 4096];
    for at in (4096..size).step_by(4096) {
        file.seek(SeekFrom::Start(at)).and_then(|_| file.read_exact(&mut page)).expect("read");
        page.iter_mut().for_each(|byte| *byte = byte.wrapping_mul(167).wrapping_add(13));
        file.seek(SeekFrom::Start(at)).and_then(|_| file.write_all(&page)).expect("written");
    }
    for args in [
        &["run", "sweep.toml"][..],
        &["status"],
        &["report", "small"],
        &["query", "SELECT * FROM curves"],
    ] {
        let (code, errors) = sandbox.wrong(args);
        assert!(matches!(code, 2 | 3) && errors.contains("malformed"), "{args:?}: {code} {errors}");
    }
    fs::rename(sandbox.path("backup.db"), sandbox.path("outgrow.db")).expect("moved");
    assert_unharmed(&sandbox);
}

#[test]
fn who_was_stopped_too_long_writes_nothing_more() {
    let sandbox = desk_with(None);
    let mut first = sandbox.start(&["run", "sweep.toml", "-j1"]);
    sandbox.wait_for_rows(60);
    let stopped = [workers_of(first.id()), vec![first.id() as i32]].concat();
    assert_eq!(stopped.len(), 2, "one worker and its driver");
    // The driver first, so that it does not replace the worker. Not within a transaction: whoever
    // is stopped there keeps the file locked.
    for _ in 0..20 {
        signal(&stopped.iter().rev().copied().collect::<Vec<_>>(), Signal::SIGSTOP);
        if !crate::sandbox::is_locked(&sandbox.path("outgrow.db")) {
            break;
        }
        signal(&stopped, Signal::SIGCONT);
        sleep(Duration::from_millis(30));
    }
    let began = Instant::now();
    sandbox.ok(&["run", "sweep.toml", "-j1"]);
    let waited = began.elapsed();
    assert!(sandbox.rows() == undisturbed(), "other numbers than those of the undisturbed sweep");
    assert!(waited > Duration::from_secs(10), "the stopped one lost its trial at once: {waited:?}");
    let attempts = "SELECT count(*) FROM attempt";
    let before = sandbox.number(attempts);
    signal(&stopped, Signal::SIGCONT);
    assert!(first.wait().expect("it ends").success(), "it finds its trial done");
    assert_eq!(sandbox.number(attempts), before, "it has taken nothing");
    assert_unharmed(&sandbox);
}

#[test]
fn a_worker_that_hangs_is_replaced() {
    let sandbox = desk_with(None);
    let mut run = sandbox.start(&["run", "sweep.toml", "-j1"]);
    sandbox.wait_for_rows(60);
    signal(&workers_of(run.id()), Signal::SIGSTOP);
    assert!(run.wait().expect("it ends").success());
    assert_eq!(sandbox.number("SELECT count(*) FROM attempt WHERE outcome = 'died'"), 1);
    assert_unharmed(&sandbox);
}

/// Stops a worker in the middle of a transaction: as long as it is there, nobody else can write to
/// the file.
#[test]
fn a_worker_that_was_stopped_while_it_wrote_is_replaced() {
    const STOP: &str = "
import os, signal, sqlite3, sys, time
worker, database = int(sys.argv[1]), sqlite3.connect(sys.argv[2], timeout=0, isolation_level=None)
for _ in range(3000):
    os.kill(worker, signal.SIGSTOP)
    time.sleep(0.001)
    try:
        database.execute('BEGIN IMMEDIATE')
    except sqlite3.OperationalError:
        sys.exit(0)
    database.execute('ROLLBACK')
    os.kill(worker, signal.SIGCONT)
    time.sleep(0.0005)
sys.exit(1)
";
    let sandbox = desk_with(None);
    let mut run = sandbox.start(&["run", "sweep.toml", "-j1"]);
    sandbox.wait_for_rows(20);
    let worker = workers_of(run.id())[0].to_string();
    let database = sandbox.path("outgrow.db");
    let stopped = Command::new("python3")
        .args(["-c", STOP, &worker])
        .arg(&database)
        .stderr(Stdio::null())
        .status();
    if !stopped.is_ok_and(|status| status.success()) {
        outgrow_testkit::skip("the worker was never met while it wrote (or there is no python3)");
        signal(&workers_of(run.id()), Signal::SIGCONT);
        assert!(run.wait().expect("it ends").success());
        return;
    }
    assert!(run.wait().expect("it ends").success());
    assert_eq!(sandbox.number("SELECT count(*) FROM attempt WHERE outcome = 'died'"), 1);
    assert_unharmed(&sandbox);
}

#[test]
fn a_clock_that_is_set_back_does_no_harm() {
    let faketime = |args: &[&str], sandbox: &Sandbox| {
        let mut command = Command::new("faketime");
        let program = env!("CARGO_BIN_EXE_outgrow");
        command.args(["-f", "-3d", program]).args(args).current_dir(sandbox.0.path());
        command.env("FAKETIME_DONT_FAKE_MONOTONIC", "1").env_remove("OUTGROW_DB").output()
    };
    let sandbox = interrupted(60);
    let Ok(output) = faketime(&["run", "sweep.toml", "-j2"], &sandbox) else {
        outgrow_testkit::skip("faketime is not installed here");
        return;
    };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_unharmed(&sandbox);
}

#[test]
fn a_read_only_and_a_full_file_system_are_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let mount = |options: &str| {
        let mut command = Command::new("mount");
        command
            .args(["-t", "tmpfs", "-o", options, "tmpfs"])
            .arg(folder.path())
            .stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    };
    if !mount("size=600k") {
        outgrow_testkit::skip("no file system can be mounted here");
        return;
    }
    let (sandbox, db) = (desk_with(None), folder.path().join("a.db").display().to_string());
    let run = ["--db", &db, "run", "sweep.toml", "-j2"];
    let (code, errors) = sandbox.wrong(&run);
    assert!(
        code == 3 && (errors.contains("full") || errors.contains("No space left")),
        "{code} {errors}"
    );
    assert!(mount("remount,ro"), "it was mounted");
    let (code, errors) = sandbox.wrong(&run);
    assert!(
        code == 3 && errors.replace('-', "").to_lowercase().contains("readonly"),
        "{code} {errors}"
    );
    sandbox.ok(&["--db", &db, "status"]);
    assert!(mount("remount,rw,size=200m"), "it was mounted");
    sandbox.ok(&run);
    sandbox.ok(&["db", "copy", &db, "outgrow.db"]);
    assert_unharmed(&sandbox);
    let _ = Command::new("umount").arg(folder.path()).status();
}

#[test]
fn secrets_stay_secret() {
    let Some((_server, url)) = Server::start() else { return };
    let sandbox = desk_with(Some(url.replace("postgres@", "postgres:s3cret@")));
    let run = sandbox
        .command(&["run", "sweep.toml", "-j1"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it runs");
    sandbox.wait_for_rows(20);
    let processes = Command::new("ps").args(["-eo", "args"]).output().expect("ps").stdout;
    let output = run.wait_with_output().expect("it ends");
    sandbox.ok(&["report", "small", "-o", "report"]);
    let tables = ["sweep", "trial", "attempt", "environment", "checkpoint"]
        .map(|table| sandbox.ok(&["query", &format!("SELECT * FROM {table}"), "--format", "csv"]));
    let said = [processes, output.stdout, output.stderr, tables.concat().into_bytes()].concat();
    assert!(
        !String::from_utf8_lossy(&said).contains("s3cret"),
        "{}",
        String::from_utf8_lossy(&said)
    );
    let files = Command::new("grep")
        .args(["-rl", "s3cret"])
        .arg(sandbox.0.path())
        .output()
        .expect("grep")
        .stdout;
    assert_eq!(String::from_utf8_lossy(&files), "");
}
