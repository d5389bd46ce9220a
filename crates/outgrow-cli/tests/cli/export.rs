//! Exported results, read back by the programs that people use; completions and man pages.

use serde_json::Value;

use crate::sandbox::{Sandbox, python};

fn trained() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.ok(&["run", "sweep.toml", "-j", "2"]);
    sandbox
}

#[test]
fn tables_are_read_back_by_pandas_polars_and_duckdb() {
    let sandbox = trained();
    let n = |view: &str| sandbox.number(&format!("SELECT count(*) FROM {view}"));
    let answer =
        sandbox.json(&["query", "SELECT sum(val_loss) AS loss FROM curves", "--format", "json"]);
    let loss = answer[0]["loss"].as_f64().expect("a sum");
    let mut types: Vec<Value> = vec![];
    for format in ["parquet", "csv", "jsonl"] {
        let files =
            sandbox.json(&["export", "--to", format, "--format", format, "--json"])["files"]
                .clone();
        for view in ["finals", "curves", "steps", "growth", "speedups", "compute"] {
            assert_eq!(
                files[format!("{view}.{format}")].as_u64(),
                Some(n(view)),
                "{view} {format}"
            );
        }
        let Some(found) =
            python("exported.py", &["tables", sandbox.path(format).to_str().expect("text")])
        else {
            continue;
        };
        let found: Value = serde_json::from_str(&found).expect("JSON");
        assert_eq!(found.as_object().expect("an object").len(), 18);
        for program in ["pandas", "polars", "duckdb"] {
            let curves = &found[format!("curves.{format} {program}")];
            assert_eq!(curves["rows"].as_u64(), Some(n("curves")), "{format} {program}");
            assert!(
                (curves["loss"].as_f64().expect("a sum") - loss).abs() < 1e-9 * loss,
                "{format} {program}"
            );
            let columns: Vec<&str> = curves["columns"]
                .as_array()
                .expect("names")
                .iter()
                .filter_map(Value::as_str)
                .collect();
            let expected = "sweep sweep_id strategy kind plan replicate trial step tokens \
                            train_flops wall_seconds val_loss bits_per_token bits_per_byte \
                            learning_rate setting budget tuning";
            assert_eq!(columns.join(" "), expected, "{format} {program}");
            if format == "parquet" && program != "polars" {
                types.push(found[format!("growth.parquet {program}")]["types"].clone());
            }
        }
    }
    // A column has its type even where nothing is in it.
    for found in types {
        for (column, kind) in [("tokens", "int64"), ("error", "float64"), ("preserved", "bool")] {
            assert!(
                found[column].as_str().is_some_and(|found| found.contains(kind)),
                "{column}: {found}"
            );
        }
    }
    let (code, error) = sandbox.wrong(&["export", "--to", "csv"]);
    assert!(code == 2 && error.contains("exists already"), "{error}");
    let (code, error) = sandbox.wrong(&["export", "nobody", "--to", "new"]);
    assert!(code == 2 && error.contains("nobody") && !sandbox.path("new").exists(), "{error}");
}

#[test]
fn tensorboard_shows_the_curves() {
    let sandbox = trained();
    let files = sandbox.json(&[
        "export",
        "small",
        "--to",
        "tb",
        "--format",
        "tensorboard",
        "--json",
    ])["files"]
        .clone();
    assert_eq!(
        files.as_object().expect("files").len() as u64,
        sandbox.number("SELECT count(*) FROM finals")
    );
    let Some(found) =
        python("exported.py", &["tensorboard", sandbox.path("tb").to_str().expect("text")])
    else {
        return;
    };
    let found: Value = serde_json::from_str(&found).expect("JSON");
    let (mut points, mut growths) = (0, 0);
    for (file, scalars) in found.as_object().expect("files") {
        let validation = scalars["loss/validation"].as_array().expect("a curve");
        points += validation.len() as u64;
        growths += scalars["growth/parameters"].as_array().map_or(0, Vec::len) as u64;
        let tokens: Vec<u64> =
            validation.iter().map(|point| point[0].as_u64().expect("tokens")).collect();
        assert!(tokens.is_sorted() && tokens.last() == Some(&25_600), "{file}: {tokens:?}");
        assert!(file.starts_with("small-"), "{file}");
    }
    assert_eq!(points, sandbox.number("SELECT count(*) FROM curves"));
    assert_eq!(growths, sandbox.number("SELECT count(*) FROM growth"));
}

#[test]
fn shells_complete_and_manuals_are_there() {
    let sandbox = Sandbox::new();
    for (shell, words) in
        [("bash", "complete -F"), ("zsh", "#compdef outgrow"), ("fish", "complete -c outgrow")]
    {
        let text = sandbox.ok(&["completions", shell]);
        assert!(
            text.contains(words) && text.contains("export") && text.contains("retry-failed"),
            "{shell}"
        );
    }
    sandbox.ok(&["man", "man1"]);
    let page = std::fs::read_to_string(sandbox.path("man1/outgrow-grow.1")).expect("a page");
    assert!(page.contains(".TH outgrow-grow") && page.contains("n\\-kv\\-heads"), "{page}");
    assert!(
        sandbox.path("man1/outgrow.1").exists()
            && sandbox.path("man1/outgrow-data-tokenize.1").exists()
    );
}

#[test]
fn the_notebook_says_what_the_database_says() {
    let sandbox = trained();
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
    // The notebook takes the database from its environment, as outgrow does.
    let notebook = format!("{root}/notebooks/saving.ipynb");
    let wrapper = sandbox.write(
        "cells.py",
        &format!(
            "import os, runpy, sys\nos.environ['OUTGROW_DB'] = {:?}\nos.environ['OUTGROW_FIGURE'] \
             = {:?}\nsys.argv = ['notebook.py', {notebook:?}]\nrunpy.run_path({:?})\n",
            sandbox.path("outgrow.db"),
            sandbox.path("figure.pdf"),
            format!("{root}/scripts/notebook.py"),
        ),
    );
    let Some(table) = python(wrapper.to_str().expect("text"), &[]) else { return };
    let table: Value = serde_json::from_str(&table).expect("JSON");
    let sql = "SELECT avg(compute_saving) AS saving FROM speedups WHERE strategy = 'random'";
    let expected = sandbox.json(&["query", sql, "--format", "json"])[0]["saving"].as_f64();
    let row = table
        .as_array()
        .expect("rows")
        .iter()
        .find(|row| row["strategy"] == "random")
        .expect("a row");
    match (row["mean"].as_f64(), expected) {
        (Some(found), Some(expected)) => assert!((found - expected).abs() < 1e-12, "{row}"),
        (found, expected) => assert_eq!(found, expected),
    }
    assert!(sandbox.path("figure.pdf").exists());
}
