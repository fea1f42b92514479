//! Log: errors and warnings as they happen. Nothing is printed unless a callback is set here or the environment
//! variable FLAGSTORE_LOG names a level (error, warn, info, debug), which sends the lines to standard error.

use super::guard::guard_infallible;
use crate::sys;
use arc_swap::ArcSwapOption;
use std::ffi::{CString, c_char, c_void};
use std::fmt::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use tracing::{Event, Level, Metadata, Subscriber, field, span};

/// A call failed by the system's doing or by a bug.
pub const FLAGSTORE_LOG_ERROR: i32 = 1;
/// A call failed by its caller's doing, or something is not as it should be.
pub const FLAGSTORE_LOG_WARN: i32 = 2;
/// Something worth knowing.
pub const FLAGSTORE_LOG_INFO: i32 = 3;
/// Details for finding bugs.
pub const FLAGSTORE_LOG_DEBUG: i32 = 4;

/// Takes one log message. `message` is valid during the call only. It may come from any thread that is inside a call
/// of the library, and may itself call the library; it must not throw.
#[allow(non_camel_case_types)]
pub type flagstore_log_fn =
    Option<unsafe extern "C-unwind" fn(userdata: *mut c_void, level: i32, message: *const c_char)>;

/// Where messages go. It stands behind an atomic pointer: no lock to be held across a fork.
static SINK: ArcSwapOption<Sink> = ArcSwapOption::const_empty();

struct Sink {
    target: Target,
    level: i32,
}

#[derive(Clone, Copy)]
enum Target {
    Stderr,
    Callback(unsafe extern "C-unwind" fn(*mut c_void, i32, *const c_char), *mut c_void),
}

// SAFETY: the userdata is only handed back to the callback, which by contract may be called from any thread.
unsafe impl Send for Sink {}
// SAFETY: as above.
unsafe impl Sync for Sink {}

/// Sends every message of `level` and graver to `callback`, instead of wherever they went before. A NULL callback
/// turns the log off. A call that is under way in another thread may still use the callback that was set before.
///
/// `level` is one of FLAGSTORE_LOG_ERROR to FLAGSTORE_LOG_DEBUG; 0 or less is off, more is as DEBUG. Each error is
/// logged once, before the call that failed returns.
#[unsafe(no_mangle)]
pub extern "C" fn flagstore_set_log(callback: flagstore_log_fn, userdata: *mut c_void, level: i32) {
    guard_infallible((), || {
        SINK.store(callback.map(|callback| Arc::new(Sink { target: Target::Callback(callback, userdata), level })));
        Ok(())
    })
}

/// Makes this copy of the library guard_infallible and ready to log; done once, at its first call. Nobody waits for the thread
/// that does it: the child of a fork in the middle would wait for ever.
#[inline(always)]
pub(super) fn start() {
    static STARTED: AtomicBool = AtomicBool::new(false);
    if !STARTED.load(Relaxed) && !STARTED.swap(true, Relaxed) {
        set_up();
    }
}

#[cold]
fn set_up() {
    let level = match std::env::var("FLAGSTORE_LOG").as_deref() {
        Ok("error") => FLAGSTORE_LOG_ERROR,
        Ok("warn") => FLAGSTORE_LOG_WARN,
        Ok("info") => FLAGSTORE_LOG_INFO,
        Ok("debug") => FLAGSTORE_LOG_DEBUG,
        _ => 0,
    };
    if level > 0 {
        SINK.store(Some(Arc::new(Sink { target: Target::Stderr, level })));
    }
    // A Rust host that links this crate and has its own subscriber keeps it.
    let _ = tracing::subscriber::set_global_default(ToSink);
    // The default hook prints, which can even kill the host by SIGPIPE. A panic is catch_panic, logged and returned.
    std::panic::set_hook(Box::new(|_| ()));
}

struct ToSink;

fn level_of(metadata: &Metadata<'_>) -> i32 {
    match *metadata.level() {
        Level::ERROR => FLAGSTORE_LOG_ERROR,
        Level::WARN => FLAGSTORE_LOG_WARN,
        Level::INFO => FLAGSTORE_LOG_INFO,
        _ => FLAGSTORE_LOG_DEBUG,
    }
}

impl Subscriber for ToSink {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_event() && SINK.load().as_ref().is_some_and(|sink| level_of(metadata) <= sink.level)
    }

    fn register_callsite(&self, _: &'static Metadata<'static>) -> tracing::subscriber::Interest {
        // The level may change at any time, so nobody may remember an answer.
        tracing::subscriber::Interest::sometimes()
    }

    fn event(&self, event: &Event<'_>) {
        // A copy, so that the callback runs without anything of ours held.
        let Some((target, level)) = SINK.load().as_ref().map(|sink| (sink.target, level_of(event.metadata()))) else {
            return;
        };
        let mut message = Message(String::new());
        event.record(&mut message);
        match target {
            Target::Stderr => sys::write_stderr(&format!("flagstore: {}\n", message.0)),
            Target::Callback(callback, userdata) => {
                let message = CString::new(message.0.replace('\0', "\\0")).unwrap_or_default();
                // SAFETY: the caller of flagstore_set_log promised a function that takes these.
                unsafe { callback(userdata, level, message.as_ptr()) };
            }
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
