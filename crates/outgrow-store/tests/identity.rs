//! A database that is no longer the one that was opened is not written, nor read; and who only
//! looks leaves nothing behind.

use std::{collections::BTreeMap, fs, path::Path};

use outgrow_core::Sweep;
use outgrow_store::{Environment, Holder, Store, StoreError};
use sqlx::Connection;
use tempfile::TempDir;

async fn with_a_sweep(address: &str) -> (Store, String) {
    let store = Store::open(address).await.expect("a database");
    let sweep = Sweep::parse(include_str!("sweep.toml")).expect("a sweep");
    let members = sweep.members("d").expect("members");
    let sweep = store.insert_sweep(&sweep, "d", &members, false).await.expect("inserted").sweep;
    (store, sweep)
}

fn a_file() -> (TempDir, String) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("a.db").display().to_string();
    (folder, path)
}

/// Names and contents of the files of a folder.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(folder).expect("a folder").flatten();
    entries
        .map(|entry| {
            (
                entry.file_name().to_string_lossy().into_owned(),
                fs::read(entry.path()).expect("read"),
            )
        })
        .collect()
}

/// Every way to use a database that was replaced is refused.
async fn check_replaced(store: &Store, sweep: &str, what: &str) {
    let holder = Holder { host: "here".into(), boot: "b".into(), pid: 1, started: 1, job: None };
    let environment = Environment {
        host: "here".into(),
        device: "cpu".into(),
        threads: 1,
        versions: "test".into(),
    };
    let claimed = store.claim(sweep, &holder, &environment, |_| 1).await.map(drop);
    let read = store.status(sweep).await.map(drop);
    let asked = store.query("SELECT 1").await.map(drop);
    for (how, done) in [("claim", claimed), ("status", read), ("query", asked)] {
        let error = done.expect_err(what);
        // A query has its own connection, on which a server's new tables are there.
        assert!(matches!(error, StoreError::Replaced { .. }), "{what}, {how}: {error}");
        assert!(!error.is_passing(), "{what}, {how}: nobody waits for it to come back");
    }
}

#[tokio::test]
async fn a_file_that_was_deleted_or_replaced_is_noticed() {
    type Act = fn(&Path);
    let acts: [(&str, Act); 7] = [
        ("the file deleted", |folder| fs::remove_file(folder.join("a.db")).expect("removed")),
        ("all deleted", |folder| {
            let files = ["a.db", "a.db-wal", "a.db-shm"];
            files.iter().for_each(|name| fs::remove_file(folder.join(name)).expect("removed"));
        }),
        ("the log deleted", |folder| fs::remove_file(folder.join("a.db-wal")).expect("removed")),
        ("the log's index deleted", |folder| {
            fs::remove_file(folder.join("a.db-shm")).expect("removed")
        }),
        ("another put in its place", |folder| {
            fs::write(folder.join("new"), "another").expect("written");
            fs::rename(folder.join("new"), folder.join("a.db")).expect("moved");
        }),
        ("a copy put in its place", |folder| {
            fs::copy(folder.join("a.db"), folder.join("new")).expect("copied");
            fs::rename(folder.join("new"), folder.join("a.db")).expect("moved");
        }),
        ("the folder moved away", |folder| {
            let away = folder.with_extension("away");
            fs::rename(folder, &away).expect("moved");
            fs::create_dir(folder).expect("a folder");
            fs::remove_dir_all(away).expect("removed");
        }),
    ];
    for (what, act) in acts {
        let (folder, path) = a_file();
        let (store, sweep) = with_a_sweep(&path).await;
        store.status(&sweep).await.expect("it is there");
        act(folder.path());
        let before = files(folder.path());
        check_replaced(&store, &sweep, what).await;
        assert!(before == files(folder.path()), "{what}: something was touched");
        store.close().await;
        // Where the log alone is gone the file is still ours, and takes what was in the log.
        let new = fs::read(&path).ok();
        assert!(
            what.contains("log") || new.as_ref() == before.get("a.db"),
            "{what}: what is there now was touched"
        );
    }
}

#[tokio::test]
async fn others_may_come_and_go() {
    let (_folder, path) = a_file();
    let (store, sweep) = with_a_sweep(&path).await;
    for _ in 0..3 {
        let other = Store::open(&path).await.expect("opens");
        other.status(&sweep).await.expect("status");
        other.close().await;
        Store::open_read_only(&path).await.expect("opens").close().await;
        store.status(&sweep).await.expect("it is still the same");
    }
    // By a link, too, which SQLite follows.
    let link = format!("{path}.link");
    std::os::unix::fs::symlink(&path, &link).expect("a link");
    let linked = Store::open(&link).await.expect("opens");
    linked.status(&sweep).await.expect("status");
}

#[tokio::test]
async fn a_servers_database_that_was_made_anew_is_noticed() {
    let Ok(server) = std::env::var("OUTGROW_TEST_POSTGRES") else {
        outgrow_testkit::skip("OUTGROW_TEST_POSTGRES names no server");
        return;
    };
    let base = server.rsplit_once('/').expect("a URL").0;
    let name = format!("identity_{}", std::process::id());
    let admin = async |sql: String, address: &str| {
        let mut connection =
            sqlx::PgConnection::connect(address).await.expect("the server answers");
        sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&mut connection).await.expect("done");
    };
    admin(format!("CREATE DATABASE {name}"), &server).await;
    let address = format!("{base}/{name}");
    let (store, sweep) = with_a_sweep(&address).await;
    admin("DROP SCHEMA public CASCADE; CREATE SCHEMA public".into(), &address).await;
    let (new, same) = with_a_sweep(&address).await;
    assert_eq!(sweep, same);
    for done in [store.status(&sweep).await.map(drop), store.retry_failed(&sweep).await.map(drop)] {
        assert!(matches!(done, Err(StoreError::Replaced { .. })), "{done:?}");
    }
    new.status(&sweep).await.expect("the new one is as it is");
    admin(format!("DROP DATABASE {name} WITH (FORCE)"), &server).await;
    admin(format!("CREATE DATABASE {name}"), &server).await;
    let (newest, _) = with_a_sweep(&address).await;
    let mut done = new.status(&sweep).await.map(drop);
    for _ in 0..20 {
        // Its connections are found to be broken one by one.
        if done.as_ref().is_err_and(StoreError::is_passing) {
            done = new.status(&sweep).await.map(drop);
        }
    }
    assert!(matches!(done, Err(StoreError::Replaced { .. })), "{done:?}");
    newest.status(&sweep).await.expect("the newest is as it is");
}

#[tokio::test]
async fn who_only_looks_leaves_nothing_and_makes_nothing() {
    let (folder, path) = a_file();
    assert_eq!(Store::probe(&path).await.expect("nothing there"), None);
    assert!(matches!(Store::open_read_only(&path).await, Err(StoreError::Missing(_))));
    assert!(matches!(Store::open_existing(&path).await, Err(StoreError::Missing(_))));
    assert!(files(folder.path()).is_empty());
    let (store, sweep) = with_a_sweep(&path).await;
    store.close().await;
    let before = files(folder.path());
    assert_eq!(before.keys().collect::<Vec<_>>(), ["a.db"]);
    assert!(Store::probe(&path).await.expect("ours").is_some_and(|version| version > 0));
    let reading = Store::open_read_only(&path).await.expect("opens");
    reading.status(&sweep).await.expect("status");
    reading.query("SELECT * FROM finals").await.expect("an answer");
    // One that is not read to its end.
    drop(
        reading
            .ask("SELECT a.plan FROM member a, member b, member c, member d, member e")
            .await
            .expect("an answer"),
    );
    reading.close().await;
    assert!(before == files(folder.path()), "{:?}", files(folder.path()).keys());
}

#[tokio::test]
async fn what_is_no_database_of_ours_is_left_as_it_is() {
    let (folder, path) = a_file();
    for mode in ["WAL", "DELETE"] {
        let other = sqlx::SqlitePool::connect(&format!("sqlite:{path}?mode=rwc"))
            .await
            .expect("another's database");
        let made = format!(
            "PRAGMA journal_mode = {mode}; CREATE TABLE IF NOT EXISTS bookmarks (url TEXT)"
        );
        sqlx::raw_sql(sqlx::AssertSqlSafe(made)).execute(&other).await.expect("a table");
        other.close().await;
        let before = files(folder.path());
        assert!(matches!(Store::probe(&path).await, Err(StoreError::Foreign(_))));
        assert!(matches!(Store::open(&path).await, Err(StoreError::Foreign(_))));
        assert!(matches!(Store::open_read_only(&path).await, Err(StoreError::Foreign(_))));
        assert!(before == files(folder.path()), "{mode}: {:?}", files(folder.path()).keys());
    }
    let folder = folder.path().display().to_string();
    for (odd, why) in [
        (folder.as_str(), "is a folder"),
        ("/dev/null", "no regular file"),
        ("/dev/zero", "no regular file"),
    ] {
        for opened in [Store::open(odd).await, Store::open_read_only(odd).await] {
            let error = opened.expect_err(odd);
            assert!(
                matches!(error, StoreError::Address(_)) && error.to_string().contains(why),
                "{odd}: {error}"
            );
        }
    }
}
