//! `bin/outgrow` of an unpacked archive with a program that only tells how it was started: setting
//! up from a mirror, from a torch that is there, and everything that goes wrong on the way.

use std::{
    fs,
    io::{self, BufRead, BufReader, Cursor, Write},
    net::TcpListener,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use sha2::{Digest, Sha256};
use tempfile::TempDir;
use zip::{ZipWriter, write::SimpleFileOptions};

/// Starts with any libtorch but a broken one.
const PROGRAM: &str = "#!/bin/sh
case $LD_LIBRARY_PATH in *broken*) echo 'undefined symbol: x' >&2; exit 127;; esac
echo \"started $* path=$LD_LIBRARY_PATH\"
";

/// An unpacked archive, a user's home, and a mirror of wheels.
struct Machine {
    root: TempDir,
}

impl Machine {
    fn new() -> Self {
        let machine = Self { root: tempfile::tempdir().expect("a folder") };
        for folder in ["outgrow/bin", "outgrow/lib/outgrow", "home", "mirror", "path"] {
            fs::create_dir_all(machine.path(folder)).expect("a folder");
        }
        fs::copy(env!("CARGO_BIN_EXE_outgrow-start"), machine.path("outgrow/bin/outgrow"))
            .expect("copied");
        machine.script("outgrow/lib/outgrow/outgrow", PROGRAM);
        let list: String = machine
            .wheels()
            .iter()
            .map(|(name, bytes)| {
                fs::write(machine.path("mirror").join(name), bytes).expect("written");
                let digest: String =
                    Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect();
                format!("cpu {} {digest} http://127.0.0.1:1/{name}\n", bytes.len())
            })
            .collect();
        fs::write(
            machine.path("outgrow/lib/outgrow/libtorch.list"),
            format!("version 2.11.0\n{list}"),
        )
        .expect("written");
        machine
    }

    fn wheels(&self) -> [(&'static str, Vec<u8>); 2] {
        let noise: Vec<u8> =
            (0..200_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        [
            (
                "torch-2.11.0.whl",
                wheel(&[
                    ("torch/lib/libtorch_cpu.so", &noise),
                    ("torch/lib/libtorch_cuda.so", b"large"),
                    ("torch/lib/libtorch_python.so", b"large"),
                    ("torch/version.py", b"__version__ = '2.11.0+cu130'\n"),
                    ("torch/nn/functional.py", b"pass"),
                    ("torch-2.11.0.dist-info/licenses/LICENSE", b"words"),
                ]),
            ),
            ("nvidia_cuda_cupti.whl", wheel(&[("nvidia/cu13/lib/libcupti.so.13", b"library")])),
        ]
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    fn home(&self) -> PathBuf {
        self.path("outgrow/lib/outgrow")
    }

    fn script(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).expect("written");
        fs::set_permissions(self.path(name), fs::Permissions::from_mode(0o755)).expect("a program");
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(self.path("outgrow/bin/outgrow"));
        command
            .args(args)
            .env_clear()
            .env("HOME", self.path("home"))
            .env("PATH", self.path("path"))
            .current_dir(self.root.path());
        command
    }

    fn run(&self, args: &[&str]) -> (bool, String, String) {
        said(free(|| self.command(args).output()))
    }

    fn ok(&self, args: &[&str]) -> String {
        let (is_ok, out, err) = self.run(args);
        assert!(is_ok, "{args:?}: {out}{err}");
        out
    }

    fn wrong(&self, args: &[&str]) -> String {
        let (is_ok, out, err) = self.run(args);
        assert!(!is_ok && !err.contains("panicked"), "{args:?}: {out}{err}");
        err
    }

    fn torch(&self, name: &str, version: Option<(&str, &str)>) -> String {
        let folder = self.path(name);
        fs::create_dir_all(folder.join("lib")).expect("a folder");
        fs::write(folder.join("lib/libtorch_cpu.so"), "library").expect("written");
        if let Some((file, text)) = version {
            fs::write(folder.join(file), text).expect("written");
        }
        folder.display().to_string()
    }

    /// Nothing but what the archive brought, and what is hidden.
    fn has_nothing(&self) -> bool {
        let entries = fs::read_dir(self.home()).expect("a folder");
        entries
            .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
            .all(|name| {
                ["outgrow", "libtorch.list", ".setup.lock", "wheels"].contains(&name.as_str())
            })
    }
}

fn said(output: Output) -> (bool, String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.success(), text(&output.stdout), text(&output.stderr))
}

fn wheel(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(vec![]));
    for (name, bytes) in files {
        writer.start_file(*name, SimpleFileOptions::default()).expect("a file");
        writer.write_all(bytes).expect("written");
    }
    writer.finish().expect("a zip").into_inner()
}

#[test]
fn from_a_folder_of_wheels() {
    let machine = Machine::new();
    let before = machine.wrong(&["run", "sweep.toml"]);
    assert!(before.contains("`outgrow setup`"), "{before}");
    let done = machine.ok(&["setup", "--from", "mirror"]);
    assert!(done.contains("libtorch 2.11.0 is set up"), "{done}");
    // No more than is needed; the link leads there; the program finds it beside itself.
    let lib = machine.home().join("libtorch/lib");
    assert!(lib.join("libtorch_cpu.so").is_file() && !lib.join("libtorch_python.so").exists());
    assert!(!lib.join("libtorch_cuda.so").exists());
    assert!(machine.home().join("libtorch-2.11.0-cpu/nvidia/cu13/lib/libcupti.so.13").is_file());
    assert_eq!(machine.ok(&["run", "a b"]), "started run a b path=\n");
    // Started through a link, too.
    std::os::unix::fs::symlink(machine.path("outgrow/bin/outgrow"), machine.path("og"))
        .expect("linked");
    let linked = free(|| Command::new(machine.path("og")).arg("status").output());
    assert!(said(linked).1.starts_with("started status"));
    // Again: nothing is to be done, not even with the mirror gone.
    fs::remove_dir_all(machine.path("mirror")).expect("removed");
    assert!(machine.ok(&["setup"]).contains("already"));
    assert!(machine.ok(&["setup", "--from", "mirror"]).contains("already"));
    let help = machine.ok(&["setup", "--help"]);
    assert!(help.contains("--torch") && help.contains("--cuda"), "{help}");
}

#[test]
fn what_is_not_the_listed_file_is_not_used() {
    let machine = Machine::new();
    let path = machine.path("mirror/torch-2.11.0.whl");
    let mut bytes = fs::read(&path).expect("a wheel");
    bytes[100] ^= 1;
    fs::write(&path, &bytes).expect("written");
    let wrong = machine.wrong(&["setup", "--from", "mirror"]);
    assert!(wrong.contains("SHA-256") && wrong.contains("torch-2.11.0.whl"), "{wrong}");
    assert!(machine.has_nothing());
    fs::remove_file(&path).expect("removed");
    let missing = machine.wrong(&["setup", "--from", "mirror"]);
    assert!(missing.contains("is not there; it is to be had at http"), "{missing}");
    assert!(machine.wrong(&["status"]).contains("outgrow setup") && machine.has_nothing());
}

/// A server of the mirror that gives half of the first file it is asked for, and then nothing for
/// a long time; later it answers. Gives its address, and the ranges that it was asked for.
fn hesitant(mirror: &Path) -> (String, Arc<Mutex<Vec<Option<usize>>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = format!("http://{}", listener.local_addr().expect("an address"));
    let asked = Arc::new(Mutex::new(vec![]));
    let (log, mirror) = (asked.clone(), mirror.to_owned());
    thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut stream, mirror, log) =
                (stream.expect("a connection"), mirror.clone(), log.clone());
            thread::spawn(move || {
                let lines = BufReader::new(stream.try_clone().expect("a reader")).lines();
                let head: Vec<String> =
                    lines.map_while(Result::ok).take_while(|l| !l.is_empty()).collect();
                let name =
                    head[0].split_whitespace().nth(1).expect("a path").trim_start_matches('/');
                let bytes = fs::read(mirror.join(name)).expect("a wheel");
                let range = head.iter().find_map(|line| {
                    let line = line.to_lowercase();
                    line.strip_prefix("range: bytes=")?.trim_end_matches('-').parse::<usize>().ok()
                });
                let is_first = log.lock().expect("a log").is_empty();
                log.lock().expect("a log").push(range);
                let rest = &bytes[range.unwrap_or(0)..];
                let status = if range.is_some() { "206 Partial Content" } else { "200 OK" };
                let _ = write!(
                    stream,
                    "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                    rest.len()
                );
                if is_first {
                    let _ = stream.write_all(&rest[..rest.len() / 2]);
                    thread::sleep(Duration::from_secs(600));
                }
                let _ = stream.write_all(rest);
            });
        }
    });
    (address, asked)
}

#[test]
fn killed_in_the_middle_it_goes_on() {
    let machine = Machine::new();
    let (address, asked) = hesitant(&machine.path("mirror"));
    let args = ["setup", "--from", &address];
    let mut first = free(|| machine.command(&args).stderr(Stdio::null()).spawn());
    let part = machine.home().join("wheels/torch-2.11.0.whl");
    let half = machine.wheels()[0].1.len() / 2;
    // Until the half that came is written.
    while fs::metadata(&part).map_or(0, |file| file.len()) < half as u64 {
        assert!(first.try_wait().expect("a process").is_none(), "it ended");
        thread::sleep(Duration::from_millis(20));
    }
    first.kill().and_then(|()| first.wait()).expect("killed");
    assert!(machine.has_nothing() && machine.wrong(&["status"]).contains("outgrow setup"));
    // One that was killed while it unpacked left this.
    fs::create_dir_all(machine.home().join(".outgrow-left/torch/lib")).expect("a folder");
    machine.ok(&args);
    assert_eq!(asked.lock().expect("a log")[..2], [None, Some(half)]);
    assert!(
        !machine.home().join("wheels").exists() && !machine.home().join(".outgrow-left").exists()
    );
    assert!(machine.ok(&["status"]).starts_with("started status"));
}

#[test]
fn a_torch_that_is_there() {
    let machine = Machine::new();
    let right = machine.torch("site/torch", Some(("version.py", "__version__ = '2.11.0+cpu'\n")));
    machine.ok(&["setup", "--torch", &right]);
    let link = machine.home().join("libtorch");
    assert_eq!(fs::read_link(&link).expect("a link"), fs::canonicalize(&right).expect("a path"));
    // The folder that holds it will do, and libtorch's zip.
    machine.ok(&["setup", "--torch", "site"]);
    let zip = machine.torch("libtorch", Some(("build-version", "2.11.0+cu130\n")));
    machine.ok(&["setup", "--torch", &zip]);
    assert_eq!(fs::read_link(&link).expect("a link"), fs::canonicalize(&zip).expect("a path"));
    for (name, version, words) in [
        (
            "old",
            Some(("version.py", "__version__ = '2.10.1'\n")),
            "is torch 2.10.1, but this outgrow works with 2.11.0",
        ),
        ("unnamed", None, "does not say which version"),
        ("broken", Some(("build-version", "2.11.0")), "does not start with"),
    ] {
        let folder = machine.torch(name, version);
        let wrong = machine.wrong(&["setup", "--torch", &folder]);
        assert!(wrong.contains(words), "{name}: {wrong}");
    }
    assert!(machine.wrong(&["setup", "--torch", "home"]).contains("holds no lib/libtorch_cpu.so"));
    // What was right before is still linked.
    assert_eq!(fs::read_link(&link).expect("a link"), fs::canonicalize(&zip).expect("a path"));
    // Once it is gone, that is said.
    fs::remove_dir_all(&zip).expect("removed");
    assert!(machine.wrong(&["status"]).contains("outgrow setup"));
}

#[test]
fn the_torch_of_python() {
    let machine = Machine::new();
    let old = machine.torch("old", Some(("version.py", "__version__ = '2.9.0'\n")));
    machine.script("path/python3", &format!("#!/bin/sh\necho '{old}'\n"));
    let mut setup = free(|| machine.command(&["setup"]).stderr(Stdio::piped()).spawn());
    let told = BufReader::new(setup.stderr.take().expect("a pipe")).lines().next();
    setup.kill().and_then(|()| setup.wait()).expect("killed");
    let told = told.expect("a line").expect("text");
    assert!(told.contains("not using the torch of python3") && told.contains("2.9.0"), "{told}");
    let right = machine.torch("new", Some(("version.py", "__version__ = '2.11.0'\n")));
    machine.script("path/python3", &format!("#!/bin/sh\necho '{right}'\n"));
    assert!(machine.ok(&["setup"]).contains("new"));
}

#[test]
fn a_user_of_somebody_elses_archive() {
    let machine = Machine::new();
    let torch = machine.torch("torch", Some(("build-version", "2.11.0")));
    let own = machine.path("home/.local/share/outgrow");
    fs::create_dir_all(&own).expect("a folder");
    std::os::unix::fs::symlink(&torch, own.join("libtorch")).expect("linked");
    let lib = own.join("libtorch/lib").display().to_string();
    assert_eq!(machine.ok(&["x"]), format!("started x path={lib}\n"));
    let with = |paths: &str| {
        said(free(|| machine.command(&["x"]).env("LD_LIBRARY_PATH", paths).output())).1
    };
    assert_eq!(with("/other"), format!("started x path={lib}:/other\n"));
    // Who names a libtorch gets that one.
    let named = format!("{torch}/lib");
    assert_eq!(with(&named), format!("started x path={named}\n"));
}

#[test]
fn an_archive_that_was_taken_apart() {
    let machine = Machine::new();
    fs::remove_file(machine.home().join("outgrow")).expect("removed");
    let wrong = machine.wrong(&["status"]);
    assert!(wrong.contains("`bin` and `lib` of the archive belong into one folder"), "{wrong}");
}

/// Starts a program that was just written. A process that another test starts at that moment holds
/// it open for writing until it has begun, and the system refuses to run it.
fn free<T>(start: impl Fn() -> io::Result<T>) -> T {
    for _ in 0..200 {
        match start() {
            Err(error) if error.kind() == io::ErrorKind::ExecutableFileBusy => {
                thread::sleep(Duration::from_millis(20));
            }
            started => return started.expect("it runs"),
        }
    }
    panic!("the program is held open for writing");
}
