//! How a program of the command line is stopped: by a signal, or by whoever reads its output.

use std::{
    io::{self, Write},
    os::fd::AsFd,
    path::Path,
    thread,
    time::Duration,
};

use outgrow_data::publish::discard_unfinished;
use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM},
    iterator::Signals,
};

use crate::error::Error;

/// Comes when the user interrupts this process or, if it `prints`, when nobody reads its output any
/// more: what it waits for may take for ever. Should it be held up all the same, the process ends a
/// second later.
///
/// # Errors
/// If the system lets nobody listen to signals.
pub fn told_to_end(prints: bool) -> Result<impl Future<Output = Error>, Error> {
    let signals = Signals::new([SIGINT, SIGTERM]);
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
    let code = failure.exit_code();
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

/// From now on a signal to stop ends this process at once, and removes what it has written aside of
/// `to` before. What stands in its place is whole.
///
/// # Errors
/// If the system lets nobody listen to signals.
pub fn stop_leaving_nothing(to: &Path) -> Result<(), Error> {
    let aside = outgrow_train::asides(to);
    let signals = Signals::new([SIGINT, SIGTERM, SIGHUP]);
    let mut signals = signals.map_err(Error::environment("cannot listen for signals"))?;
    std::thread::spawn(move || {
        if signals.forever().next().is_none() {
            return;
        }
        // The writer still runs: what it adds meanwhile goes in the next round.
        for _ in 0..100 {
            aside.iter().for_each(|folder| drop(std::fs::remove_dir_all(folder)));
            if !aside.iter().any(|folder| folder.exists()) {
                break;
            }
        }
        // Where nobody can hear it, it ends all the same.
        let _ = writeln!(io::stderr(), "error: stopped");
        signal_hook::low_level::exit(130);
    });
    Ok(())
}
