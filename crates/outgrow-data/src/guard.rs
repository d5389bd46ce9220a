//! Libraries that panic on files that they can't read.

use std::{
    cell::Cell,
    panic::{self, AssertUnwindSafe},
    sync::Once,
};

thread_local! {
    /// Whether a panic of this thread is an answer and no accident.
    static GUARDED: Cell<bool> = const { Cell::new(false) };
}

/// Calls a library that panics on damaged files: a panic in it is an error like others, and not told on
/// the screen.
///
/// # Errors
/// With the panic's words, if it panics.
pub fn guarded<T>(call: impl FnOnce() -> T) -> Result<T, String> {
    static QUIET: Once = Once::new();
    QUIET.call_once(|| {
        let usual = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if !GUARDED.get() {
                usual(info);
            }
        }));
    });
    let before = GUARDED.replace(true);
    let answer = panic::catch_unwind(AssertUnwindSafe(call));
    GUARDED.set(before);
    answer.map_err(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()))
            .unwrap_or_default()
    })
}
