//! A user's query: one statement that only reads, whatever it says, with every digit of its answer,
//! ended when nobody waits for it.

use std::time::Duration;

use outgrow_core::Sweep;
use outgrow_store::{Cell, Store, StoreError};
use sqlx::Connection;
use tempfile::TempDir;
use tokio::time::{sleep, timeout};

struct Fixture {
    folder: TempDir,
    address: String,
    reading: Store,
}

impl Fixture {
    async fn at(folder: TempDir, address: String) -> Self {
        let store = Store::open(&address).await.expect("a database");
        let sweep = Sweep::parse(include_str!("sweep.toml")).expect("a sweep");
        store
            .insert_sweep(&sweep, "d", &sweep.members("d").expect("members"), false)
            .await
            .expect("inserted");
        store.close().await;
        let reading = Store::open_read_only(&address).await.expect("opens");
        Self { folder, address, reading }
    }

    async fn file() -> Option<Self> {
        let folder = tempfile::tempdir().expect("a folder");
        let address = folder.path().join("a.db").display().to_string();
        Some(Self::at(folder, address).await)
    }

    async fn server() -> Option<Self> {
        let Ok(server) = std::env::var("OUTGROW_TEST_POSTGRES") else {
            outgrow_testkit::skip("OUTGROW_TEST_POSTGRES names no server");
            return None;
        };
        let mut connection =
            sqlx::PgConnection::connect(&server).await.expect("the server answers");
        let folder = tempfile::tempdir().expect("a folder");
        let name = format!("query_{}_{:?}", std::process::id(), std::thread::current().id());
        let name: String =
            name.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
        let sql = sqlx::AssertSqlSafe(format!("CREATE DATABASE {}", name.to_lowercase()));
        sqlx::raw_sql(sql).execute(&mut connection).await.expect("a new database");
        let address =
            format!("{}/{}", server.rsplit_once('/').expect("a URL").0, name.to_lowercase());
        Some(Self::at(folder, address).await)
    }

    fn is_server(&self) -> bool {
        self.address.contains("://")
    }

    async fn value(&self, sql: &str) -> Cell {
        let table = self.reading.query(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
        table.rows.into_iter().flatten().next().expect("a value")
    }
}

macro_rules! both {
    ($(async fn $name:ident($f:ident: Fixture) $body:block)*) => {
        mod file {
            use super::*;
            $(#[tokio::test] async fn $name() { let $f = Fixture::file().await.expect("a file"); $body })*
        }
        mod server {
            use super::*;
            $(#[tokio::test] async fn $name() {
                let Some($f) = Fixture::server().await else { return };
                $body
            })*
        }
    };
}

/// An answer without an end.
const ENDLESS: &str = "WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t)";

both! {
    async fn one_statement_is_answered(f: Fixture) {
        for sql in [
            "SELECT 7",
            "SELECT 7;",
            "  \n SELECT 7 ; \n",
            "SELECT 7 -- and a word; of mine",
            "/* one; */ SELECT 7 /* two; */ ; -- three",
            "WITH t(a) AS (SELECT 7) SELECT a FROM t",
            "VALUES (7)",
            "SELECT 7 AS \"a; b\"",
            "SELECT 7, 'a; SELECT 2'",
        ] {
            assert_eq!(f.value(sql).await, Cell::Integer(7), "{sql}");
        }
        let empty = f.reading.query("SELECT 1 AS a, 2 AS a, 'x' AS \"ü\" FROM member WHERE plan > \
                                     99").await.expect("an answer");
        assert_eq!((empty.columns, empty.rows), (vec!["a".into(), "a".into(), "ü".into()], vec![]));
        // What a query does to its own connection is gone with it.
        assert_eq!(f.value("SELECT count(*) FROM member").await, Cell::Integer(6));
    }

    async fn what_is_more_than_one_statement_that_reads_is_refused(f: Fixture) {
        let outside = f.folder.path().join("outside");
        let out = outside.display();
        let of_both = [
            "", "  ", "-- nothing", "/* nothing \
                                     */", "nonsense", "SELECT 1; SELECT 2", "SELECT 1, 2; SELECT 3",
            "SELECT 1; SELECT 2, 3", "SELECT 1;;SELECT 2", "SELECT 1; \
                nonsense", "COMMIT", "ROLLBACK", "END", "BEGIN", "SAVEPOINT a",
            "COMMIT; DELETE FROM \
             member", "DELETE FROM \
                       member", "DELETE FROM member RETURNING plan", "UPDATE member SET plan = 9",
            "INSERT INTO sweep SELECT * FROM \
             sweep", "DROP TABLE member", "DROP VIEW finals", "ALTER TABLE member ADD x INTEGER",
            "CREATE TABLE t (a \
             INTEGER)", "CREATE TEMP TABLE t AS SELECT 1 AS a", "CREATE TEMP VIEW t AS SELECT 1 \
                 AS a",
            "WITH a AS (SELECT 1) DELETE FROM \
             member", "VACUUM", "REINDEX", "ANALYZE", "SELECT $1", "SELECT 1 WHERE 1 = $7",
            "SELECT 1\0", "SELECT 'a\0b'", "EXPLAIN DELETE FROM \
                                            member", "SELECT * FROM \
                                                      nowhere", "SELECT nowhere FROM member",
        ];
        let of_files = [
            &format!("VACUUM INTO \
                      '{out}'"), &format!("COMMIT; VACUUM INTO \
                                           '{out}'"), &format!("ATTACH '{out}' AS x"),
            &format!("SELECT writefile('{out}', \
                      'x')"), "SELECT load_extension('x')", "DETACH main", "SELECT ?", "SELECT ?0", "SELECT ?1",
            "SELECT ?999999999", "SELECT :a", "SELECT @a", "SELECT $a", "PRAGMA query_only = 0", "PRAGMA query_only(0)",
            "PRAGMA journal_mode = \
             DELETE", "SELECT * FROM \
                       pragma_journal_mode('delete')", "PRAGMA user_version = 5", "PRAGMA application_id = 1",
            "PRAGMA writable_schema = 1", "PRAGMA wal_checkpoint", "PRAGMA incremental_vacuum", "PRAGMA optimize", "PRAGMA shrink_memory",
            "PRAGMA temp_store_directory = \
             '/'", "PRAGMA hard_heap_limit = 0", "UPDATE sqlite_schema SET sql = ''",
            "CREATE VIRTUAL TABLE t USING \
             fts5(a)", "SELECT zeroblob(1000000000)", "SELECT", "SELECT replace(hex(zeroblob(30000000)), '0', '00')",
        ];
        let of_servers = [
            &format!("COPY (SELECT 1) TO \
                      '{out}'"), &format!("COPY (SELECT 1) TO PROGRAM 'touch \
                                           {out}'"), "COPY member FROM '/etc/passwd'",
            &format!("COMMIT; COPY (SELECT 1) TO PROGRAM 'touch \
                      {out}'"), "SET transaction_read_only = \
                                 off", "RESET ROLE", "SET ROLE postgres",
            "SET SESSION CHARACTERISTICS AS TRANSACTION READ \
             WRITE", "SELECT set_config('transaction_read_only', 'off', false)",
            "SELECT pg_catalog.\"set_config\"('role', 'postgres', false), \
             pg_read_file('/etc/passwd')", "SELECT pg_read_file('/etc/passwd')",
            "SELECT U&\"\\0073et_config\"('role', 'postgres', \
             false)", "SELECT pg_read_binary_file('/etc/passwd')", "SELECT * FROM pg_ls_dir('/')",
            &format!("SELECT lo_export(1, \
                      '{out}')"), "SELECT lo_import('/etc/passwd')", "SELECT lo_creat(-1)", "DO $$ BEGIN END $$", "LISTEN x",
            "SELECT 1 AS a INTO t", "WITH a AS (DELETE FROM member RETURNING 1) SELECT * FROM a", "SELECT * FROM member FOR UPDATE",
            "EXPLAIN ANALYZE DELETE FROM \
             member", "SELECT query_to_xml('SELECT 1', true, true, \
                       '')", "SELECT pg_reload_conf()", "CALL x()",
            "SELECT pg_terminate_backend(pg_backend_pid())", "DECLARE c CURSOR FOR SELECT 1", "FETCH ALL FROM answer", "CLOSE answer",
            "PREPARE x AS SELECT 1", "DEALLOCATE \
                                      ALL", "LOCK TABLE \
                                             member", "NOTIFY x", "SELECT nextval('trial_number_seq')", "SHOW all",
        ];
        let own: &[&str] = if f.is_server() { &of_servers } else { &of_files };
        let schema = "SELECT count(*) FROM finals";
        let before = f.value(schema).await;
        for sql in of_both.iter().chain(own) {
            let answer = timeout(Duration::from_secs(20), f.reading.query(sql)).await.expect("an answer in time");
            assert!(matches!(answer, Err(StoreError::Query(_))), "{sql:?}: {answer:?}");
        }
        let longest = format!("SELECT '{}'", "x".repeat(1 << 21));
        assert!(matches!(f.reading.query(&longest).await, Err(StoreError::Query(_))));
        assert_eq!((f.value("SELECT count(*) FROM \
                             member").await, f.value(schema).await), (Cell::Integer(6), before));
        assert!(!outside.exists(), "something was written outside");
    }

    async fn values_keep_every_digit(f: Fixture) {
        let large = "SELECT 9007199254740993, 9223372036854775807, -9223372036854775807 - 1, 1.5, \
                     NULL, 'ä'";
        let [row] = &f.reading.query(large).await.expect("an answer").rows[..] else { panic!("one row") };
        let expected = [
            Cell::Integer((1 << 53) + 1), Cell::Integer(i64::MAX), Cell::Integer(i64::MIN), Cell::Real(1.5), Cell::Null, Cell::Text("ä".into()),
        ];
        assert_eq!(row[..], expected);
        let own = match f.is_server() {
            true => [
                ("SELECT '\\x00ff'::bytea", Cell::Blob(vec![0, 255])),
                ("SELECT 9223372036854775807::numeric * 10", Cell::Big(i128::from(i64::MAX) * 10)),
                ("SELECT 12345678901234567890.123", Cell::Decimal("12345678901234567890.123".into())),
                ("SELECT 'Infinity'::float8", Cell::Real(f64::INFINITY)),
                ("SELECT ARRAY[1, 2]", Cell::Text("{1,2}".into())),
                ("SELECT true", Cell::Integer(1)),
            ],
            false => [
                ("SELECT x'00ff'", Cell::Blob(vec![0, 255])),
                ("SELECT CAST(x'66ff' AS TEXT)", Cell::Blob(b"f\xff".to_vec())),
                ("SELECT CAST(x'660066' AS TEXT)", Cell::Text("f\0f".into())),
                ("SELECT 9e999", Cell::Real(f64::INFINITY)),
                ("SELECT x''", Cell::Blob(vec![])),
                ("PRAGMA user_version", Cell::Integer(0)),
            ],
        };
        for (sql, expected) in own {
            assert_eq!(f.value(sql).await, expected, "{sql}");
        }
        for sql in ["SELECT m FROM member m", "SELECT DATE '2026-01-02', INTERVAL '1 day', \
                                               'a'::\"char\", '{}'::jsonb, now(), ROW(1, 'x')"] {
            assert!(!f.is_server() || !matches!(f.value(sql).await, Cell::Null), "{sql}");
        }
    }

    async fn rows_come_while_the_query_goes_on(f: Fixture) {
        for sql in [format!("{ENDLESS} SELECT n FROM t"), format!("{ENDLESS} SELECT n FROM t \
            UNION ALL SELECT 0")] {
            let mut answer = f.reading.ask(&sql).await.expect("an answer");
            let mut seen = 0;
            while seen < 10_000 {
                let rows = timeout(Duration::from_secs(20), answer.next()).await.expect("in time").expect("rows").expect("no end");
                assert!(rows.iter().zip(seen + 1..).all(|(row, n)| *row == [Cell::Integer(n)]));
                seen += rows.len() as i64;
            }
        }
        let many = format!("{ENDLESS} SELECT n FROM t LIMIT 100000");
        let table = f.reading.query(&many).await.expect("all of it");
        assert!(table.rows.len() == 100_000 && table.rows[99_999] == [Cell::Integer(100_000)]);
        // An error in the middle comes after the rows before it.
        let last = if f.is_server() { "1 / (5000 - \
                                       n)" } else { "CASE n WHEN 5000 THEN \
                                                     abs(-9223372036854775807 - 1) ELSE n END" };
        let mut answer = f.reading.ask(&format!("{ENDLESS} SELECT {last} FROM t")).await.expect("an answer");
        let mut seen = 0;
        let error = loop {
            match answer.next().await {
                Ok(rows) => seen += rows.expect("no end").len(),
                Err(error) => break error,
            }
        };
        assert!(matches!(error, StoreError::Query(_)) && seen <= 4999, "{error} after {seen} rows");
    }

    async fn a_query_ends_when_nobody_waits_for_it(f: Fixture) {
        for sql in [format!("{ENDLESS} SELECT count(*) FROM t"), format!("{ENDLESS} SELECT n FROM t")] {
            let mut answer = f.reading.ask(&sql).await.expect("an answer");
            let _ = timeout(Duration::from_millis(300), answer.next()).await;
            assert!(goes_on(&f).await, "{sql} is not even running");
            drop(answer);
            let mut looks = 0;
            while goes_on(&f).await {
                looks += 1;
                assert!(looks < 100, "{sql} goes on");
                sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

/// Whether the database is still at the endless query.
async fn goes_on(f: &Fixture) -> bool {
    if f.is_server() {
        let mut connection =
            sqlx::PgConnection::connect(&f.address).await.expect("the server answers");
        let at_it =
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND query \
             LIKE 'FETCH FORWARD%'
                     AND state <> 'idle'";
        return sqlx::query_scalar::<_, i64>(at_it)
            .fetch_one(&mut connection)
            .await
            .expect("an answer")
            > 0;
    }
    let threads = std::fs::read_dir("/proc/self/task").expect("a folder").flatten();
    let is_query = |thread: &std::fs::DirEntry| {
        std::fs::read_to_string(thread.path().join("comm")).is_ok_and(|name| name.trim() == "query")
    };
    threads.filter(is_query).count() > 0
}
