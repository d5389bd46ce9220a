//! What the built-in corpus is must be known when this crate is built.
//!
//! The corpus is the Rust source text of some pinned dependencies: real text that every machine
//! which builds the project has, at the same bytes. It is embedded in the binary, so the operating
//! system maps it and all workers share it.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

/// The packages whose sources are the corpus; their versions are pinned in `Cargo.lock`.
const PACKAGES: [&str; 10] = [
    "clap_builder",
    "futures-util",
    "krilla",
    "parquet",
    "regex-automata",
    "serde_json",
    "sqlx-core",
    "statrs",
    "tokio",
    "winnow",
];

/// BLAKE3 of the corpus that this list and these versions make. After `cargo update` of one of
/// them: see the error below.
const DIGEST: &str = include_str!("corpus.digest");

/// One file in so many is validation text.
const VALIDATION_ONE_IN: u8 = 16;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=corpus.digest");
    println!("cargo::rerun-if-changed=../../Cargo.lock");
    embed_corpus();
}

fn embed_corpus() {
    let out = PathBuf::from(env::var("OUT_DIR").expect("cargo sets OUT_DIR"));
    let (mut train, mut validation) = (vec![], vec![]);
    for (package, root) in package_roots() {
        for file in rust_files(&root.join("src")) {
            let name = format!(
                "{package}/{}",
                file.strip_prefix(&root).expect("inside the package").display()
            );
            let text =
                fs::read(&file).unwrap_or_else(|e| panic!("cannot read {}: {e}", file.display()));
            let is_validation =
                blake3::hash(name.as_bytes()).as_bytes()[0].is_multiple_of(VALIDATION_ONE_IN);
            if is_validation { &mut validation } else { &mut train }.extend_from_slice(&text);
        }
    }
    let mut hasher = blake3::Hasher::new();
    hasher.update(&train).update(&(train.len() as u64).to_le_bytes()).update(&validation);
    let digest = hasher.finalize().to_hex();
    assert!(
        digest.as_str() == DIGEST.trim(),
        "the built-in corpus has digest {digest}, but crates/outgrow-data/corpus.digest says {}: \
         if one of {PACKAGES:?} was updated on purpose, write the new digest there (results on \
         the old text stay apart by it)",
        DIGEST.trim(),
    );
    fs::write(out.join("corpus.train"), train).expect("OUT_DIR is writable");
    fs::write(out.join("corpus.validation"), validation).expect("OUT_DIR is writable");
}

/// Where cargo keeps the sources of the packages, in the order of their names.
fn package_roots() -> Vec<(String, PathBuf)> {
    let cargo = env::var("CARGO").expect("cargo sets CARGO");
    let target = env::var("TARGET").expect("cargo sets TARGET");
    let manifest =
        Path::new(&env::var("CARGO_MANIFEST_DIR").expect("cargo sets it")).join("../../Cargo.toml");
    let output = Command::new(cargo)
        .args([
            "metadata",
            "--format-version=1",
            "--locked",
            "--filter-platform",
            &target,
            "--manifest-path",
        ])
        .arg(manifest)
        .output()
        .expect("cargo runs");
    assert!(
        output.status.success(),
        "cargo metadata failed: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let metadata: serde_json::Value =
        serde_json::from_slice(&output.stdout).expect("cargo metadata prints JSON");
    let packages = metadata["packages"].as_array().expect("a list of packages");
    PACKAGES.map(|name| (name.to_owned(), root_of(packages, name))).to_vec()
}

fn root_of(packages: &[serde_json::Value], name: &str) -> PathBuf {
    let found: Vec<_> = packages.iter().filter(|package| package["name"] == name).collect();
    let [package] = found[..] else {
        panic!(
            "the corpus needs exactly one version of `{name}` in Cargo.lock, there are {}",
            found.len()
        );
    };
    let manifest = package["manifest_path"].as_str().expect("a path");
    Path::new(manifest).parent().expect("a folder").to_owned()
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let entries =
        fs::read_dir(folder).unwrap_or_else(|e| panic!("cannot read {}: {e}", folder.display()));
    let mut paths: Vec<PathBuf> =
        entries.map(|entry| entry.expect("a readable folder").path()).collect();
    paths.sort();
    let files = |path: PathBuf| match path.is_dir() {
        true => rust_files(&path),
        false => {
            if path.extension().is_some_and(|e| e == "rs") {
                vec![path]
            } else {
                vec![]
            }
        }
    };
    paths.into_iter().flat_map(files).collect()
}
