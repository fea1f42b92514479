//! Changes
//!
//! A file's changes by anybody are noticed: this program, another one, a person with an
//! editor. What is noticed in a backend of your own is up to its `load` and `wait`, and to the
//! options that the store was opened with.

use super::arguments;
use super::error::flagstore_error_t;
use super::guard::guard;
use super::object::{self, Kind};
use super::open::{flagstore_t, handle, shared};
use crate::{Change, Error, Result, Watch};
use std::ffi::{c_char, c_void};
use std::ptr;
use std::time::{Duration, Instant};

/// Calls back for each change until it is freed with flagstore_free.
#[allow(non_camel_case_types)]
pub struct flagstore_watch_t {
    _watch: Watch,
}

/// Takes one change: the flag, its JSON before (NULL: it is new) and now (NULL: it was deleted).
/// The strings are valid during the call only. A key that contains U+0000 seems to end there.
///
/// It is called by a thread of the library, one call at a time for each watch, with every signal
/// blocked and no lock held. It may call the library, also to free its own watch. It must return:
/// no exception, no longjmp, no pthread_exit.
#[allow(non_camel_case_types)]
pub type flagstore_watch_fn = Option<
    unsafe extern "C-unwind" fn(
        userdata: *mut c_void,
        key: *const c_char,
        old_json: *const c_char,
        new_json: *const c_char,
    ),
>;

/// A number that is never 0 and differs from an earlier answer of this store whenever the content
/// may have changed since. For a file that has been at rest it costs one stat. It means nothing
/// to another store or process. 0: the call failed.
#[unsafe(no_mangle)]
pub extern "C" fn flagstore_revision(store: *const flagstore_t, error: *mut *mut flagstore_error_t) -> u64 {
    guard(error, 0, || handle(store)?.revision())
}

/// Blocks the calling thread until the revision is no longer *revision, then stores the new one
/// there and returns true. false with *error NULL: `timeout_ms` milliseconds have passed; 0 does
/// not block, -1 waits for ever. false with *error set: the call failed. There is no callback:
/// any thread of any language may call it, and a memory or file store needs no other thread for it.
///
/// A file is watched by file-system events. Where there are none (network file systems, exhausted
/// limits) it is looked at every 50 ms, which the log tells at FLAGSTORE_LOG_INFO. A store that
/// has been waited on keeps one descriptor for that until it is freed.
#[unsafe(no_mangle)]
pub extern "C" fn flagstore_wait(
    store: *const flagstore_t,
    revision: *mut u64,
    timeout_ms: i32,
    error: *mut *mut flagstore_error_t,
) -> bool {
    guard(error, false, || {
        if revision.is_null() {
            return Err(Error::InvalidArgument("revision is NULL".into()));
        }
        // SAFETY: the caller promises a revision to read and write.
        let seen = unsafe { *revision };
        let Some(now) = handle(store)?.wait(seen, deadline(timeout_ms)?)? else {
            return Ok(false);
        };
        // SAFETY: as above.
        unsafe { *revision = now };
        Ok(true)
    })
}

/// Calls `callback` from now on for each change of the flag `key`, or of every flag if `key` is
/// NULL. The caller frees the watch with flagstore_free. NULL: the call failed.
///
/// Changes in quick succession are reported as one, from the value that was last reported to the
/// value now. A file that cannot be read for a while, or is corrupt, is logged; the watch keeps
/// its last good snapshot and recovers by itself.
///
/// No call runs after flagstore_free has returned: it waits for one that is under way, except
/// when it is called from inside that very callback. `userdata` must stay valid until then. The
/// store may be freed before its watches. In a forked child nothing is called; it may free its
/// copy. Free the watches of an interpreter before it ends.
#[unsafe(no_mangle)]
pub extern "C" fn flagstore_watch(
    store: *mut flagstore_t,
    key: *const c_char,
    callback: flagstore_watch_fn,
    userdata: *mut c_void,
    error: *mut *mut flagstore_error_t,
) -> *mut flagstore_watch_t {
    guard(error, ptr::null_mut(), || {
        let key = if key.is_null() { None } else { Some(arguments::text(key, "key")?.to_owned()) };
        let callback = callback.ok_or_else(|| Error::InvalidArgument("callback is NULL".into()))?;
        let userdata = Userdata(userdata);
        let watch = Watch::start(shared(store, "store")?, key, move |change: &Change<'_>| {
            let (key, old, new) = change.with_nul();
            let pointer = |text: Option<&str>| text.map_or(ptr::null(), |text| text.as_ptr().cast());
            // SAFETY: the caller promised such a function; the texts end with a NUL and live during the call.
            unsafe { callback(userdata.get(), pointer(Some(key)), pointer(old), pointer(new)) };
        })?;
        Ok(object::into_raw(Kind::Watch, flagstore_watch_t { _watch: watch }))
    })
}

/// When the time is over; `None`: never.
pub(super) fn deadline(timeout_ms: i32) -> Result<Option<Instant>> {
    match u64::try_from(timeout_ms) {
        Ok(milliseconds) => Ok(Instant::now().checked_add(Duration::from_millis(milliseconds))),
        Err(_) if timeout_ms == -1 => Ok(None),
        Err(_) => Err(Error::InvalidArgument(format!("timeout_ms is {timeout_ms}"))),
    }
}

/// The caller's pointer for its callback, in any thread.
struct Userdata(*mut c_void);

impl Userdata {
    fn get(&self) -> *mut c_void {
        self.0
    }
}

// SAFETY: it is only handed back to the callback, which by contract runs in a thread of the library.
unsafe impl Send for Userdata {}
