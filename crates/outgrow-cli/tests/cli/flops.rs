//! Training FLOPs beyond 64 bits: planned, kept in both databases, and shown by every command.

use std::fs::File;

use arrow_array::cast::AsArray;
use outgrow_core::{
    Event, Sweep,
    event::{EvalEvent, Outcome, Position, StepEvent},
};
use outgrow_store::{Environment, Holder, Store};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::Value;

use crate::sandbox::{SWEEP, Sandbox, Server};

/// A database of trials that spend up to `most` each, as if they had been trained.
fn trained(address: &str, most: u128) {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let store = Store::open(address).await.expect("opens");
        let sweep = Sweep::parse(SWEEP).expect("a sweep");
        let id = store
            .insert_sweep(&sweep, "d", &sweep.members("d").expect("members"), false)
            .await
            .expect("in")
            .sweep;
        let holder = Holder { host: "h".into(), boot: "b".into(), pid: 1, started: 1, job: None };
        let environment = Environment {
            host: "h".into(),
            device: "cpu".into(),
            threads: 1,
            versions: "v".into(),
        };
        while let Some(claim) =
            store.claim(&id, &holder, &environment, |_| 1).await.expect("a claim").pop()
        {
            let at = |n: u64| {
                let (tokens, train_flops) = (n * 6400, most / 4 * u128::from(n));
                Position { step: n * 100, tokens, train_flops, wall_seconds: n as f64 }
            };
            let events = (1..=4).flat_map(|n| {
                let loss = 5.0 - n as f64 / 2.0;
                let step = StepEvent { at: at(n), loss, learning_rate: 1e-3, gradient_norm: 1.0 };
                [
                    Event::Step(step),
                    Event::Eval(EvalEvent { at: at(n), val_loss: loss, last: n == 4 }),
                ]
            });
            store.record(&claim, 1, &events.collect::<Vec<_>>()).await.expect("recorded");
            store.finish(&claim, Ok(Outcome::Complete)).await.expect("finished");
        }
        store.close().await;
    });
}

fn is(found: f64, expected: f64, what: &str) {
    assert!((found / expected - 1.0).abs() < 1e-12, "{what}: {found}, not {expected}");
}

fn column_of_csv(text: &str, name: &str) -> Vec<f64> {
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let column = reader
        .headers()
        .expect("a header")
        .iter()
        .position(|header| header == name)
        .expect("the column");
    reader
        .records()
        .map(|record| record.expect("a record")[column].parse().expect("a number"))
        .collect()
}

fn column_of_parquet(path: &std::path::Path, name: &str) -> Vec<f64> {
    let file = File::open(path).expect("a file");
    let batches =
        ParquetRecordBatchReaderBuilder::try_new(file).expect("Parquet").build().expect("a reader");
    let mut all = vec![];
    for batch in batches {
        let batch = batch.expect("rows");
        let column = batch.column_by_name(name).expect("the column");
        let column = arrow_cast::cast(column, &arrow_schema::DataType::Float64).expect("numbers");
        let column = column.as_primitive::<arrow_array::types::Float64Type>();
        all.extend((0..column.len()).map(|row| column.value(row)));
    }
    all
}

/// The largest of the numbers of a column, none of which is below zero.
fn largest(values: &[f64], what: &str) -> f64 {
    assert!(!values.is_empty() && values.iter().all(|value| *value >= 0.0), "{what}: {values:?}");
    values.iter().copied().fold(0.0, f64::max)
}

fn every_command_shows(sandbox: &Sandbox, most: u128) {
    let expected = most as f64;
    let sql = "SELECT train_flops FROM curves";
    let json = sandbox.json(&["query", sql, "--format", "json"]);
    let values: Vec<f64> = json
        .as_array()
        .expect("rows")
        .iter()
        .filter_map(|row| row["train_flops"].as_f64())
        .collect();
    is(largest(&values, "json"), expected, "query json");
    let csv = sandbox.ok(&["query", sql, "--format", "csv"]);
    is(largest(&column_of_csv(&csv, "train_flops"), "csv"), expected, "query csv");
    sandbox.ok(&[
        "query",
        "SELECT max(train_flops) AS train_flops FROM curves",
        "--format",
        "parquet",
        "--output",
        "q.parquet",
    ]);
    is(
        largest(&column_of_parquet(&sandbox.path("q.parquet"), "train_flops"), "parquet"),
        expected,
        "query parquet",
    );
    let table = sandbox.ok(&["query", "SELECT max(train_flops) FROM finals"]);
    assert!(table.contains(&format!("{expected:.4e}")) && !table.contains('-'), "{table}");
    // Sums over trials, and what each trial's attempts spent.
    let status = sandbox.json(&["status", "--json"]);
    let trials: f64 = status[0]["trials"]["complete"].as_f64().expect("complete trials");
    is(status[0]["train_flops"].as_f64().expect("a sum"), trials * expected, "status");
    let compute = sandbox.ok(&["query", "SELECT spent_flops FROM compute", "--format", "csv"]);
    is(largest(&column_of_csv(&compute, "spent_flops"), "compute"), expected, "compute");
    let saving = sandbox.ok(&["query", "SELECT compute_saving FROM speedups", "--format", "csv"]);
    assert!(
        column_of_csv(&saving, "compute_saving").iter().all(|saving| saving.abs() < 1e-9),
        "{saving}"
    );
    for format in ["parquet", "csv", "jsonl"] {
        sandbox.ok(&["export", "--to", format, "--format", format]);
        let file = sandbox.path(&format!("{format}/finals.{format}"));
        let values = match format {
            "parquet" => column_of_parquet(&file, "train_flops"),
            "csv" => column_of_csv(&std::fs::read_to_string(file).expect("text"), "train_flops"),
            _ => {
                let text = std::fs::read_to_string(file).expect("text");
                let number = |line: &str| {
                    serde_json::from_str::<Value>(line).expect("JSON")["train_flops"].as_f64()
                };
                text.lines().filter_map(number).collect()
            }
        };
        is(largest(&values, format), expected, format);
    }
    sandbox.ok(&["report", "small", "-o", "report"]);
    let page = std::fs::read_to_string(sandbox.path("report/README.md")).expect("a page");
    assert!(page.contains(&format!("{:.3}", expected / 1e12)), "{page}");
}

#[test]
fn flops_beyond_64_bits_are_shown_as_they_are() {
    for most in [95_200_000_000_000_000_000, 10_u128.pow(22)] {
        let sandbox = Sandbox::new();
        trained(sandbox.path("outgrow.db").to_str().expect("text"), most);
        every_command_shows(&sandbox, most);
    }
}

#[test]
fn a_server_keeps_them_to_the_last_digit() {
    let Some((_server, url)) = Server::start() else { return };
    let sandbox = Sandbox::with(Some(url.clone()));
    let most = 4 * (10_u128.pow(22) + 1);
    trained(&url, most);
    every_command_shows(&sandbox, most);
    let csv = sandbox.ok(&[
        "query",
        "SELECT max(train_flops), sum(train_flops) FROM finals",
        "--format",
        "csv",
    ]);
    assert_eq!(csv.lines().nth(1), Some(&*format!("{most},{}", 4 * most)));
}

#[test]
fn they_are_planned_exactly() {
    let sandbox = Sandbox::new();
    let large = "target = { d_model = 2048, n_layers = 24, n_heads = 16, d_k = 128, d_v = 128, d_ff = 8192 }";
    let small = "target = { d_model = 12, n_layers = 2, n_heads = 2, d_k = 6, d_v = 6, d_ff = 24 }";
    let sweep = SWEEP.replace(small, large).replace("seq_len = 16", "seq_len = 1024");
    sandbox.write("large.toml", &sweep.replace("25_600", "200_000_000_000"));
    // 3 × 2 × (24 layers × (1024 × 2048 × (4 × 2048 + 2 × 8192) + 1024² × 2 × 2048) + 1024 × 2048 ×
    // 256), of 195,312,500 sequences; by pencil, for 64 bits do not hold it.
    let plan = sandbox.ok(&["plan", "large.toml", "--json"]);
    assert!(plan.contains("\"train_flops\": 1570976563200000000000"), "{plan}");
    let text = sandbox.ok(&["plan", "large.toml", "--gflops", "1e6"]);
    assert!(text.contains("ZFLOP"), "{text}");
}
