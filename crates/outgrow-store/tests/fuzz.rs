//! Addresses and queries are refused without a panic, whatever they say, and a query writes nothing.

use outgrow_core::Sweep;
use outgrow_store::{Address, Store};
use outgrow_testkit::fuzz::fuzz;

#[test]
fn addresses() {
    let examples: [&[u8]; 4] = [
        b"postgres://me:s3cret@host:5432/db?sslmode=require&password=s3cret",
        b"postgresql://[::1]:5432/x",
        b"sqlite:some/a.db",
        b"results/a.db",
    ];
    fuzz("address", &examples, |input| {
        if let Ok(text) = std::str::from_utf8(input) {
            let (shown, address) = (Address::shown(text), Address::parse(text));
            if let Ok(Address::Server(url)) = &address {
                // A password where a URL has it is not shown, whatever else is odd.
                let user = url.split_once("//").and_then(|(_, rest)| rest.split(['/', '?']).next()).unwrap_or("");
                assert!(!user.contains(":s3cret@") || !shown.contains(":s3cret@"), "{text} is shown as {shown}");
            }
            let _ = address.map(|address| address.name().len());
        }
    });
}

#[test]
fn queries() {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("a.db").display().to_string();
    let reading = runtime.block_on(async {
        let store = Store::open(&path).await.expect("a database");
        let sweep = Sweep::parse(include_str!("sweep.toml")).expect("a sweep");
        store.insert_sweep(&sweep, "d", &sweep.members("d").expect("members"), false).await.expect("inserted");
        store.close().await;
        Store::open_read_only(&path).await.expect("opens")
    });
    let examples: [&[u8]; 6] = [
        b"SELECT strategy, avg(compute_saving) FROM speedups GROUP BY 1",
        b"SELECT json_extract(definition, '$.seed'), t.* FROM trial t ORDER BY random() LIMIT 5",
        b"SELECT 1.5, 'text', x'00ff', NULL, 1e400 FROM sweep",
        b"DELETE FROM member; DROP TABLE trial; INSERT INTO sweep VALUES (1, 2, 3, 4, 5)",
        b"PRAGMA integrity_check",
        b"SELECT length(spec), substr(spec, 1, 10) FROM sweep",
    ];
    fuzz("query", &examples, |input| {
        if let Ok(text) = std::str::from_utf8(input) {
            let answered = runtime
                .block_on(async { tokio::time::timeout(std::time::Duration::from_secs(1), reading.query(text)).await });
            assert!(answered.is_ok(), "no answer to {text:?}");
        }
    });
    let sweeps = runtime.block_on(reading.query("SELECT count(*) FROM member")).expect("an answer");
    assert_eq!(sweeps.rows, [[outgrow_store::Cell::Integer(6)]], "nothing was written");
}
