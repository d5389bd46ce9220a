//! A user's folder, and what is done there.

use std::{
    fs,
    path::PathBuf,
    process::{Child, Command, Output, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;
use sqlx::Connection;
use tempfile::TempDir;

pub const SWEEP: &str = include_str!("../sweep.toml");

/// A folder of a user's, with the sweep in it.
pub struct Sandbox(pub TempDir, Option<String>);

impl Sandbox {
    pub fn new() -> Self {
        Self::with(None)
    }

    /// Its results go to another database than the usual file.
    pub fn with(database: Option<String>) -> Self {
        let sandbox = Self(tempfile::tempdir().expect("a folder"), database);
        sandbox.write("sweep.toml", SWEEP);
        sandbox
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        fs::write(self.path(name), text).expect("written");
        self.path(name)
    }

    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_outgrow"));
        command
            .current_dir(self.0.path())
            .env_remove("OUTGROW_FILES")
            .env_remove("OUTGROW_DB")
            .args(args);
        if let Some(database) = &self.1 {
            command.env("OUTGROW_DB", database);
        }
        command
    }

    pub fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().expect("it runs")
    }

    /// What it prints when all is well.
    pub fn ok(&self, args: &[&str]) -> String {
        let output = self.run(args);
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("text")
    }

    pub fn json(&self, args: &[&str]) -> Value {
        serde_json::from_str(&self.ok(args)).expect("JSON")
    }

    /// Exit code and what it says when something is wrong.
    pub fn wrong(&self, args: &[&str]) -> (i32, String) {
        let output = self.run(args);
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!errors.contains("panicked"), "{args:?}: {errors}");
        (output.status.code().unwrap_or(-1), errors)
    }

    /// Every number that training recorded, except times.
    pub fn rows(&self) -> String {
        let numbers = [
            "SELECT t.id, step, s.tokens, s.train_flops, loss, s.learning_rate, gradient_norm \
             FROM step_metric s
             JOIN trial t ON t.number = s.trial ORDER BY 1, 2",
            "SELECT trial, step, tokens, train_flops, val_loss FROM curves ORDER BY 1, 2",
            "SELECT trial, stage, tokens, transforms, max_logit_change, loss_change FROM growth \
             ORDER BY 1, 2",
        ];
        numbers.map(|sql| self.ok(&["query", sql, "--format", "csv"])).concat()
    }

    pub fn wait_for_rows(&self, n: u64) {
        self.wait_for("SELECT count(*) AS n FROM step_metric", n);
    }

    /// Waits until a query's number is that large. It asks the database itself: a command that asks may take
    /// so long that what is waited for is over.
    pub fn wait_for(&self, sql: &str, n: u64) {
        let file = self.path("outgrow.db").display().to_string();
        let database = self.1.as_deref().unwrap_or(&file);
        let began = Instant::now();
        while began.elapsed() < Duration::from_secs(120) {
            if number_in(database, sql).is_ok_and(|seen| seen >= n as i64) {
                return;
            }
            sleep(Duration::from_millis(10));
        }
        panic!("waited in vain: {sql}");
    }

    pub fn a_checkpoint(&self) -> String {
        let sql = "SELECT path FROM checkpoint c JOIN member m ON m.trial = c.trial WHERE kind = \
                   'random' ORDER BY step DESC";
        self.json(&["query", sql, "--format", "json"])[0]["path"]
            .as_str()
            .expect("a path")
            .to_owned()
    }

    /// `outgrow run` in the background, without a word.
    pub fn start(&self, args: &[&str]) -> Child {
        self.command(args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it runs")
    }

    /// The one number that a query answers with.
    pub fn number(&self, sql: &str) -> u64 {
        let answer = self.ok(&["query", sql, "--format", "csv"]);
        answer
            .lines()
            .nth(1)
            .and_then(|line| line.parse().ok())
            .unwrap_or_else(|| panic!("{sql}: {answer}"))
    }
}

/// Sends a signal to some processes; those that have gone do not matter.
pub fn signal(pids: &[i32], signal: Signal) {
    for pid in pids {
        let _ = kill(Pid::from_raw(*pid), signal);
    }
}

/// What a Python script of this project answers, where the programs that it needs are installed.
pub fn python(script: &str, args: &[&str]) -> Option<String> {
    let root = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
    let (torch, tools) = (root.join(".libtorch"), root.join(".python"));
    if !tools.join("done").exists() || !torch.join("stubs").exists() {
        outgrow_testkit::skip(&format!(
            "scripts/{script} needs what scripts/libtorch --python and scripts/python install"
        ));
        return None;
    }
    let output = Command::new("python3")
        .arg(root.join("scripts").join(script))
        .args(args)
        .env("PYTHONPATH", format!("{}:{}", tools.display(), torch.display()))
        .env("LD_LIBRARY_PATH", torch.join("stubs"))
        .output()
        .expect("python3 runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(String::from_utf8(output.stdout).expect("text"))
}

/// A script of this project.
pub fn script(name: &str) -> Command {
    Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../scripts/").to_owned() + name)
}

/// A PostgreSQL server of a test's own; it goes with it.
pub struct Server {
    folder: TempDir,
}

impl Server {
    /// None, and a word about it, where PostgreSQL is not installed.
    pub fn start() -> Option<(Self, String)> {
        let server = Self { folder: tempfile::tempdir().expect("a folder") };
        // The server's user must be able to reach its folder.
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        fs::set_permissions(server.folder.path(), open).expect("permitted");
        let url = server.again()?;
        Some((server, url))
    }

    fn data(&self) -> String {
        self.folder.path().join("data").display().to_string()
    }

    /// Starts it after it was stopped, on the port that it had.
    pub fn again(&self) -> Option<String> {
        let output = script("postgres").args(["start", &self.data()]).output().expect("it runs");
        if output.status.code() == Some(77) {
            outgrow_testkit::skip("PostgreSQL's server is not installed here");
            return None;
        }
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }

    /// Stops it as a crash does.
    pub fn crash(&self) {
        assert!(
            script("postgres")
                .args(["stop", &self.data(), "immediate"])
                .status()
                .expect("it runs")
                .success()
        );
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = script("postgres")
            .args(["stop", &self.data(), "immediate"])
            .stderr(Stdio::null())
            .status();
    }
}

pub fn workers_of(parent: u32) -> Vec<i32> {
    let output = Command::new("pgrep").args(["-P", &parent.to_string()]).output();
    let text = output.map(|output| output.stdout).unwrap_or_else(|_| children_of(parent));
    String::from_utf8_lossy(&text).split_whitespace().filter_map(|pid| pid.parse().ok()).collect()
}

/// Without pgrep: what /proc says.
fn children_of(parent: u32) -> Vec<u8> {
    let is_child = |pid: &str| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let ppid: u32 = stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()?;
        (ppid == parent).then_some(())
    };
    let entries = fs::read_dir("/proc")
        .expect("/proc")
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    entries.filter(|pid| is_child(pid).is_some()).collect::<Vec<_>>().join(" ").into_bytes()
}

pub fn execute(database: &str, sql: &str) {
    let sql = || sqlx::raw_sql(sqlx::AssertSqlSafe(sql.to_owned()));
    let done = runtime().block_on(async {
        if database.contains("://") {
            let mut connection = sqlx::PgConnection::connect(database).await?;
            sql().execute(&mut connection).await?;
            connection.close().await
        } else {
            let mut connection = sqlite(database).await?;
            sql().execute(&mut connection).await?;
            connection.close().await
        }
    });
    done.expect("executed");
}

/// The one number that a query gives.
fn number_in(database: &str, sql: &str) -> sqlx::Result<i64> {
    let sql = || sqlx::AssertSqlSafe(sql.to_owned());
    runtime().block_on(async {
        if database.contains("://") {
            let mut connection = sqlx::PgConnection::connect(database).await?;
            sqlx::query_scalar(sql()).fetch_one(&mut connection).await
        } else {
            let mut connection = sqlite(database).await?;
            let number = sqlx::query_scalar(sql()).fetch_one(&mut connection).await;
            connection.close().await.and(number)
        }
    })
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

async fn sqlite(path: &str) -> sqlx::Result<sqlx::SqliteConnection> {
    sqlx::SqliteConnection::connect(&format!("sqlite:{path}")).await
}

/// Whether somebody holds a SQLite file's lock for writing, and goes on holding it.
pub fn is_locked(path: &std::path::Path) -> bool {
    runtime().block_on(async {
        let mut connection = sqlite(&path.display().to_string()).await.expect("opens");
        let begun = sqlx::raw_sql("PRAGMA busy_timeout = 500; BEGIN IMMEDIATE; ROLLBACK")
            .execute(&mut connection)
            .await;
        connection.close().await.expect("closed");
        begun.is_err()
    })
}
