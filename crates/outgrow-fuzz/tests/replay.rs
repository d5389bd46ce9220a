//! Every kept input is read or refused within the bounds, and those that the project's own writers
//! make are read.

use std::{
    fs,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    sync::mpsc::{Sender, channel},
    thread,
    time::Duration,
};

use outgrow_fuzz::{TARGETS, Target};

/// An input that nothing is heard of for so long hangs.
const HANGS: Duration = Duration::from_secs(60);

#[test]
fn kept_inputs_are_read_or_refused() {
    let mut faults = vec![];
    for target in &TARGETS {
        let (tell, hear) = channel();
        let replay = thread::spawn(move || replay(target, &tell));
        let mut last = String::new();
        loop {
            match hear.recv_timeout(HANGS) {
                Ok(name) => last = name,
                Err(std::sync::mpsc::RecvTimeoutError::Timeout) => {
                    panic!("{}: {last} hangs", target.name)
                }
                Err(_) => break,
            }
        }
        faults.extend(replay.join().expect("each input is guarded"));
    }
    assert!(faults.is_empty(), "these inputs panic or take too much: {faults:#?}");
}

/// The inputs that fail.
fn replay(target: &'static Target, tell: &Sender<String>) -> Vec<String> {
    target.prepare();
    let mut faults = vec![];
    let mut check = |name: String, input: &[u8]| {
        tell.send(name.clone()).expect("the test listens");
        let read = catch_unwind(AssertUnwindSafe(|| target.check(input)));
        if read.is_err() {
            faults.push(format!("{}: {name}", target.name));
        }
        read.unwrap_or(false)
    };
    let mut seeds = (target.seeds)().into_iter().enumerate();
    let any_read = seeds
        .by_ref()
        .fold(false, |any, (number, seed)| check(format!("seed {number}"), &seed) | any);
    for (name, input) in kept(&target.corpus()) {
        check(name, &input);
    }
    let longest = (target.seeds)().iter().map(Vec::len).max();
    if longest > Some(target.longest) {
        faults.push(format!(
            "{}: its longest seed has {longest:?} bytes, more than {}",
            target.name, target.longest
        ));
    }
    if !any_read {
        faults.push(format!(
            "{}: none of its seeds is read, so nothing behind the first refusal is tried",
            target.name
        ));
    }
    faults
}

fn kept(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let entries =
        fs::read_dir(folder).into_iter().flatten().map(|entry| entry.expect("a file").path());
    let mut paths: Vec<_> = entries.collect();
    paths.sort();
    paths
        .into_iter()
        .map(|path| (path.display().to_string(), fs::read(&path).expect("read")))
        .collect()
}

#[test]
fn every_folder_of_the_corpus_is_of_a_target() {
    let corpus = TARGETS[0].corpus().parent().expect("it lies in the corpus").to_owned();
    for entry in fs::read_dir(corpus).into_iter().flatten() {
        let name = entry.expect("a folder").file_name();
        assert!(
            Target::of(&name.to_string_lossy()).is_some(),
            "there is no target {}",
            name.display()
        );
    }
}
