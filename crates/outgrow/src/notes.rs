//! What the library tells on its way, for programs that have no subscriber of their own.

use std::{
    fmt::{self, Write as _},
    io::{self, Write as _},
};

use tracing::{
    Event, Level, Metadata, Subscriber,
    field::{Field, Visit},
    span,
};

use crate::readable::shown;

/// From now on the events of the library are told on standard error, as `note: …` and `warning: …`.
///
/// # Panics
/// If this process has a subscriber of `tracing` already.
pub fn notes_to_stderr() {
    tracing::subscriber::set_global_default(Stderr).expect("nobody else has set one");
}

struct Stderr;

impl Subscriber for Stderr {
    /// Only our own crates' events: those of libraries are for their authors.
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_event()
            && metadata.target().starts_with("outgrow")
            && *metadata.level() <= Level::INFO
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut message = Message(String::new());
        event.record(&mut message);
        let text = shown(&message.0);
        let kind = match *event.metadata().level() {
            Level::INFO => "note",
            _ => "warning",
        };
        // Where nobody can hear it, what is done is done all the same.
        let _ = writeln!(io::stderr(), "{kind}: {text}");
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

struct Message(String);

impl Visit for Message {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            // Writing to a string can't fail.
            let _ = write!(self.0, "{value:?}");
        }
    }
}
