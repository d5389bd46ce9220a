//! The walls of the house: what each crate must never know, asked of cargo and of the sources.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, PackageId};

fn metadata() -> Metadata {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../Cargo.toml");
    // This platform alone: cargo has not fetched the packages of others.
    let platform = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let options = vec!["--locked".to_owned(), "--filter-platform".to_owned(), platform];
    MetadataCommand::new()
        .manifest_path(manifest)
        .other_options(options)
        .exec()
        .expect("cargo metadata")
}

/// Names of the packages that `name` is built from, itself left out; with `deep`, those of theirs
/// as well.
fn dependencies(metadata: &Metadata, name: &str, deep: bool) -> BTreeSet<String> {
    let names: BTreeMap<&PackageId, &str> =
        metadata.packages.iter().map(|p| (&p.id, p.name.as_str())).collect();
    let nodes: BTreeMap<&PackageId, _> =
        metadata.resolve.iter().flat_map(|r| &r.nodes).map(|n| (&n.id, n)).collect();
    let own = metadata
        .packages
        .iter()
        .find(|p| p.name.as_str() == name)
        .unwrap_or_else(|| panic!("no crate {name}"));
    let (mut found, mut open) = (BTreeSet::new(), vec![&own.id]);
    while let Some(id) = open.pop() {
        if id != &own.id && !deep {
            continue;
        }
        for dependency in &nodes[id].deps {
            let is_normal =
                dependency.dep_kinds.iter().any(|kind| kind.kind == DependencyKind::Normal);
            if is_normal && found.insert(names[&dependency.pkg].to_owned()) {
                open.push(&dependency.pkg);
            }
        }
    }
    found
}

#[test]
fn no_crate_is_built_from_what_it_must_not_know() {
    let metadata = metadata();
    let libtorch = ["tch", "torch-sys"];
    let sql = ["sqlx", "sqlx-core", "libsqlite3-sys"];
    let walls: [(&str, bool, Vec<&str>); 7] = [
        ("outgrow-core", true, [&libtorch[..], &sql, &["tokio", "rayon", "plotters"]].concat()),
        ("outgrow-data", true, [&libtorch[..], &sql, &["tokio", "plotters"]].concat()),
        ("outgrow-train", true, [&sql[..], &["tokio", "plotters"]].concat()),
        ("outgrow-store", true, [&libtorch[..], &["plotters"]].concat()),
        ("outgrow-runner", true, [&libtorch[..], &["plotters"]].concat()),
        ("outgrow-runner", false, sql.to_vec()),
        ("outgrow-report", true, [&libtorch[..], &sql, &["tokio"]].concat()),
    ];
    for (name, deep, forbidden) in walls {
        let found = dependencies(&metadata, name, deep);
        let through: Vec<_> = forbidden.iter().filter(|name| found.contains(**name)).collect();
        assert!(through.is_empty(), "{name} is built from {through:?}");
    }
    // The question itself must be able to fail.
    assert!(dependencies(&metadata, "outgrow-train", true).contains("torch-sys"));
    assert!(dependencies(&metadata, "outgrow-runner", true).contains("sqlx"));
}

#[test]
fn the_core_touches_no_file_clock_or_thread() {
    let mut files = vec![];
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut files);
    assert!(files.len() > 20);
    for (path, text) in files {
        for word in [
            "std::fs",
            "std::time",
            "std::thread",
            "std::env",
            "Instant::",
            "async fn",
            "println!",
            "SELECT ",
        ] {
            assert!(!text.contains(word), "{path} has {word}");
        }
    }
}

#[test]
fn sql_stands_in_the_store_alone() {
    for name in ["outgrow-data", "outgrow-train", "outgrow-runner", "outgrow-report", "outgrow-cli"]
    {
        let mut files = vec![];
        sources(
            &Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(name).join("src"),
            &mut files,
        );
        for (path, text) in files {
            for word in ["INSERT INTO", "UPDATE ", "sqlx::"] {
                assert!(!text.contains(word), "{path} has {word}");
            }
        }
    }
}

fn sources(folder: &Path, files: &mut Vec<(String, String)>) {
    for entry in fs::read_dir(folder).expect("a folder of sources") {
        let path = entry.expect("a file").path();
        if path.is_dir() {
            sources(&path, files);
        } else {
            files.push((path.display().to_string(), fs::read_to_string(&path).expect("a text")));
        }
    }
}
