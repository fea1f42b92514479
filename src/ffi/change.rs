//! RevisionCounter: whoever makes them. A file's changes by any process and person are seen, a custom backend's only if made
//! through the same handle.

use super::arguments;
use super::error::flagstore_error_t;
use super::guard::guard;
use super::object::{self, Kind};
use super::open::{flagstore_t, handle, shared};
use crate::{Change, Error, Watch};
use std::ffi::{c_char, c_void};
use std::ptr;
use std::time::{Duration, Instant};

/// Calls back for changes until it is freed with `flagstore_free`.
#[allow(non_camel_case_types)]
pub struct flagstore_watch_t {
    _watch: Watch,
}

/// Takes one change: the flag, its JSON before (NULL: it is new) and now (NULL: it was deleted). The strings are valid
/// during the call only. It comes from a thread of the library, one call at a time per watch; it may call the library,
/// also to free its own watch, and must not throw. A key that contains U+0000 seems to end there.
#[allow(non_camel_case_types)]
pub type flagstore_watch_fn = Option<
    unsafe extern "C-unwind" fn(
        userdata: *mut c_void,
        key: *const c_char,
        old_json: *const c_char,
        new_json: *const c_char,
    ),
>;

/// A number that is never 0 on success and differs from an earlier answer of this store whenever the content may have
/// changed since; 0: failed. Of a file that has been at rest it costs one stat. It means nothing to another process. Of a custom backend it
/// counts the changes made through the same handle.
#[unsafe(no_mangle)]
pub extern "C" fn flagstore_revision(store: *const flagstore_t, error: *mut *mut flagstore_error_t) -> u64 {
    guard(error, 0, || handle(store)?.revision())
}

/// Blocks the calling thread until the revision differs from *revision, then updates it and returns true. false with
/// *error NULL: `timeout_ms` milliseconds have passed (-1: never do); false with *error set: failed. There is no
/// callback and no other thread, so any thread of any language may call it.
///
/// A file is watched by file-system events; where there are none (network file systems, exhausted limits) it is
/// looked at every 50 ms, which the log tells at level INFO. A store that has been waited on keeps its source of
/// events, one descriptor, until it is freed.
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
        let timeout = match timeout_ms {
            -1 => None,
            given => match u64::try_from(given) {
                Ok(milliseconds) => Some(Duration::from_millis(milliseconds)),
                Err(_) => return Err(Error::InvalidArgument(format!("timeout_ms is {given}"))),
            },
        };
        // SAFETY: the caller promises a revision to read and write.
        let seen = unsafe { *revision };
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let Some(now) = handle(store)?.wait(seen, deadline)? else {
            return Ok(false);
        };
        // SAFETY: as above.
        unsafe { *revision = now };
        Ok(true)
    })
}

/// Calls `callback` for each change of the flag `key`, or of every flag if `key` is NULL, from now on; to be freed,
/// NULL: failed. RevisionCounter in quick succession come as one, from the value that was last reported to the value now. A
/// file that cannot be read for a while, or is corrupt, is logged, keeps its last good picture, and recovers by itself.
///
/// Freeing the watch stops it: no call runs after `flagstore_free` returns, which waits for one that is under way,
/// except where it is called from inside the callback. The store may be freed before its watches. A forked child is
/// never called; it may free its copy. Free the watches of an interpreter before it ends.
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
        let watch = Watch::start(shared(store)?, key, move |change: &Change<'_>| {
            let (key, old, new) = change.with_nul();
            let pointer = |text: Option<&str>| text.map_or(ptr::null(), |text| text.as_ptr().cast());
            // SAFETY: the caller promised such a function; the texts end with a NUL and live during the call.
            unsafe { callback(userdata.get(), pointer(Some(key)), pointer(old), pointer(new)) };
        })?;
        Ok(object::into_raw(Kind::Watch, flagstore_watch_t { _watch: watch }))
    })
}

/// What the caller wants back, in whatever thread.
struct Userdata(*mut c_void);

impl Userdata {
    fn get(&self) -> *mut c_void {
        self.0
    }
}

// SAFETY: it is only handed back to the callback, which by contract runs in a thread of the library.
unsafe impl Send for Userdata {}
