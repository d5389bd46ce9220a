//! The page of `outgrow serve`: over HTTP, and in a real browser where there is one.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    process::{Child, Command, Stdio},
};

use serde_json::Value;

use crate::sandbox::Sandbox;

/// A server of a test's own; it goes with it.
struct Page {
    server: Child,
    address: String,
}

impl Drop for Page {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

impl Page {
    fn of(sandbox: &Sandbox) -> Self {
        Self::with(sandbox, &[])
    }

    fn with(sandbox: &Sandbox, options: &[&str]) -> Self {
        let mut server = sandbox
            .command(&[&["serve", "--port", "0"], options].concat())
            .stdout(Stdio::piped())
            .spawn()
            .expect("it runs");
        let mut line = String::new();
        BufReader::new(server.stdout.take().expect("a pipe")).read_line(&mut line).expect("a line");
        let address = line
            .split_once("http://")
            .and_then(|(_, rest)| rest.split_once('/'))
            .expect("an address")
            .0;
        Self { server, address: address.to_owned() }
    }

    /// Status line and headers, and the body.
    fn get(&self, path: &str, host: &str) -> (String, String) {
        let mut stream = TcpStream::connect(&self.address).expect("it listens");
        write!(stream, "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")
            .expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
        (head.to_owned(), body.to_owned())
    }

    fn json(&self, path: &str) -> Value {
        let (head, body) = self.get(path, &self.address);
        assert!(head.starts_with("HTTP/1.1 200"), "{path}: {head}\n{body}");
        serde_json::from_str(&body).expect("JSON")
    }
}

#[test]
fn a_page_of_this_machine_alone() {
    let sandbox = Sandbox::new();
    sandbox.ok(&["run", "sweep.toml", "-j", "2"]);
    let page = Page::of(&sandbox);
    assert!(page.address.starts_with("127.0.0.1:"));
    let (head, body) = page.get("/", &page.address);
    assert!(
        head.contains("content-security-policy: default-src 'self'") && body.contains("/page.js"),
        "{head}"
    );
    // Nothing on it comes from elsewhere.
    for file in [
        "/",
        "/page.js",
        "/state.js",
        "/words.js",
        "/elements.js",
        "/chart.js",
        "/curves.js",
        "/tables.js",
        "/timeline.js",
        "/style.css",
        "/uPlot.css",
    ] {
        let text = page.get(file, &page.address).1;
        assert!(
            !text.contains("//cdn") && !text.contains("https://") && !text.is_empty(),
            "{file}"
        );
    }
    // A page of somebody else's that leads here by a name of its own gets nothing.
    assert!(page.get("/api/sweeps", "evil.example").0.starts_with("HTTP/1.1 403"));
    assert!(
        page.get("/api/trials?sweep=x'%20OR%201=1--", &page.address).0.starts_with("HTTP/1.1 400")
    );
    let sweeps = page.json("/api/sweeps");
    let id = sweeps[0]["id"].as_str().expect("an identity");
    assert_eq!(
        sweeps[0]["trials"]["complete"].as_u64(),
        Some(sandbox.number("SELECT count(*) FROM finals"))
    );
    let trials = page.json(&format!("/api/trials?sweep={id}"));
    assert_eq!(
        trials["rows"].as_array().map(|rows| rows.len() as u64),
        Some(sandbox.number("SELECT count(*) FROM finals"))
    );
    let means = page.json(&format!("/api/means?sweep={id}"));
    let sql = "SELECT count(*) FROM (SELECT DISTINCT strategy, tokens FROM curves)";
    assert_eq!(means["rows"].as_array().map(|rows| rows.len() as u64), Some(sandbox.number(sql)));
    let grown = sandbox.json(&[
        "query",
        "SELECT trial, count(*) AS n FROM growth GROUP BY trial",
        "--format",
        "json",
    ]);
    let trial = grown[0]["trial"].as_str().expect("a trial");
    let one = page.json(&format!("/api/trial?sweep={id}&trial={trial}"));
    assert_eq!(
        one["growth"]["rows"].as_array().map(Vec::len),
        grown[0]["n"].as_u64().map(|n| n as usize)
    );
    assert!(one["trial"]["plan"]["stages"].is_array() && one["curves"]["rows"][0].is_array());
    is_a_timeline(&one);
}

/// Its phases follow each other, have all tokens and compute, and name every layer.
fn is_a_timeline(page: &Value) {
    let phases = page["phases"].as_array().expect("phases");
    let stages = page["trial"]["plan"]["stages"].as_array().expect("stages");
    assert_eq!(phases.len(), stages.len() + 1);
    for (before, after) in phases.iter().zip(&phases[1..]) {
        assert_eq!(before["until"], after["from"]);
        assert!(before["parameters"].as_u64() < after["parameters"].as_u64());
        assert!(!after["growths"].as_array().expect("growths").is_empty(), "{after}");
        assert!(!after["changes"].as_array().expect("changes").is_empty(), "{after}");
    }
    for share in ["tokens_share", "flops_share"] {
        let all: f64 = phases.iter().filter_map(|phase| phase[share].as_f64()).sum();
        assert!((all - 1.0).abs() < 1e-9, "{share}: {all}");
    }
    let layers = |phase: &Value| phase["layers"].as_array().expect("layers").clone();
    for (before, after) in phases.iter().zip(&phases[1..]) {
        let old = layers(after).iter().filter(|is_new| **is_new == Value::Bool(false)).count();
        assert_eq!(old, layers(before).len(), "{after}");
    }
}

#[test]
fn arms_are_those_of_the_report() {
    let sandbox = Sandbox::new();
    let sweep = crate::sandbox::SWEEP
        .replace("25_600", "6_400")
        .replace("[controls]", "[grid]\ntraining.learning_rate = [0.001, 0.01]\n[controls]");
    sandbox.write("sweep.toml", &sweep);
    sandbox.ok(&["run", "sweep.toml", "-j", "2"]);
    let page = Page::of(&sandbox);
    let id = page.json("/api/sweeps")[0]["id"].as_str().expect("an identity").to_owned();
    let found = page.json(&format!("/api/arms?sweep={id}"));
    let arms = found["arms"].as_array().expect("arms");
    let tuned = sandbox.json(&["query", "SELECT * FROM tuned", "--format", "json"]);
    let tuned = tuned.as_array().expect("rows");
    assert!(arms.len() == tuned.len() && arms.len() > 1, "{found}");
    for row in tuned {
        let arm = arms.iter().find(|arm| arm["strategy"] == row["strategy"]).expect("an arm");
        assert_eq!(arm["learning_rate"], row["learning_rate"]);
        let mean = |value: &Value| value.as_f64().expect("a number");
        assert!((mean(&arm["final_loss"]["mean"]) - mean(&row["mean_val_loss"])).abs() < 1e-9);
    }
    // The control is first, and black, as in every figure.
    assert_eq!((&arms[0]["strategy"], &arms[0]["color"]), (&found["control"], &"#000000".into()));
    let colors: std::collections::BTreeSet<&str> =
        arms.iter().filter_map(|arm| arm["color"].as_str()).collect();
    assert_eq!(colors.len(), arms.len(), "{found}");
    sandbox.ok(&["report", "small", "-o", "report"]);
    let svg = std::fs::read_to_string(sandbox.path("report/figures/loss_vs_flops-single.svg"));
    let svg = svg.expect("a figure");
    for color in colors {
        let [red, green, blue] = [1, 3, 5].map(|i| u8::from_str_radix(&color[i..i + 2], 16));
        let rgb =
            format!("rgb({},{},{})", red.expect("hex"), green.expect("hex"), blue.expect("hex"));
        assert!(svg.contains(color) || svg.replace(", ", ",").contains(&rgb), "{color}");
    }
    let trials = page.json(&format!("/api/trials?sweep={id}"));
    assert_eq!(trials["columns"][9], "learning_rate");
    assert!(found["disk_bytes"].as_u64() > Some(0), "{found}");
    assert!(page.get("/api/arms?sweep=x'", &page.address).0.starts_with("HTTP/1.1 400"));
}

#[test]
fn hosts_are_named_one_by_one() {
    let sandbox = Sandbox::new();
    sandbox.ok(&["plan", "sweep.toml"]);
    sandbox.write("sweep.toml", &crate::sandbox::SWEEP.replace("25_600", "2_560"));
    sandbox.ok(&["run", "sweep.toml"]);
    let page =
        Page::with(&sandbox, &["--allow-host", "x.app.github.dev", "--allow-host=Lab.example"]);
    let is_let_in = |host: &str| page.get("/api/sweeps", host).0.starts_with("HTTP/1.1 200");
    for host in [
        "127.0.0.1",
        "localhost:1",
        "[::1]:80",
        "x.app.github.dev",
        "X.App.GitHub.dev:443",
        "lab.example",
    ] {
        assert!(is_let_in(host), "{host}");
    }
    for host in [
        "",
        "app.github.dev",
        "y.app.github.dev",
        "x.app.github.dev.evil.example",
        "evil.example",
        "lab.example@evil.example",
        "lab.example:80:evil",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "evil.example\r\nHost: localhost",
        "localhost\r\nHost: evil.example",
    ] {
        assert!(!is_let_in(host), "{host:?}");
    }
    assert!(page.get("http://evil.example/api/sweeps", "localhost").0.starts_with("HTTP/1.1 403"));
    for wrong in ["*", "*.github.dev", "https://x.dev", "x.dev:80", "x.dev/a", "", "a b"] {
        let (code, errors) = sandbox.wrong(&["serve", "--allow-host", wrong]);
        assert!(code == 2 && errors.contains("--allow-host"), "{wrong:?}: {errors}");
    }
}

/// A sweep whose trials are of different lengths: equal in compute, and from plans that differ.
fn of_different_lengths() -> Sandbox {
    let sandbox = Sandbox::new();
    let sweep = crate::sandbox::SWEEP
        .replace("match_budget = \"tokens\"", "match_budget = \"flops\"")
        .replace("plans = 1", "plans = 3");
    sandbox.write("sweep.toml", &sweep.replace("25_600", "12_800"));
    sandbox.ok(&["run", "sweep.toml", "-j", "2"]);
    sandbox
}

#[test]
fn a_mean_ends_where_the_first_of_its_trials_does() {
    let sandbox = of_different_lengths();
    let page = Page::of(&sandbox);
    let id = page.json("/api/sweeps")[0]["id"].as_str().expect("an identity").to_owned();
    let means = page.json(&format!("/api/means?sweep={id}"));
    let rows = |of: &Value| of["rows"].as_array().expect("rows").clone();
    let sql = "SELECT max(tokens) AS tokens FROM curves WHERE strategy = 'random' GROUP BY trial \
               ORDER BY 1";
    let ends: Vec<u64> = sandbox
        .json(&["query", sql, "--format", "json"])
        .as_array()
        .expect("rows")
        .iter()
        .filter_map(|row| row["tokens"].as_u64())
        .collect();
    assert!(ends.len() == 6 && ends[0] < ends[5], "{ends:?}");
    let own: Vec<Value> = rows(&means).into_iter().filter(|row| row[0] == "random").collect();
    assert!(own.iter().all(|row| row[3].as_u64() == Some(6)), "each mean is over all six: {own:?}");
    let last = own.iter().filter_map(|row| row[2].as_u64()).max().expect("a mean");
    assert!(last <= ends[0] && ends[0] - last < 640, "{last} of {ends:?}");
    // From there on each goes on alone, to its own end.
    let longer: Vec<Value> =
        rows(&means["longer"]).into_iter().filter(|row| row[0] == "random").collect();
    let mut last_of = std::collections::BTreeMap::new();
    for row in &longer {
        assert!(row[3].as_u64() >= Some(last), "{row}");
        last_of.insert(row[2].as_u64(), row[3].as_u64().expect("tokens"));
    }
    let mut found: Vec<u64> = last_of.into_values().collect();
    found.sort_unstable();
    assert_eq!(found, ends.into_iter().filter(|end| *end > last).collect::<Vec<_>>());
}

#[test]
fn a_browser_draws_it() {
    let Some(browser) =
        ["chromium", "chromium-browser", "google-chrome"].into_iter().find(|name| {
            Command::new(name)
                .arg("--version")
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .status()
                .is_ok_and(|s| s.success())
        })
    else {
        outgrow_testkit::skip("there is no chromium on this machine");
        return;
    };
    let sandbox = Sandbox::new();
    sandbox.ok(&["run", "sweep.toml", "-j", "2"]);
    let page = Page::of(&sandbox);
    let id = page.json("/api/sweeps")[0]["id"].as_str().expect("an identity").to_owned();
    let grown = sandbox.json(&["query", "SELECT trial FROM growth", "--format", "json"]);
    let trial = grown[0]["trial"].as_str().expect("a trial").to_owned();
    let dom = |hash: &str| {
        let profile = sandbox.path("profile");
        let output = Command::new(browser)
            .args([
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--virtual-time-budget=8000",
                "--dump-dom",
            ])
            .arg(format!("--user-data-dir={}", profile.display()))
            .arg(format!("http://{}/#{hash}", page.address))
            .output()
            .expect("it runs");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let all = dom("");
    for words in [
        "data-ready=\"1\"",
        "<canvas",
        "Validation loss, mean over trials",
        "complete",
        "from_scratch",
        "random",
    ] {
        assert!(all.contains(words), "{words} is not on the page:\n{all}");
    }
    assert_eq!(
        all.matches("<tr class=\"trial\">").count() as u64,
        sandbox.number("SELECT count(*) FROM finals")
    );
    let one = dom(&format!("{id}/train_flops/{trial}"));
    for words in [
        "training FLOPs",
        "growth events so far",
        "of the compute",
        "logits moved by",
        "aria-current=\"true\"",
        "<canvas",
    ] {
        assert!(one.contains(words), "{words} is not on the page of a trial:\n{one}");
    }
    assert!(!one.contains("to come") && !all.contains("no answer"), "{one}");
    let other = sandbox.json(&[
        "query",
        "SELECT trial FROM finals WHERE strategy = 'from_scratch'",
        "--format",
        "json",
    ]);
    let other = other[0]["trial"].as_str().expect("a trial");
    let both = dom(&format!("{id}/tokens/?pins={trial},{other}&x=log&y=end"));
    assert_eq!(both.matches(">pinned<").count(), 2, "{both}");
    assert!(both.contains("trials beside each other") && both.contains("the second's"), "{both}");
    let alone = dom(&format!("{id}/tokens/?only=random&y=log"));
    assert!(alone.contains("trials of random;") && !alone.contains("no answer"), "{alone}");
}
