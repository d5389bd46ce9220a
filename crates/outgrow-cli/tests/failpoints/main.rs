//! A process is killed at every failpoint, once before and once after what happens there: what is
//! run then ends with the numbers of a run that nothing happened to, each once.
//!
//! The long form (`scripts/test --long`) kills at every time that a point is come by, not at one.

#[allow(dead_code)]
#[path = "../cli/sandbox.rs"]
mod sandbox;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Mutex, OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use outgrow_failpoint::{
    Fault,
    Point::{self, *},
};
use sandbox::{SWEEP, Sandbox, execute};

/// A command that comes by some points, and what its numbers are.
struct Walk {
    name: &'static str,
    /// The points, and at which time that a process comes by it is killed in the short form.
    points: &'static [(Point, u64)],
    /// Lays down what the command needs.
    prepare: fn(&Sandbox),
    args: &'static [&'static str],
    /// Goes wrong on the way, in the words of the crate `fail`.
    meanwhile: fn() -> String,
    /// Brings to its end what was killed.
    again: &'static [&'static str],
    /// What the end must be.
    result: fn(&Sandbox) -> String,
}

/// With the moments that are compared in the end.
const RUN: &[&str] = &["run", "sweep.toml", "-j1", "--keep-final", "all"];
const TIDY_RUN: &[&str] = &["run", "sweep.toml", "-j1"];
const REPAIR: &[&str] = &["db", "repair"];

const WALKS: &[Walk] = &[
    Walk {
        name: "run",
        points: &[
            (CommitSchema, 1),
            (CommitSweep, 1),
            (CommitClaim, 2),
            (CommitRecord, 3),
            (CommitMemory, 1),
            (CommitFinish, 1),
            (CommitForget, 1),
            (Step, 24),
            (CheckpointWrite, 3),
            (CheckpointSync, 3),
            (CheckpointHead, 2),
            (CheckpointHeadSync, 2),
            (CheckpointFolderSync, 2),
            (CheckpointRename, 2),
            (CheckpointPlaceSync, 2),
            (CheckpointRemove, 1),
            (Snapshot, 1),
            (SnapshotRemove, 1),
            (Initial, 1),
            (PublishSync, 2),
            (PublishRename, 2),
            (PublishPlaceSync, 1),
        ],
        prepare: sweep_from_a_model,
        args: RUN,
        meanwhile: String::new,
        again: RUN,
        result: numbers,
    },
    Walk {
        name: "retry",
        points: &[(CommitRetry, 1)],
        prepare: sweep_from_a_model,
        args: &["run", "sweep.toml", "-j1", "--keep-final", "all", "--retry-failed"],
        meanwhile: String::new,
        again: RUN,
        result: numbers,
    },
    Walk {
        name: "a worker dies",
        points: &[(CommitRelease, 1)],
        prepare: sweep_from_a_model,
        args: RUN,
        meanwhile: || format!("{}.after=kill(20)", Step.name()),
        again: RUN,
        result: numbers,
    },
    Walk {
        name: "a disk is slow",
        points: &[(CommitHeartbeat, 1)],
        prepare: sweep_from_a_model,
        args: RUN,
        meanwhile: || format!("{}.before=1*sleep(6000)", CheckpointHead.name()),
        again: RUN,
        result: numbers,
    },
    Walk {
        // The driver dies, too: in the end each replicate is trained alone.
        name: "memory runs out",
        points: &[(CommitRequeue, 1)],
        prepare: sweep_of_replicates,
        args: &["run", "sweep.toml", "-j1", "--keep-final", "all", "--stacked-replicates", "2"],
        meanwhile: || {
            format!("{}.before=memory(1);{}.before=kill(1)", Step.name(), CommitRelease.name())
        },
        again: RUN,
        result: numbers,
    },
    Walk {
        name: "the database is away",
        points: &[
            (SpoolOpen, 1),
            (SpoolFolderSync, 1),
            (SpoolWrite, 2),
            (SpoolSync, 2),
            (SpoolClear, 1),
        ],
        prepare: sweep_from_a_model,
        args: RUN,
        meanwhile: || format!("{}=2*off->3*return", Fault::DatabaseAway.name()),
        again: RUN,
        result: numbers,
    },
    Walk {
        name: "a worker dies while the database is away",
        points: &[(SpoolRecovered, 1)],
        prepare: sweep_from_a_model,
        args: RUN,
        meanwhile: || {
            format!(
                "{}=2*off->3*return;{}.after=kill(2)",
                Fault::DatabaseAway.name(),
                SpoolSync.name()
            )
        },
        again: RUN,
        result: numbers,
    },
    Walk {
        name: "a run that keeps the weights of complete trials",
        points: &[(CommitFinish, 1), (CheckpointRename, 2), (CheckpointRemove, 2)],
        prepare: sweep_from_a_model,
        args: TIDY_RUN,
        meanwhile: String::new,
        again: TIDY_RUN,
        result: numbers,
    },
    Walk {
        name: "clean",
        points: &[(CommitClean, 1), (CommitForget, 1)],
        prepare: done_again,
        args: &["clean"],
        meanwhile: String::new,
        again: &["clean"],
        result: numbers,
    },
    Walk {
        name: "rm",
        points: &[(CommitRemove, 1), (CommitRemove, 2), (CommitRemove, 4)],
        prepare: done_again,
        args: &["rm", "small", "--yes"],
        meanwhile: String::new,
        again: &["rm", "small", "--yes"],
        result: |sandbox| {
            let left = fs::read_dir(sandbox.path("outgrow.db.checkpoints")).expect("a folder");
            let left = left.map(|entry| entry.expect("an entry").file_name()).collect::<Vec<_>>();
            numbers(sandbox) + &format!("{left:?}")
        },
    },
    Walk {
        name: "db copy",
        points: &[(CommitSchema, 1), (CommitCopy, 1)],
        prepare: |sandbox| copy_all(&done().path("."), &sandbox.path(".")),
        args: &["db", "copy", "outgrow.db", "copy.db"],
        meanwhile: String::new,
        again: &["db", "copy", "outgrow.db", "copy.db"],
        result: |sandbox| {
            fs::rename(sandbox.path("copy.db"), sandbox.path("outgrow.db")).expect("moved");
            for log in ["outgrow.db-wal", "outgrow.db-shm"] {
                let _ = fs::remove_file(sandbox.path(log));
            }
            numbers(sandbox)
        },
    },
    Walk {
        name: "db repair",
        points: &[(RepairBackupSync, 1), (CommitRepair, 1)],
        prepare: |sandbox| {
            done_again(sandbox);
            execute(
                &sandbox.path("outgrow.db").display().to_string(),
                "DELETE FROM eval_metric WHERE is_last = 1; UPDATE step_metric SET loss = 1.5 \
                 WHERE step = 20",
            );
        },
        args: REPAIR,
        meanwhile: String::new,
        again: REPAIR,
        result: trained_again,
    },
    Walk {
        name: "db repair of a damaged file",
        points: &[
            (CommitSchema, 1),
            (CommitSalvage, 1),
            (CommitRepair, 1),
            (RepairKeepSync, 1),
            (RepairSync, 1),
            (RepairRename, 1),
            (RepairPlaceSync, 1),
        ],
        prepare: |sandbox| {
            done_again(sandbox);
            let path = sandbox.path("outgrow.db");
            let mut bytes = fs::read(&path).expect("a database");
            let page = bytes.len() / 4096 / 2 * 4096;
            bytes[page..page + 4096].fill(0xA5);
            fs::write(path, bytes).expect("written");
        },
        args: REPAIR,
        meanwhile: String::new,
        again: REPAIR,
        result: trained_again,
    },
    Walk {
        name: "convert",
        points: &[(HubSync, 1), (HubFolderSync, 1), (HubRename, 1), (HubPlaceSync, 1)],
        prepare: |sandbox| copy_all(&done().path("model"), &sandbox.path("model")),
        args: &["convert", "model", "hub"],
        meanwhile: String::new,
        again: &["convert", "model", "hub"],
        result: |sandbox| files(&sandbox.path("hub")),
    },
];

/// A sweep whose trials begin with a model, share a beginning, and read text of their own.
fn sweep_from_a_model(sandbox: &Sandbox) {
    copy_all(&model().path("model"), &sandbox.path("model"));
    let text: String = (0..4000).map(|n| format!("{n} let x = y;\n")).collect();
    sandbox.write("text.txt", &text);
    let sweep = of_the_form_of_llama();
    let sweep = sweep.lines().map(|line| match line.split(' ').next() {
        Some("data") => "data = { paths = [\"text.txt\"], validation = 0.1, seq_len = 16 }",
        Some("initial") => "initial = { checkpoint = \"model\" }",
        Some("target") => {
            "target = { d_model = 24, n_layers = 2, n_heads = 2, d_k = 8, d_v = 8, d_ff = 48 }"
        }
        Some("replicates") => "replicates = 1",
        Some("strategies") => {
            "strategies = \
             [{ kind = \"random\", plans = 2, max_stages = 2, grow_between = [0.5, 0.9] }]"
        }
        Some("tokens") => "tokens = 3_200",
        _ => line,
    });
    sandbox.write("sweep.toml", &sweep.collect::<Vec<_>>().join("\n"));
}

/// The usual sweep, of models that transformers knows.
fn of_the_form_of_llama() -> String {
    let form = "activation = \"silu\", gated = true, mlp_bias = false, norm_eps = 1e-5,
        positions = { kind = \"rotary\", theta = 10000.0, width = 8 } }";
    SWEEP.replace("norm_eps = 1e-5 }", &form.replace('\n', " "))
}

fn sweep_of_replicates(sandbox: &Sandbox) {
    let sweep = SWEEP.replace("25_600", "1_920").replace(
        ", { kind = \"random\", plans = 1, max_stages = 3, grow_between = [0.1, 0.6] }",
        "",
    );
    sandbox.write("sweep.toml", &sweep);
}

/// A folder in which something was made once.
fn made(cell: &'static OnceLock<Sandbox>, make: impl FnOnce(&Sandbox)) -> &'static Sandbox {
    cell.get_or_init(|| {
        let sandbox = Sandbox::new();
        make(&sandbox);
        sandbox
    })
}

/// `model`: one that transformers knows, after a little training.
fn model() -> &'static Sandbox {
    static MODEL: OnceLock<Sandbox> = OnceLock::new();
    made(&MODEL, |sandbox| {
        let sweep = of_the_form_of_llama();
        let sweep = sweep.lines().map(|line| match line.split(' ').next() {
            Some("initial" | "target") => {
                let name = line.split(' ').next().expect("a word");
                let n_heads = if name == "initial" { 1 } else { 2 };
                format!(
                    "{name} = {{ d_model = 16, n_layers = 1, n_heads = {n_heads}, d_k = 8, \
                         d_v = 8, d_ff = 32 }}"
                )
            }
            Some("replicates") => "replicates = 1".into(),
            Some("strategies") => "strategies = [{ kind = \"from_scratch\" }]".into(),
            Some("tokens") => "tokens = 640".into(),
            _ => line.to_owned(),
        });
        sandbox.write("sweep.toml", &sweep.collect::<Vec<_>>().join("\n"));
        sandbox.ok(RUN);
        let path = sandbox.json(&[
            "query",
            "SELECT path FROM checkpoint ORDER BY step DESC",
            "--format",
            "json",
        ]);
        fs::rename(sandbox.path(path[0]["path"].as_str().expect("a path")), sandbox.path("model"))
            .expect("moved");
    })
}

/// The sweep, done.
fn done() -> &'static Sandbox {
    static DONE: OnceLock<Sandbox> = OnceLock::new();
    made(&DONE, |sandbox| {
        sweep_from_a_model(sandbox);
        sandbox.ok(RUN);
    })
}

/// The same in another folder, its log in the file.
fn done_again(sandbox: &Sandbox) {
    copy_all(&done().path("."), &sandbox.path("."));
    execute(&sandbox.path("outgrow.db").display().to_string(), "PRAGMA wal_checkpoint(TRUNCATE)");
}

/// The numbers once what was lost is trained again.
fn trained_again(sandbox: &Sandbox) -> String {
    sandbox.ok(RUN);
    numbers(sandbox)
}

fn copy_all(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder") {
        let (path, to) =
            entry.map(|entry| (entry.path(), to.join(entry.file_name()))).expect("a file");
        if path.is_dir() { copy_all(&path, &to) } else { assert!(fs::copy(&path, &to).is_ok()) }
    }
}

/// The content of a folder's files.
fn files(folder: &Path) -> String {
    let files = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("a file").path());
    let contents: BTreeMap<PathBuf, Vec<u8>> =
        files.map(|path| (path.clone(), fs::read(path).expect("read"))).collect();
    contents.iter().map(|(path, bytes)| format!("{:?} {bytes:?}\n", path.file_name())).collect()
}

/// Every number of a database but times, who did it, and how often it was tried; and the weights
/// and moments in the end.
fn numbers(sandbox: &Sandbox) -> String {
    let of = |name: &str, id: &str, columns: [&str; 7], from: &str| {
        format!("SELECT '{name}' AS of, {id} AS id, {} FROM {from}", columns.join(", "))
    };
    let none = "NULL";
    let trial = "JOIN trial t ON t.number = x.trial";
    let parts = [
        of(
            "sweep",
            "id",
            [
                "0 AS n",
                "name AS a",
                "spec AS b",
                "data_digest AS c",
                "NULL AS d",
                "NULL AS e",
                "NULL AS f",
            ],
            "sweep",
        ),
        of(
            "trial",
            "id",
            ["0", "definition", "tokens", "train_flops", "state", "error", "parameters"],
            "trial",
        ),
        of(
            "member",
            "t.id",
            ["x.position", "x.sweep_id", "strategy", "kind", "plan", "replicate", none],
            &format!("member x {trial}"),
        ),
        of(
            "begins",
            "t.id",
            ["x.step", "p.id", none, none, none, none, none],
            &format!("shared_prefix x {trial} JOIN trial p ON p.number = x.parent"),
        ),
        of(
            "step",
            "t.id",
            [
                "x.step",
                "x.tokens",
                "x.train_flops",
                "loss",
                "x.learning_rate",
                "gradient_norm",
                none,
            ],
            &format!("step_metric x {trial}"),
        ),
        of(
            "eval",
            "t.id",
            ["x.step", "x.tokens", "x.train_flops", "val_loss", "is_last", none, none],
            &format!("eval_metric x {trial}"),
        ),
        of(
            "growth",
            "t.id",
            [
                "x.step",
                "transforms",
                "max_logit_change",
                "loss_before",
                "loss_after",
                "diagnosis",
                "x.train_flops",
            ],
            &format!("growth_event x {trial}"),
        ),
        of(
            "snapshot",
            "t.id",
            ["x.step", none, none, none, none, none, none],
            &format!("snapshot x {trial}"),
        ),
    ];
    let rows = sandbox.ok(&[
        "query",
        &format!("{} ORDER BY 1, 2, 3, 4", parts.join(" UNION ALL ")),
        "--format",
        "csv",
    ]);
    let last = "SELECT t.id, x.path FROM checkpoint x JOIN trial t ON t.number = x.trial
                WHERE x.step = (SELECT max(step) FROM checkpoint WHERE trial = x.trial) ORDER BY 1";
    let last = sandbox.json(&["query", last, "--format", "json"]);
    let weights = last.as_array().expect("rows").iter().map(|row| {
        let [id, path] = ["id", "path"].map(|column| row[column].as_str().expect("a text"));
        let head = fs::read(sandbox.path(path).join("checkpoint.json"))
            .expect("the last checkpoint is there");
        let head: serde_json::Value = serde_json::from_slice(&head).expect("JSON");
        format!("{id} {}\n", head["digests"])
    });
    rows + &weights.collect::<String>()
}

/// A point of a walk, and what is done there.
struct Kill {
    walk: &'static Walk,
    place: String,
    hit: u64,
}

/// Kills there; says whether anybody came by, or what was wrong afterwards.
fn kill(Kill { walk, place, hit }: &Kill) -> Result<bool, String> {
    let sandbox = Sandbox::new();
    (walk.prepare)(&sandbox);
    let once = sandbox.path("killed");
    fs::create_dir(&once).expect("a folder");
    let points = format!("{};{place}=kill({hit})", (walk.meanwhile)());
    let output = sandbox
        .command(walk.args)
        .env("OUTGROW_FAILPOINTS", points)
        .env("OUTGROW_FAILPOINTS_ONCE", &once)
        .output()
        .expect("it runs");
    let killed = once.join(place).exists();
    let what = format!("{}, killed at {place}, hit {hit}", walk.name);
    let errors = String::from_utf8_lossy(&output.stderr);
    if !killed {
        return Ok(false);
    }
    if !output.status.success() {
        let again = sandbox.run(walk.again);
        let said = String::from_utf8_lossy(&again.stderr);
        // What was renamed already is whole, which the comparison below holds it to, and is not
        // overwritten.
        let is_done = ["exists already", "there is no sweep"].iter().any(|end| said.contains(end));
        if !again.status.success() && !is_done {
            return Err(format!("{what}, then run again: {said}"));
        }
    }
    let (found, expected) = ((walk.result)(&sandbox), undisturbed(walk));
    match found == *expected {
        true => Ok(true),
        false => {
            let other =
                found.lines().zip(expected.lines()).find(|(found, expected)| found != expected);
            Err(format!(
                "{what}: other numbers than those of an undisturbed run: {other:?}\n{errors}"
            ))
        }
    }
}

/// What a walk ends with when nothing happens on the way.
fn undisturbed(walk: &'static Walk) -> &'static String {
    static ALL: OnceLock<BTreeMap<&'static str, OnceLock<String>>> = OnceLock::new();
    let all = ALL.get_or_init(|| WALKS.iter().map(|walk| (walk.name, OnceLock::new())).collect());
    all[walk.name].get_or_init(|| {
        let sandbox = Sandbox::new();
        (walk.prepare)(&sandbox);
        sandbox.ok(walk.again);
        (walk.result)(&sandbox)
    })
}

fn is_long() -> bool {
    std::env::var_os("OUTGROW_TEST_LONG").is_some()
}

/// Kills there, and in the long form at every further time; gives how often.
fn kill_all(first: &Kill) -> Result<usize, String> {
    let Kill { walk, place, hit } = first;
    let last = if is_long() { u64::MAX } else { *hit };
    for hit in *hit..=last {
        if !kill(&Kill { walk, place: place.clone(), hit })? {
            return Ok((hit - first.hit) as usize);
        }
    }
    Ok(1)
}

/// Walks, on as many cores as there are; gives how often somebody was killed, and what was wrong.
fn walk_all(kills: &[Kill]) -> (usize, Vec<String>) {
    let (next, killed, wrong) = (AtomicUsize::new(0), AtomicUsize::new(0), Mutex::new(vec![]));
    let walk = || {
        while let Some(one) = kills.get(next.fetch_add(1, Ordering::SeqCst)) {
            let nobody = || {
                format!("{}: nobody came by {} for the {}. time", one.walk.name, one.place, one.hit)
            };
            match kill_all(one).and_then(|times| (times > 0).then_some(times).ok_or_else(nobody)) {
                Ok(times) => {
                    killed.fetch_add(times, Ordering::SeqCst);
                }
                Err(why) => {
                    eprintln!("{why}");
                    wrong.lock().expect("nobody panics with it").push(why);
                }
            }
        }
    };
    thread::scope(|scope| {
        (0..thread::available_parallelism().map_or(1, usize::from))
            .for_each(|_| drop(scope.spawn(walk)))
    });
    (killed.into_inner(), wrong.into_inner().expect("nobody panics with it"))
}

#[test]
fn a_kill_at_every_point_loses_nothing_and_writes_nothing_twice() {
    if !outgrow_failpoint::is_compiled_in() {
        outgrow_testkit::skip("this build has no failpoints");
        return;
    }
    let first = |hit| if is_long() { 1 } else { hit };
    let places = |walk: &'static Walk| {
        let place = move |(point, hit): &(Point, u64)| {
            ["before", "after"].map(|when| Kill {
                walk,
                place: format!("{}.{when}", point.name()),
                hit: first(*hit),
            })
        };
        walk.points.iter().flat_map(place)
    };
    let kills: Vec<Kill> = WALKS.iter().flat_map(places).collect();
    let (killed, wrong) = walk_all(&kills);
    assert!(wrong.is_empty(), "{} of {} kills", wrong.len(), kills.len());
    println!("{killed} processes were killed at {} points", Point::ALL.len());
}

#[test]
fn every_point_is_walked_and_stands_in_the_code() {
    let all: BTreeSet<&str> = Point::ALL.iter().map(|point| point.variant()).collect();
    let walked =
        WALKS.iter().flat_map(|walk| walk.points).map(|(point, _)| point.variant()).collect();
    assert_eq!(all, walked, "points that no walk comes by");
    let mut found = BTreeSet::new();
    for (_, text) in sources() {
        let names = text
            .split("Point::")
            .skip(1)
            .map(|rest| rest.split(|c: char| !c.is_alphanumeric()).next());
        found.extend(names.flatten().filter(|name| all.contains(name)).map(str::to_owned));
    }
    assert_eq!(
        all,
        found.iter().map(String::as_str).collect(),
        "points of the table that the code does not have"
    );
}

/// What lasts is written nowhere without a failpoint.
#[test]
fn no_write_that_lasts_is_without_a_point() {
    let lasting = ["fs::rename(", ".sync_all()", ".sync_data()", ".commit("];
    let mut bare = vec![];
    for (path, text) in sources() {
        // Tests stand at the end of a file.
        let text = text.split("#[cfg(test)]").next().expect("a part");
        let lines: Vec<&str> = text.lines().collect();
        for (number, line) in lines.iter().enumerate() {
            let around = lines[number.saturating_sub(2)..=number].concat();
            if lasting.iter().any(|call| line.contains(call))
                && !around.contains("Point::")
                && !EXCEPT.iter().any(|(file, call)| path.ends_with(file) && line.contains(call))
            {
                bare.push(format!("{path}:{}: {}", number + 1, line.trim()));
            }
        }
    }
    assert!(bare.is_empty(), "without a failpoint:\n{}", bare.join("\n"));
}

/// Those that need none, or stand within one of another name.
const EXCEPT: &[(&str, &str)] = &[
    // Within `Tx::commit`, which takes a point.
    ("outgrow-store/src/driver.rs", "commit"),
    // What a user asked to be written, aside first: a kill leaves that at most.
    ("outgrow-data/src/publish/folder.rs", "rename"),
    // Within the points of those who publish.
    ("outgrow-data/src/publish/sync.rs", "sync_all"),
    // Before a database is mended: as long as it is not, the next repair does it.
    ("outgrow/src/repair/mend.rs", "rename(&path, aside)"),
    // Of a program that has no failpoints; its own tests kill it, and running it again finishes.
    ("outgrow-setup/src/setup.rs", "rename(&new, link)"),
];

/// Paths and texts of all sources but tests.
fn sources() -> Vec<(String, String)> {
    fn collect(folder: &Path, found: &mut Vec<(String, String)>) {
        for entry in fs::read_dir(folder).expect("a folder of sources") {
            let path = entry.expect("a file").path();
            if path.is_dir() {
                collect(&path, found);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                found
                    .push((path.display().to_string(), fs::read_to_string(&path).expect("a text")));
            }
        }
    }
    let mut found = vec![];
    for entry in fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/..")).expect("the crates") {
        let folder = entry.expect("a crate").path();
        if !folder.ends_with("outgrow-failpoint") && !folder.ends_with("outgrow-fuzz") {
            collect(&folder.join("src"), &mut found);
        }
    }
    found
}

/// docs/operations.md lists the points as they are.
#[test]
fn the_windows_are_listed() {
    let row =
        |point: &Point| format!("| `{}` | {} | {} |\n", point.name(), point.what(), point.left());
    let table: String = Point::ALL.iter().map(row).collect();
    let page = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/operations.md"))
        .expect("the page");
    assert!(page.contains(&table), "docs/operations.md must hold these rows:\n{table}");
}

/// What users build does not even have the crate.
#[test]
fn what_is_built_for_users_has_no_failpoints() {
    let has_them = |edges: &str| {
        let args =
            ["tree", "--locked", "--offline", "--prefix", "none", "-p", "outgrow-cli", "-e", edges];
        let mut cargo = Command::new(env!("CARGO"));
        cargo
            .args(args)
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .env_remove("CARGO_RESOLVER_FEATURE_UNIFICATION");
        let output = cargo.output().expect("cargo");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).lines().any(|line| line.starts_with("fail v"))
    };
    assert!(has_them("normal,dev"), "the question itself must be able to fail");
    assert!(!has_them("normal"));
}
