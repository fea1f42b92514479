//! The log
//!
//! Nothing is logged or printed unless somebody asks for it: the program with flagstore_set_log,
//! or its user with the environment variable FLAGSTORE_LOG, which names a level (error, warn,
//! info or debug) and sends lines to standard error. The variable is read once, at the first call
//! of the library, and does not count in a program that runs with rights its user lacks (setuid,
//! setgid).
//!
//! Each error is logged once, before the call that failed returns; what happens in a thread of
//! the library, where nobody gets an error, is logged there. A message is one line of UTF-8. It
//! names paths and keys, with control characters escaped, and never shows a stored value.

use super::log_sink::{self, Sink};
use super::panic::guard_infallible;
use std::ffi::{CString, c_char, c_void};
use tracing::Level;

/// The system's doing or a bug: FLAGSTORE_IO, FLAGSTORE_NOT_DURABLE, FLAGSTORE_INTERNAL.
pub const FLAGSTORE_LOG_ERROR: i32 = 1;
/// The caller's or somebody else's doing: all other errors; and what works less well than asked
/// for.
pub const FLAGSTORE_LOG_WARN: i32 = 2;
/// Something worth knowing.
pub const FLAGSTORE_LOG_INFO: i32 = 3;
/// Details for finding bugs.
pub const FLAGSTORE_LOG_DEBUG: i32 = 4;

/// Takes one message of a FLAGSTORE_LOG_* level. `message` is valid during the call only. The
/// call comes from a thread that is inside a call of the library, or from a thread of the
/// library, and may come from several at once. No lock is held: it may call the library. It must
/// not throw.
#[allow(non_camel_case_types)]
pub type flagstore_log_fn =
    Option<unsafe extern "C-unwind" fn(userdata: *mut c_void, level: i32, message: *const c_char)>;

/// Sends every message of `level` and graver to `callback`, instead of wherever they went before.
/// A NULL callback turns the log off. `level` is one of FLAGSTORE_LOG_*; 0 or less turns the log
/// off too, more than FLAGSTORE_LOG_DEBUG is as that. It returns nothing and cannot fail.
///
/// `userdata` is handed to the callback as it is. A call that is under way in another thread may
/// still use the callback and the userdata that were set before.
#[unsafe(no_mangle)]
pub extern "C" fn flagstore_set_log(callback: flagstore_log_fn, userdata: *mut c_void, level: i32) {
    guard_infallible((), || {
        log_sink::set(callback.zip(level_from(level)).map(|(callback, level)| {
            let callback = Callback { function: callback, userdata };
            Sink { level, write: Box::new(move |level, line| callback.call(level, line)) }
        }));
        Ok(())
    })
}

/// The function of a `flagstore_log_fn` that is there.
type LogFunction = unsafe extern "C-unwind" fn(*mut c_void, i32, *const c_char);

struct Callback {
    function: LogFunction,
    userdata: *mut c_void,
}

// SAFETY: the userdata is only handed back to the function, which by contract may be called from any thread.
unsafe impl Send for Callback {}
// SAFETY: as above.
unsafe impl Sync for Callback {}

impl Callback {
    fn call(&self, level: Level, line: &str) {
        let line = CString::new(line).unwrap_or_default();
        // SAFETY: the caller of flagstore_set_log promised a function that takes these.
        unsafe { (self.function)(self.userdata, number_of(level), line.as_ptr()) };
    }
}

fn level_from(number: i32) -> Option<Level> {
    match number {
        ..FLAGSTORE_LOG_ERROR => None,
        FLAGSTORE_LOG_ERROR => Some(Level::ERROR),
        FLAGSTORE_LOG_WARN => Some(Level::WARN),
        FLAGSTORE_LOG_INFO => Some(Level::INFO),
        FLAGSTORE_LOG_DEBUG.. => Some(Level::DEBUG),
    }
}

fn number_of(level: Level) -> i32 {
    match level {
        Level::ERROR => FLAGSTORE_LOG_ERROR,
        Level::WARN => FLAGSTORE_LOG_WARN,
        Level::INFO => FLAGSTORE_LOG_INFO,
        _ => FLAGSTORE_LOG_DEBUG,
    }
}
