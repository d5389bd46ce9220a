//! Printing: tables for people, JSON for programs.

use std::{
    io::{self, IsTerminal, Write},
    os::fd::AsFd,
    thread,
    time::Duration,
};

pub use outgrow::readable::{count, duration, flops, shown};
use outgrow::{Error, readable};
use outgrow_data::publish::discard_unfinished;

/// Writes a text to standard output; a closed pipe is no error of ours.
pub fn print(text: &str) -> Result<(), Error> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    if !text.ends_with('\n') {
        out.write_all(b"\n")?;
    }
    Ok(out.flush()?)
}

/// Writes a value as JSON.
pub fn print_json(value: &impl serde::Serialize) -> Result<(), Error> {
    print(&serde_json::to_string_pretty(value).expect("plain data"))
}

/// The exit code of an error; `outgrow --help` lists them.
pub fn exit_code(error: &Error) -> u8 {
    match error {
        Error::Closed => 0,
        Error::Outcome(_) => 1,
        Error::Input(_) => 2,
        Error::Environment(_) => 3,
        Error::Interrupted(_) => 130,
    }
}

/// Comes when the user interrupts this process or, if it `prints`, when nobody reads its output any
/// more: what it waits for may take for ever. Should it be held up all the same, the process ends a
/// second later.
pub fn told_to_end(prints: bool) -> Result<impl Future<Output = Error>, Error> {
    let signals = signal_hook::iterator::Signals::new([
        signal_hook::consts::SIGINT,
        signal_hook::consts::SIGTERM,
    ]);
    let mut signals = signals.map_err(Error::environment("cannot listen to signals"))?;
    let (to, mut told) = tokio::sync::mpsc::channel(2);
    let reader = to.clone();
    thread::spawn(move || {
        signals.forever().next().map(|_| end(&to, Error::Interrupted("stopped".into())))
    });
    if prints {
        thread::spawn(move || is_closed(&io::stdout()).then(|| end(&reader, Error::Closed)));
    }
    Ok(async move {
        match told.recv().await {
            Some(failure) => failure,
            None => std::future::pending().await,
        }
    })
}

fn end(to: &tokio::sync::mpsc::Sender<Error>, failure: Error) {
    let code = exit_code(&failure);
    let _ = to.try_send(failure);
    thread::sleep(Duration::from_secs(1));
    discard_unfinished();
    signal_hook::low_level::exit(code.into());
}

/// Waits until nobody reads from a pipe any more; false if it is none.
fn is_closed(out: &impl AsFd) -> bool {
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
    let mut watched = [PollFd::new(out.as_fd(), PollFlags::empty())];
    let told = poll(&mut watched, PollTimeout::NONE).is_ok_and(|n| n > 0);
    told && watched[0]
        .revents()
        .is_some_and(|told| told.intersects(PollFlags::POLLERR | PollFlags::POLLHUP))
}

/// A table for people, as narrow as the terminal if it goes there.
pub fn table(header: &[&str], rows: Vec<Vec<String>>, right: &[usize]) -> String {
    readable::table(header, &rows, right, io::stdout().is_terminal())
}
