//! `outgrow data fetch`, from a server of the test's own that breaks off, lies, and stands behind a
//! proxy.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    net::TcpListener,
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use crate::sandbox::Sandbox;

/// What a server does with each request.
#[derive(Clone, Copy)]
struct Manners {
    /// Breaks off after so many bytes of each answer, as often as this.
    breaks: usize,
    /// Knows parts of a file.
    ranges: bool,
}

const AFTER: usize = 300_000;

/// A server of one file; gives its address and what it was asked for.
fn serve(file: Vec<u8>, manners: Manners) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    let asked = Arc::new(Mutex::new(vec![]));
    let (log, broken) = (asked.clone(), AtomicUsize::new(0));
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("a connection");
            let mut lines = BufReader::new(stream.try_clone().expect("a reader")).lines();
            let mut request = || -> Vec<String> {
                lines.by_ref().map_while(Result::ok).take_while(|line| !line.is_empty()).collect()
            };
            let mut head = request();
            // A proxy that is told to connect to somebody else: this one plays them, too.
            if head[0].starts_with("CONNECT") {
                log.lock().expect("a log").push(head[0].clone());
                let _ = write!(stream, "HTTP/1.1 200 Connection established\r\n\r\n");
                head = request();
            }
            let range = head.iter().find_map(|line| {
                line.to_lowercase().strip_prefix("range: bytes=").map(str::to_owned)
            });
            let from = range
                .filter(|_| manners.ranges)
                .and_then(|range| range.trim_end_matches('-').parse().ok());
            log.lock().expect("a log").push(format!("{} from {}", head[0], from.unwrap_or(0)));
            let rest = &file[from.unwrap_or(0)..];
            let status = if from.is_some() { "206 Partial Content" } else { "200 OK" };
            let _ = write!(
                stream,
                "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                rest.len()
            );
            let breaks = broken.fetch_add(1, Ordering::SeqCst) < manners.breaks;
            let _ = stream.write_all(if breaks { &rest[..AFTER.min(rest.len())] } else { rest });
        }
    });
    (format!("http://{address}"), asked)
}

fn shakespeare() -> Option<Vec<u8>> {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/tinyshakespeare.txt");
    let text = fs::read(path).ok();
    if text.is_none() {
        outgrow_testkit::skip("../shared/data/tinyshakespeare.txt is not on this machine");
    }
    text
}

/// `outgrow data fetch tinyshakespeare` with a cache of its own: exit code, what it prints, what it
/// says.
fn fetch(sandbox: &Sandbox, mirror: &str, proxy: Option<&str>) -> (i32, String, String) {
    let mut command = sandbox.command(&["data", "fetch", "tinyshakespeare", "--mirror", mirror]);
    for name in [
        "http_proxy",
        "HTTP_PROXY",
        "https_proxy",
        "HTTPS_PROXY",
        "ALL_PROXY",
        "all_proxy",
        "NO_PROXY",
        "no_proxy",
    ] {
        command.env_remove(name);
    }
    if let Some(proxy) = proxy {
        command.env("HTTP_PROXY", proxy).env("ALL_PROXY", proxy);
    }
    let output = command.env("XDG_CACHE_HOME", sandbox.path("cache")).output().expect("it runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().unwrap_or(-1), text(&output.stdout), text(&output.stderr))
}

#[test]
fn a_broken_download_goes_on_where_it_stopped() {
    let Some(text) = shakespeare() else { return };
    let sandbox = Sandbox::new();
    let (mirror, asked) = serve(text.clone(), Manners { breaks: 2, ranges: true });
    let (code, said, errors) = fetch(&sandbox, &mirror, None);
    assert_eq!(code, 0, "{errors}");
    let path = sandbox.path("cache/outgrow/tinyshakespeare/input.txt");
    assert!(
        said.contains(path.to_str().expect("text")) && fs::read(&path).expect("the text") == text,
        "{said}"
    );
    let expected = [0, AFTER, 2 * AFTER].map(|from| format!("GET /input.txt HTTP/1.1 from {from}"));
    assert_eq!(*asked.lock().expect("a log"), expected);
    // The second time nothing is asked for, and a sweep can be trained on it.
    assert_eq!(fetch(&sandbox, &mirror, None).0, 0);
    assert_eq!(asked.lock().expect("a log").len(), 3);
}

#[test]
fn a_server_without_parts_gives_all_again() {
    let Some(text) = shakespeare() else { return };
    let sandbox = Sandbox::new();
    let (mirror, _) = serve(text.clone(), Manners { breaks: 1, ranges: false });
    assert_eq!(fetch(&sandbox, &mirror, None).0, 0);
    assert_eq!(
        fs::read(sandbox.path("cache/outgrow/tinyshakespeare/input.txt")).expect("the text"),
        text
    );
}

#[test]
fn what_breaks_for_good_is_kept_for_the_next_run() {
    let Some(text) = shakespeare() else { return };
    let sandbox = Sandbox::new();
    let (mirror, _) = serve(text[..AFTER].to_vec(), Manners { breaks: 0, ranges: false });
    let (code, _, errors) = fetch(&sandbox, &mirror, None);
    assert!(code == 3 && errors.contains("300000 of 1115394 bytes are here"), "{errors}");
    let (mirror, asked) = serve(text, Manners { breaks: 0, ranges: true });
    assert_eq!(fetch(&sandbox, &mirror, None).0, 0);
    assert_eq!(*asked.lock().expect("a log"), [format!("GET /input.txt HTTP/1.1 from {AFTER}")]);
}

#[test]
fn something_else_is_not_kept() {
    let Some(mut text) = shakespeare() else { return };
    text[1000] ^= 1;
    let sandbox = Sandbox::new();
    let (mirror, _) = serve(text, Manners { breaks: 0, ranges: true });
    let (code, _, errors) = fetch(&sandbox, &mirror, None);
    assert!(
        code == 3 && errors.contains("its SHA-256 is") && errors.contains("which is not used"),
        "{errors}"
    );
    let left: Vec<_> =
        fs::read_dir(sandbox.path("cache/outgrow/tinyshakespeare")).expect("a folder").collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn through_a_proxy() {
    let Some(text) = shakespeare() else { return };
    let sandbox = Sandbox::new();
    let (proxy, asked) = serve(text, Manners { breaks: 0, ranges: true });
    let (code, _, errors) = fetch(&sandbox, "http://mirror.example/corpora", Some(&proxy));
    assert_eq!(code, 0, "{errors}");
    // A proxy is asked for the whole address, or told to connect to it.
    assert!(asked.lock().expect("a log")[0].contains("mirror.example"), "{asked:?}");
}

#[test]
fn corpora_are_listed_and_unknown_ones_named() {
    let sandbox = Sandbox::new();
    let said = sandbox.ok(&["data", "list"]);
    for name in
        ["tinyshakespeare", "enwik8", "text8", "wikitext-103", "tinystories", "fineweb-edu-sample"]
    {
        assert!(said.contains(name), "{said}");
    }
    let (code, error) = sandbox.wrong(&["data", "fetch", "enwik9"]);
    assert!(code == 2 && error.contains("enwik8"), "{error}");
}
