//! What a command is at, once it takes longer than a second.

use std::{
    cell::RefCell,
    sync::mpsc::{RecvTimeoutError, Sender, channel},
    thread::JoinHandle,
    time::Duration,
};

use crate::output::say;

/// How long nothing is said at first, and then again.
const PATIENCE: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(15)];

/// Says on standard error what is being done: a line for each phase that takes longer than a
/// second, and again every 15 seconds.
pub struct Phases {
    sender: Option<Sender<String>>,
    speaker: Option<JoinHandle<()>>,
}

impl Phases {
    /// Begins with a phase.
    pub fn new(first: String) -> Self {
        let (sender, receiver) = channel();
        let speak = move || {
            let (mut phase, mut patience) = (first, PATIENCE[0]);
            loop {
                match receiver.recv_timeout(patience) {
                    Ok(next) => (phase, patience) = (next, PATIENCE[0]),
                    Err(RecvTimeoutError::Timeout) => {
                        say(&format!("{phase} ..."));
                        patience = PATIENCE[1];
                    }
                    Err(RecvTimeoutError::Disconnected) => return,
                }
            }
        };
        Self { sender: Some(sender), speaker: Some(std::thread::spawn(speak)) }
    }

    /// The next phase begins.
    pub fn next(&self, phase: String) {
        // The speaker lives as long as this.
        let _ = self.sender.as_ref().map(|sender| sender.send(phase));
    }
}

/// Does something that says which phase it is in.
pub fn told<T>(work: impl FnOnce(&dyn Fn(String)) -> T) -> T {
    let phases = RefCell::new(None::<Phases>);
    work(&|phase| match &mut *phases.borrow_mut() {
        Some(phases) => phases.next(phase),
        none => *none = Some(Phases::new(phase)),
    })
}

impl Drop for Phases {
    fn drop(&mut self) {
        drop(self.sender.take());
        let _ = self.speaker.take().map(JoinHandle::join);
    }
}
