//! Work that may take long says what it is.

use std::{
    sync::mpsc::{RecvTimeoutError, channel},
    thread,
    time::Duration,
};

/// Does some work; if it takes longer than a second, says on standard error what is being done.
pub fn patiently<T>(what: &str, work: impl FnOnce() -> T) -> T {
    let (done, waiting) = channel::<()>();
    thread::scope(|scope| {
        scope.spawn(move || {
            if waiting.recv_timeout(Duration::from_secs(1)) == Err(RecvTimeoutError::Timeout) {
                eprintln!("{what} …");
            }
        });
        let result = work();
        drop(done);
        result
    })
}
