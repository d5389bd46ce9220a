//! What each crate must not depend on, asked of cargo and of the sources; and that no crate has
//! modules that depend on each other in a circle.

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
fn no_crate_depends_on_what_it_must_not() {
    let metadata = metadata();
    let libtorch = ["tch", "torch-sys"];
    let sql = ["sqlx", "sqlx-core", "libsqlite3-sys"];
    let walls: [(&str, bool, Vec<&str>); 9] = [
        ("outgrow-core", true, [&libtorch[..], &sql, &["tokio", "rayon", "plotters"]].concat()),
        ("outgrow-data", true, [&libtorch[..], &sql, &["tokio", "plotters"]].concat()),
        ("outgrow-train", true, [&sql[..], &["tokio", "plotters"]].concat()),
        ("outgrow-store", true, [&libtorch[..], &["plotters"]].concat()),
        ("outgrow-runner", true, [&libtorch[..], &["plotters"]].concat()),
        ("outgrow-runner", false, sql.to_vec()),
        ("outgrow-report", true, [&libtorch[..], &sql, &["tokio"]].concat()),
        ("outgrow-search", true, [&libtorch[..], &sql, &["tokio", "plotters"]].concat()),
        ("outgrow-setup", true, [&libtorch[..], &sql, &["tokio"]].concat()),
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
    for name in [
        "outgrow-data",
        "outgrow-train",
        "outgrow-runner",
        "outgrow-report",
        "outgrow",
        "outgrow-cli",
        "outgrow-bench",
    ] {
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

#[test]
fn no_modules_depend_on_each_other_in_a_circle() {
    let crates = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("..")).expect("a folder");
    let roots: Vec<_> = crates.map(|entry| entry.expect("a crate").path().join("src")).collect();
    assert!(roots.len() >= 12, "{roots:?}");
    for root in roots {
        let circles = Modules::read(&root).circles();
        assert!(circles.is_empty(), "{} has circles of modules: {circles:#?}", root.display());
    }
}

#[test]
fn a_circle_would_be_seen() {
    let found = |sources: &[(&str, &str)]| Modules::of(sources).circles();
    let facade = "mod b; mod c; pub use self::b::B; pub use self::c::C;";
    assert_eq!(found(&[("", ""), ("a", "use crate::b::X;"), ("b", "")]).len(), 0);
    assert_eq!(
        found(&[("", ""), ("a", "use crate::b::X;"), ("b", "fn f() { crate::a::g() }")]).len(),
        1
    );
    // A module and its own children may know each other.
    assert_eq!(
        found(&[("", ""), ("a", facade), ("a::b", "use super::Own;"), ("a::c", "")]).len(),
        0
    );
    // What stands in a sibling is found through the parent's re-export.
    let both =
        [("", ""), ("a", facade), ("a::b", "use super::C;"), ("a::c", "use crate::a::{B, Own};")];
    assert_eq!(found(&both).len(), 1);
    let deep = [
        ("", ""),
        ("a", ""),
        ("a::x", "use crate::b::Y;"),
        ("b", ""),
        ("b::y", "use crate::a::x::X;"),
    ];
    assert_eq!(found(&deep).len(), 1);
}

type Module = Vec<String>;

/// The modules of a crate, and what each uses.
struct Modules {
    sources: BTreeMap<Module, String>,
    /// Of a module: names that it re-exports, and the child that has them.
    exports: BTreeMap<Module, BTreeMap<String, Module>>,
}

impl Modules {
    fn read(root: &Path) -> Self {
        let mut files = vec![];
        sources(root, &mut files);
        let module = |path: &str| -> Module {
            let within = Path::new(path).strip_prefix(root).expect("within").with_extension("");
            let parts = within.iter().map(|part| part.to_string_lossy().into_owned());
            parts.filter(|part| !["lib", "main", "mod"].contains(&part.as_str())).collect()
        };
        Self::new(files.into_iter().map(|(path, text)| (module(&path), text)).collect())
    }

    fn of(sources: &[(&str, &str)]) -> Self {
        let split = |path: &str| -> Module {
            path.split("::").filter(|part| !part.is_empty()).map(str::to_owned).collect()
        };
        Self::new(sources.iter().map(|(path, text)| (split(path), (*text).to_owned())).collect())
    }

    fn new(mut sources: BTreeMap<Module, String>) -> Self {
        for text in sources.values_mut() {
            // Tests stand at the end, and may use what they like.
            let code = text.split("#[cfg(test)]\nmod").next().expect("a part");
            let lines = code.lines().map(|line| line.split("//").next().expect("a part"));
            *text = lines.collect::<Vec<_>>().join("\n");
        }
        let mut modules = Self { sources, exports: BTreeMap::new() };
        for (module, text) in &modules.sources {
            let own = used(text).into_iter().filter_map(|path| {
                let path: Vec<String> = path.into_iter().filter(|part| part != "self").collect();
                let child = [module.clone(), path.first().cloned().into_iter().collect()].concat();
                (path.len() > 1 && modules.sources.contains_key(&child))
                    .then(|| (path[path.len() - 1].clone(), child))
            });
            let own = own.collect();
            modules.exports.insert(module.clone(), own);
        }
        modules
    }

    /// The module that a path leads to, as it is written in `module`; none if it leads out of the
    /// crate.
    fn resolve(&self, module: &Module, path: &[String]) -> Option<Module> {
        let (mut at, mut rest) = match path.first()?.as_str() {
            "crate" => (vec![], &path[1..]),
            "self" => (module.clone(), &path[1..]),
            "super" => (module.clone(), path),
            first => {
                let child = [module.clone(), vec![first.to_owned()]].concat();
                (self.sources.contains_key(&child).then(|| module.clone())?, path)
            }
        };
        while rest.first().is_some_and(|part| part == "super") {
            at.pop();
            rest = &rest[1..];
        }
        while let Some(part) = rest.first() {
            let child = [at.clone(), vec![part.clone()]].concat();
            match self.exports.get(&at).and_then(|exports| exports.get(part)) {
                _ if self.sources.contains_key(&child) => (at, rest) = (child, &rest[1..]),
                // The name may be re-exported there, too.
                Some(child) => at = child.clone(),
                None => break,
            }
        }
        Some(at)
    }

    /// Among the children of each module, those that can be reached from themselves.
    fn circles(&self) -> BTreeSet<String> {
        let mut uses: BTreeSet<(Module, Module)> = BTreeSet::new();
        for (module, text) in &self.sources {
            let paths = used(text).into_iter().chain(inline(text));
            uses.extend(
                paths.filter_map(|path| Some((module.clone(), self.resolve(module, &path)?))),
            );
        }
        let mut found = BTreeSet::new();
        for parent in self.sources.keys() {
            let mut among: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
            for (from, to) in &uses {
                if let (Some(from), Some(to)) = (child(parent, from), child(parent, to))
                    && from != to
                {
                    among.entry(from).or_default().insert(to);
                }
            }
            for start in among.keys() {
                let (mut seen, mut open) = (BTreeSet::new(), vec![*start]);
                while let Some(next) = open.pop() {
                    let further = among.get(next).into_iter().flatten().copied();
                    open.extend(further.filter(|to| seen.insert(*to)));
                }
                if seen.contains(start) {
                    let circle = seen.into_iter().collect::<Vec<_>>().join(", ");
                    found.insert(format!("within {}: {circle}", parent.join("::")));
                }
            }
        }
        found
    }
}

/// The child of `parent` that `module` is, or lies in.
fn child<'a>(parent: &Module, module: &'a Module) -> Option<&'a str> {
    module.strip_prefix(parent.as_slice())?.first().map(String::as_str)
}

/// The paths of the `use` declarations of a text, each to its last name.
fn used(text: &str) -> Vec<Vec<String>> {
    let mut paths = vec![];
    for part in text.split(';') {
        let Some((_, tree)) = part.split_once("use ") else { continue };
        // Strings and other code before a `;` hold no declaration.
        if tree.chars().all(|c| c.is_alphanumeric() || c.is_whitespace() || "_:{},*".contains(c)) {
            leaves(&mut vec![], tree, &mut paths);
        }
    }
    paths
}

fn leaves(before: &mut Vec<String>, tree: &str, paths: &mut Vec<Vec<String>>) {
    let tree = tree.trim();
    let (path, group) = match tree.split_once('{') {
        Some((path, group)) => {
            (path, Some(group.rsplit_once('}').map_or(group, |(inside, _)| inside)))
        }
        None => (tree.split(" as ").next().expect("a part"), None),
    };
    let names = path.split("::").map(str::trim).filter(|name| !name.is_empty());
    let own: Vec<String> = names.map(str::to_owned).collect();
    before.extend(own.iter().cloned());
    match group {
        Some(group) => parts(group).iter().for_each(|part| leaves(before, part, paths)),
        None if tree.is_empty() => {}
        None => paths.push(before.clone()),
    }
    before.truncate(before.len() - own.len());
}

/// The members of a group, at its commas.
fn parts(group: &str) -> Vec<String> {
    let (mut found, mut depth) = (vec![String::new()], 0);
    for c in group.chars() {
        depth += i32::from(c == '{') - i32::from(c == '}');
        match c {
            ',' if depth == 0 => found.push(String::new()),
            c => found.last_mut().expect("one at least").push(c),
        }
    }
    found
}

/// Paths within the code that begin at the crate or at a parent.
fn inline(text: &str) -> Vec<Vec<String>> {
    let is_word = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
    let words = text.split(|c| !is_word(c));
    let paths = words.filter(|word| word.starts_with("crate::") || word.starts_with("super::"));
    paths.map(|path| path.split("::").map(str::to_owned).collect()).collect()
}
