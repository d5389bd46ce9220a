//! The database as users meet it: how it is named, where it lies, who takes it away, and what is
//! asked of it.

use std::{
    collections::BTreeSet,
    fs,
    io::{BufRead, BufReader, Read},
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::{Pid, Uid},
};

use crate::sandbox::{SWEEP, Sandbox, workers_of};

/// Names of all files and folders below a folder.
fn names(folder: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for entry in fs::read_dir(folder).expect("a folder").flatten() {
        found.insert(entry.path().display().to_string());
        if entry.path().is_dir() {
            found.extend(names(&entry.path()));
        }
    }
    found
}

/// A folder with a finished sweep in `outgrow.db`.
fn trained() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("sweep.toml", &SWEEP.replace("25_600", "2_560"));
    sandbox.ok(&["run", "sweep.toml"]);
    sandbox
}

#[test]
fn no_address_shows_its_password_or_leaves_litter() {
    let sandbox = Sandbox::new();
    // 127.0.0.1:1 refuses at once.
    for address in [
        "postgres:me:hunter2x@127.0.0.1:1/db",
        "postgres:/me:hunter2x@127.0.0.1:1/db",
        "postgres//me:hunter2x@127.0.0.1:1/db",
        "//me:hunter2x@127.0.0.1:1/db",
        "me:hunter2x@127.0.0.1:1/db",
        "postgres://me:hunter2x",
        "postgres://me:hunter2x/db",
        "postgres://me%3Ahunter2x@127.0.0.1:1/db",
        "postgres://me:hunter2x@127.0.0.1:99999/db",
        "postgres://me:hunter2x@127.0.0.1:port/db",
        "postgres://me:hunter2x@127.0.0.1:1/db",
        "postgres://me:hunter2x@127.0.0.1:1/db?sslmode=hunter2x",
        "postgres://me:p@ss/hunter2x@127.0.0.1:1/db",
        "postgres://127.0.0.1:1/db?user=me&password=hunter2x",
        "postgresql+psycopg2://me:hunter2x@127.0.0.1:1/db",
        "postgis://me:hunter2x@127.0.0.1:1/db",
        "jdbc:postgresql://127.0.0.1:1/db?user=me&password=hunter2x",
        "host=127.0.0.1 port=1 dbname=db password=hunter2x",
        "mysql://me:hunter2x@127.0.0.1:1/db",
        "sqlite://me:hunter2x@127.0.0.1:1/db",
        "file://me:hunter2x@127.0.0.1/db",
        "",
        ":memory:",
        "sqlite::memory:",
        "file:a.db?mode=memory",
        ".",
        "/",
        "/dev/null",
    ] {
        let before = names(sandbox.0.path());
        for command in [
            &["status"][..],
            &["query", "SELECT 1"],
            &["run", "sweep.toml"],
            &["report", "small"],
            &["db", "upgrade"],
        ] {
            let output = sandbox.run(&[command, &["--db", address]].concat());
            let said = [output.stdout, output.stderr].concat();
            let said = String::from_utf8_lossy(&said);
            assert!(matches!(output.status.code(), Some(2 | 3)), "{command:?} {address}: {said}");
            assert!(
                !said.contains("hunter2x") && !said.contains("panicked"),
                "{command:?} {address}: {said}"
            );
        }
        // Text that was prepared before the database refused is outgrow's, and named after nothing
        // that was typed.
        let new = names(sandbox.0.path())
            .difference(&before)
            .filter(|name| name.contains("hunter2x") || name.contains('@'))
            .count();
        assert_eq!(new, 0, "{address}: {:?}", names(sandbox.0.path()));
    }
}

#[test]
fn forms_of_addresses_lead_to_one_file() {
    let sandbox = trained();
    let path = sandbox.path("outgrow.db").display().to_string();
    let home = sandbox.0.path().display().to_string();
    let count = "SELECT count(*) AS n FROM finals";
    for address in [
        "outgrow.db".into(),
        "./outgrow.db".into(),
        "~/outgrow.db".into(),
        "sqlite:outgrow.db".into(),
        "sqlite://outgrow.db".into(),
        "jdbc:sqlite:outgrow.db".into(),
        "file:outgrow.db".into(),
        path.clone(),
        format!("sqlite://{path}"),
        format!("sqlite:///{path}"),
        format!("sqlite+pysqlite:///{path}"),
        format!("file://{path}"),
    ] {
        let answer = sandbox
            .command(&["query", count, "--format", "csv", "--db", &address])
            .env("HOME", &home)
            .output();
        let answer = answer.expect("it runs");
        assert_eq!(
            String::from_utf8_lossy(&answer.stdout),
            "n\n4\n",
            "{address}: {}",
            String::from_utf8_lossy(&answer.stderr)
        );
    }
    assert_eq!(sandbox.run(&["status", "--db=-x"]).status.code(), Some(2));
    assert_eq!(sandbox.run(&["status", "--db", "-x"]).status.code(), Some(2));
}

#[test]
fn who_only_looks_changes_nothing_and_needs_no_right_to_write() {
    let sandbox = trained();
    fs::create_dir(sandbox.path("ro")).expect("a folder");
    fs::copy(sandbox.path("outgrow.db"), sandbox.path("ro/outgrow.db")).expect("copied");
    let looks: [&[&str]; 5] = [
        &["status"],
        &["query", "SELECT * FROM finals"],
        &["report", "small", "-o", "../REPORT"],
        &["export", "small", "--to", "../EXPORT"],
        &["plan", "sweep.toml"],
    ];
    let bytes = fs::read(sandbox.path("ro/outgrow.db")).expect("read");
    for look in looks {
        let look = look.iter().map(|word| word.replace("../", "")).collect::<Vec<_>>();
        let look: Vec<&str> = look.iter().map(String::as_str).collect();
        sandbox.ok(&[&look[..], &["--db", "ro/outgrow.db"]].concat());
        assert_eq!(names(&sandbox.path("ro")).len(), 1, "{look:?} left something beside the file");
    }
    assert!(bytes == fs::read(sandbox.path("ro/outgrow.db")).expect("read"));
    let permit = |path: &str, mode| {
        fs::set_permissions(sandbox.path(path), std::os::unix::fs::PermissionsExt::from_mode(mode))
            .expect("permitted");
    };
    permit("", 0o755);
    permit("ro/outgrow.db", 0o444);
    permit("ro", 0o555);
    fs::create_dir(sandbox.path("out")).expect("a folder");
    permit("out", 0o777);
    for (number, look) in looks[..4].iter().enumerate() {
        let words = look.iter().map(|word| {
            format!("'{}'", word.replace("../", &format!("{}/", sandbox.path("out").display())))
        });
        let line = format!(
            "'{}' {} --db ro/outgrow.db",
            env!("CARGO_BIN_EXE_outgrow"),
            words.collect::<Vec<_>>().join(" ")
        );
        let mut command = Command::new(if Uid::effective().is_root() { "su" } else { "sh" });
        if Uid::effective().is_root() {
            command.args(["nobody", "-s", "/bin/sh"]);
        }
        let output = command
            .args(["-c", &line])
            .current_dir(sandbox.0.path())
            .env_remove("OUTGROW_DB")
            .output()
            .expect("it runs");
        let errors = String::from_utf8_lossy(&output.stderr);
        if number == 0 && errors.contains("ermission denied") && !errors.contains("error:") {
            outgrow_testkit::skip(&format!("others may not run this program here: {errors}"));
            break;
        }
        assert!(output.status.success(), "{line}: {errors}");
    }
    assert_eq!(names(&sandbox.path("ro")).len(), 1);
    permit("ro", 0o755);
}

#[test]
fn a_database_that_is_taken_away_ends_the_run() {
    type Act = fn(&Sandbox);
    let acts: [(&str, Act); 3] = [
        ("deleted", |sandbox| {
            ["", "-wal", "-shm"].iter().for_each(|end| {
                fs::remove_file(sandbox.path(&format!("outgrow.db{end}"))).expect("removed")
            })
        }),
        ("its log deleted", |sandbox| {
            ["-wal", "-shm"].iter().for_each(|end| {
                fs::remove_file(sandbox.path(&format!("outgrow.db{end}"))).expect("removed")
            })
        }),
        ("replaced", |sandbox| {
            sandbox.write("new", "another file");
            fs::rename(sandbox.path("new"), sandbox.path("outgrow.db")).expect("moved");
        }),
    ];
    for (what, act) in acts {
        let sandbox = Sandbox::new();
        sandbox.write("sweep.toml", &SWEEP.replace("25_600", "2_560_000"));
        let run = sandbox
            .command(&["run", "sweep.toml", "-j", "2"])
            .stderr(Stdio::piped())
            .stdout(Stdio::null())
            .spawn();
        let run = run.expect("it runs");
        sandbox.wait_for_rows(30);
        let workers = workers_of(run.id());
        act(&sandbox);
        let there = |name: &str| fs::read(sandbox.path(name)).ok();
        let before = there("outgrow.db");
        let began = Instant::now();
        let output = run.wait_with_output().expect("it ends");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(3), "{what}: {errors}");
        assert!(
            errors.contains("no longer the one that was opened") && !errors.contains("panicked"),
            "{what}: {errors}"
        );
        assert!(began.elapsed() < Duration::from_secs(30), "{what}: it took {:?}", began.elapsed());
        // Where the log alone is gone the file is still ours, and takes what was in the log.
        assert!(
            what.contains("log") || before == there("outgrow.db"),
            "{what}: what is there now was touched"
        );
        // The log of a file that another took the place of is left alone, and said.
        let is_log_left = there("outgrow.db-wal").is_some() || there("outgrow.db-shm").is_some();
        assert_eq!(is_log_left, what == "replaced", "{what}");
        assert_eq!(
            errors.contains("outgrow.db-wal, which would damage any other file"),
            what == "replaced",
            "{errors}"
        );
        assert!(
            workers.iter().all(|pid| kill(Pid::from_raw(*pid), None).is_err()),
            "{what}: a worker goes on"
        );
    }
}

const ENDLESS: &str = "WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t)";

#[test]
fn a_query_ends_with_its_reader() {
    let sandbox = trained();
    let before = names(sandbox.0.path());
    for sql in [format!("{ENDLESS} SELECT n FROM t"), format!("{ENDLESS} SELECT count(*) FROM t")] {
        for format in ["csv", "json", "jsonl", "table"] {
            // An interrupt, whether anything was printed or not.
            let mut query = sandbox.command(&["query", &sql, "--format", format]);
            let mut query =
                query.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("it runs");
            wait_until_it_listens(query.id());
            assert!(query.try_wait().expect("a state").is_none(), "it has no end");
            kill(Pid::from_raw(query.id() as i32), Signal::SIGINT).expect("interrupted");
            let (code, said) = ended(&mut query);
            assert_eq!((code, said.as_str()), (Some(130), "error: stopped\n"), "{format} {sql}");
            // A reader that goes, before the first line or after some.
            let mut query = sandbox.command(&["query", &sql, "--format", format]);
            let mut query =
                query.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it runs");
            let mut reader = BufReader::new(query.stdout.take().expect("it is piped"));
            if !sql.contains("count") {
                (0..5).for_each(|_| {
                    assert!(reader.read_line(&mut String::new()).expect("a line") > 0)
                });
            }
            drop(reader);
            assert_eq!(ended(&mut query), (Some(0), String::new()), "{format} {sql}");
        }
    }
    let mut query = sandbox.command(&[
        "query",
        &format!("{ENDLESS} SELECT n FROM t"),
        "--format",
        "parquet",
        "-o",
        "a.parquet",
    ]);
    let mut query = query.stderr(Stdio::piped()).spawn().expect("it runs");
    wait_until_it_listens(query.id());
    kill(Pid::from_raw(query.id() as i32), Signal::SIGINT).expect("interrupted");
    assert_eq!(ended(&mut query).0, Some(130));
    assert_eq!(before, names(sandbox.0.path()), "something stayed");
}

/// Waits until a process has taken SIGINT into its own hands.
fn wait_until_it_listens(pid: u32) {
    let listens = || {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let caught = status
            .lines()
            .find_map(|line| line.strip_prefix("SigCgt:"))
            .unwrap_or("0")
            .trim()
            .to_owned();
        u64::from_str_radix(&caught, 16).is_ok_and(|caught| caught & 2 != 0)
    };
    let began = Instant::now();
    while !listens() {
        assert!(began.elapsed() < Duration::from_secs(20), "it takes no signal");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Exit code of a process that must end soon, and what it said.
fn ended(child: &mut std::process::Child) -> (Option<i32>, String) {
    let began = Instant::now();
    while child.try_wait().expect("a state").is_none() {
        assert!(began.elapsed() < Duration::from_secs(20), "it goes on");
        std::thread::sleep(Duration::from_millis(10));
    }
    let mut said = String::new();
    child.stderr.take().expect("it is piped").read_to_string(&mut said).expect("text");
    (child.wait().expect("ended").code(), said)
}

#[test]
fn every_format_keeps_all_of_an_answer() {
    let sandbox = trained();
    let sql = "SELECT 1 AS a, 2 AS a, x'00ff' AS b, 9007199254740993 AS c, NULL AS d, 9e999 AS e, \
               'x' || char(27) AS f";
    let expected = "a,a_2,b,c,d,e,f\n1,2,x'00ff',9007199254740993,,inf,x\u{1b}\n";
    assert_eq!(sandbox.ok(&["query", sql, "--format", "csv"]), expected);
    let line = "{\"a\":1,\"a_2\":2,\"b\":\"00ff\",\"c\":9007199254740993,\"d\":null,\"e\":\"Infinity\",\"f\":\"x\\u001b\"}\n";
    assert_eq!(sandbox.ok(&["query", sql, "--format", "jsonl"]), line);
    let of_line: serde_json::Value = serde_json::from_str(line).expect("JSON");
    assert_eq!(sandbox.json(&["query", sql, "--format", "json"])[0], of_line);
    assert!(!sandbox.ok(&["query", sql]).contains('\u{1b}'), "no text moves a terminal's cursor");
    for (sql, why) in [
        ("SELECT 1, 2; SELECT 3", "one by one"),
        ("SELECT 1; SELECT 2, 3", "one by one"),
        ("COMMIT; VACUUM INTO 'x.db'", "may only read"),
        ("SELECT ?0", ""),
        ("SELECT :a", "parameters"),
        ("", "empty"),
    ] {
        for format in ["csv", "json", "jsonl", "parquet", "table"] {
            let (code, errors) = sandbox.wrong(&["query", sql, "--format", format, "-o", "out"]);
            assert!(
                code == 2 && errors.contains(why) && errors.lines().count() == 1,
                "{format} {sql}: {code} {errors}"
            );
        }
    }
    assert!(!sandbox.path("out").exists() && !sandbox.path("x.db").exists());
    // A file has its name when it is whole; another's stays until then.
    sandbox.write("out", "mine");
    assert_eq!(
        sandbox
            .wrong(&[
                "query",
                &format!("{ENDLESS} SELECT abs(-9223372036854775807 - (n > 999)) FROM t"),
                "-o",
                "out"
            ])
            .0,
        2
    );
    assert_eq!(fs::read(sandbox.path("out")).expect("read"), b"mine");
    let answer = ["query", "SELECT 1 AS a", "--format", "csv", "-o", "out"];
    assert_eq!(sandbox.wrong(&answer).0, 2, "it is no earlier answer");
    sandbox.ok(&[&answer[..], &["--force"]].concat());
    assert_eq!(fs::read(sandbox.path("out")).expect("read"), b"a\n1\n");
    assert_eq!(
        sandbox.ok(&["query", "SELECT 1 AS a", "--format", "csv", "-o", "/dev/stdout"]),
        "a\n1\n"
    );
}

#[test]
fn exported_tables_are_read_back_and_a_sweep_goes_on_from_them() {
    let sandbox = trained();
    sandbox.ok(&["export", "small", "--to", "rows", "--format", "tables"]);
    let imported = sandbox.ok(&["--db", "other.db", "db", "import", "rows"]);
    assert!(imported.contains("1 more sweeps"), "{imported}");
    for view in ["curves", "finals", "growth", "steps", "speedups"] {
        let all = format!("SELECT * FROM {view} ORDER BY trial, tokens");
        let all = if view == "speedups" { "SELECT * FROM speedups ORDER BY trial" } else { &all };
        let of = |db: &str| sandbox.ok(&["--db", db, "query", all, "--format", "csv"]);
        assert_eq!(of("outgrow.db"), of("other.db"), "{view}");
    }
    // Nothing is left to train; a second time changes nothing.
    let attempts = "SELECT count(*) FROM attempt";
    let before = sandbox.ok(&["--db", "other.db", "query", attempts, "--format", "csv"]);
    sandbox.ok(&["--db", "other.db", "run", "sweep.toml"]);
    assert_eq!(before, sandbox.ok(&["--db", "other.db", "query", attempts, "--format", "csv"]));
    let again = sandbox.ok(&["--db", "other.db", "db", "import", "rows"]);
    assert!(again.contains("0 more sweeps and 0 more trials"), "{again}");
    sandbox.ok(&["--db", "other.db", "report", "small"]);
}

#[test]
fn what_is_no_exported_table_is_refused_by_name() {
    let sandbox = trained();
    sandbox.ok(&["export", "small", "--to", "rows", "--format", "tables"]);
    sandbox.ok(&["export", "small", "--to", "views"]);
    let refused = |what: &str| sandbox.wrong(&["--db", "other.db", "db", "import", what]);
    let (code, error) = refused("views");
    assert!(code == 2 && error.contains("sweep.parquet"), "{error}");
    // Evaluations in the place of steps; then bytes that are none.
    fs::copy(sandbox.path("rows/eval_metric.parquet"), sandbox.path("rows/step_metric.parquet"))
        .expect("copied");
    let (code, error) = refused("rows");
    assert!(code == 2 && error.contains("step_metric has no column loss"), "{error}");
    let whole = fs::read(sandbox.path("rows/trial.parquet")).expect("read");
    fs::write(sandbox.path("rows/trial.parquet"), &whole[..whole.len() / 2]).expect("written");
    let (code, error) = refused("rows");
    assert!(code == 2 && error.contains("trial.parquet"), "{error}");
    assert!(!sandbox.path("other.db").exists(), "nothing was made");
}
