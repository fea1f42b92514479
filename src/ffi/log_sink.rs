//! Where the library's events go: to standard error, to a callback, or nowhere.

use crate::sys;
use arc_swap::ArcSwapOption;
use std::fmt::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use tracing::{Event, Level, Metadata, Subscriber, field, span};

/// Takes the lines of the given level and graver.
pub(super) struct Sink {
    pub(super) level: Level,
    pub(super) write: Box<WriteLine>,
}

pub(super) type WriteLine = dyn Fn(Level, &str) + Send + Sync;

/// It stands behind an atomic pointer: there is no lock that a fork could leave taken.
static SINK: ArcSwapOption<Sink> = ArcSwapOption::const_empty();

/// Sends the events elsewhere from now on; `None`: nowhere.
pub(super) fn set(sink: Option<Sink>) {
    SINK.store(sink.map(Arc::new));
}

/// Makes this copy of the library ready to log and its panics silent; done once, at its first call. Nobody waits for
/// the thread that does it: the child of a fork in the middle would wait for ever.
pub(super) fn start() {
    static STARTED: AtomicBool = AtomicBool::new(false);
    if !STARTED.load(Relaxed) && !STARTED.swap(true, Relaxed) {
        set_up();
    }
}

#[cold]
fn set_up() {
    if let Some(level) = level_of_environment() {
        set(Some(Sink { level, write: Box::new(|_, line| sys::write_stderr(&format!("flagstore: {line}\n"))) }));
    }
    // A Rust host that links this crate and has its own subscriber keeps it.
    let _ = tracing::subscriber::set_global_default(ToSink);
    // The default hook prints, which can even kill the host by SIGPIPE. A panic is caught, logged and returned.
    std::panic::set_hook(Box::new(|_| ()));
}

fn level_of_environment() -> Option<Level> {
    // A stranger's environment must not decide what a privileged program prints.
    if sys::is_privileged() {
        return None;
    }
    match std::env::var("FLAGSTORE_LOG").as_deref() {
        Ok("error") => Some(Level::ERROR),
        Ok("warn") => Some(Level::WARN),
        Ok("info") => Some(Level::INFO),
        Ok("debug") => Some(Level::DEBUG),
        _ => None,
    }
}

struct ToSink;

impl Subscriber for ToSink {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_event() && SINK.load().as_ref().is_some_and(|sink| *metadata.level() <= sink.level)
    }

    fn register_callsite(&self, _: &'static Metadata<'static>) -> tracing::subscriber::Interest {
        // The level may change at any time, so nobody may remember an answer.
        tracing::subscriber::Interest::sometimes()
    }

    fn event(&self, event: &Event<'_>) {
        // A copy, so that the callback runs without anything of ours held.
        if let Some(sink) = SINK.load_full() {
            let mut message = Message(String::new());
            event.record(&mut message);
            (sink.write)(*event.metadata().level(), &escaped(&message.0));
        }
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }
    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

struct Message(String);

impl field::Visit for Message {
    fn record_debug(&mut self, field: &field::Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            let _ = write!(self.0, "{value:?}");
        }
    }
}

/// One line that moves no terminal and no reader: a path may contain anything.
fn escaped(message: &str) -> String {
    let mut line = String::with_capacity(message.len());
    for character in message.chars() {
        if character.is_control() || turns_lines(character) {
            line.extend(character.escape_default());
        } else {
            line.push(character);
        }
    }
    line
}

/// Line and paragraph separators, and what changes the direction of the text around it.
fn turns_lines(character: char) -> bool {
    matches!(character, '\u{61C}' | '\u{200E}' | '\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}
