//! Log: errors and warnings as they happen. Nothing is printed unless a callback is set here or the environment
//! variable FLAGSTORE_LOG names a level (error, warn, info, debug), which sends the lines to standard error.

use super::log_sink::{self, Sink};
use super::panic::guard_infallible;
use std::ffi::{CString, c_char, c_void};
use tracing::Level;

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

/// Sends every message of `level` and graver to `callback`, instead of wherever they went before. A NULL callback
/// turns the log off. A call that is under way in another thread may still use the callback that was set before.
///
/// `level` is one of FLAGSTORE_LOG_ERROR to FLAGSTORE_LOG_DEBUG; 0 or less is off, more is as DEBUG. Each error is
/// logged once, before the call that failed returns.
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
