//! State
//!
//! How old the flags are that a store serves. A memory or file store is always live.

use super::change::deadline;
use super::error::flagstore_error_t;
use super::guard::guard;
use super::open::{flagstore_t, handle};
use crate::{Error, Push, Result, State, Status};
use std::mem::offset_of;
use std::ptr;

/// What is served is what the store holds.
pub const FLAGSTORE_STATE_LIVE: i32 = 1;
/// The last good snapshot is served, for the store is not reached at the moment.
pub const FLAGSTORE_STATE_STALE: i32 = 2;
/// The snapshot of the fallback file is served, for the store has not been reached since it was
/// opened.
pub const FLAGSTORE_STATE_FALLBACK: i32 = 3;
/// There is nothing to serve: reads fail. Or the flags have vanished from where they were stored,
/// and FLAGSTORE_LOST_SERVE serves the last that were there.
pub const FLAGSTORE_STATE_LOST: i32 = 4;

/// Changes by others are found by looking.
pub const FLAGSTORE_PUSH_NONE: i32 = 0;
/// Changes by others are announced.
pub const FLAGSTORE_PUSH_ANNOUNCED: i32 = 1;
/// The server tracks what was read, and tells when it changes.
pub const FLAGSTORE_PUSH_TRACKED: i32 = 2;

/// The state of a store at one moment.
#[allow(non_camel_case_types)]
#[repr(C)]
#[derive(Clone, Copy)]
pub struct flagstore_status_t {
    /// sizeof(flagstore_status_t), set by the caller
    pub size: usize,
    /// one of FLAGSTORE_STATE_*
    pub state: i32,
    /// one of FLAGSTORE_PUSH_*
    pub push: i32,
    /// milliseconds since what is served was last known to be what the store holds; 0: it always is
    pub age_ms: i64,
    /// as flagstore_revision
    pub revision: u64,
    /// how often the store was reached again after it had been lost
    pub reconnects: u64,
    /// how often the flags were read again because of a change
    pub refreshes: u64,
}

/// Stores the state of the store in *status, whose `size` the caller has set: no more than so many
/// bytes are written. true: done. false: the call failed. It does not ask a store that is
/// elsewhere anything.
#[unsafe(no_mangle)]
pub extern "C" fn flagstore_status(
    store: *const flagstore_t,
    status: *mut flagstore_status_t,
    error: *mut *mut flagstore_error_t,
) -> bool {
    guard(error, false, || {
        let size = checked_size(status)?;
        let found = flagstore_status_t::of(handle(store)?.status()?, size);
        // SAFETY: the caller promises `size` bytes; no more than both structs have are written.
        unsafe {
            ptr::copy_nonoverlapping((&raw const found).cast::<u8>(), status.cast(), size.min(size_of_val(&found)))
        };
        Ok(true)
    })
}

/// Returns true once reads through this handle see everything that was finished, by anybody,
/// before the call. false: the call failed, with FLAGSTORE_UNAVAILABLE if the store was not
/// reached within `timeout_ms` milliseconds; -1 waits for ever. There is something to wait for
/// only with FLAGSTORE_READ_WATCHED: one stat of a file, or one question to a store that is
/// elsewhere.
#[unsafe(no_mangle)]
pub extern "C" fn flagstore_sync(store: *mut flagstore_t, timeout_ms: i32, error: *mut *mut flagstore_error_t) -> bool {
    guard(error, false, || handle(store)?.sync(deadline(timeout_ms)?).map(|()| true))
}

/// The size that the caller gave: that of this struct, of an older or of a newer one.
fn checked_size(status: *const flagstore_status_t) -> Result<usize> {
    if status.is_null() {
        return Err(Error::InvalidArgument("status is NULL".into()));
    }
    // SAFETY: every version of the struct begins with its size.
    let size = unsafe { status.cast::<usize>().read_unaligned() };
    if !(offset_of!(flagstore_status_t, push)..=4096).contains(&size) {
        return Err(Error::InvalidArgument(format!("status.size is {size}, not that of the struct")));
    }
    Ok(size)
}

impl flagstore_status_t {
    fn of(status: Status, size: usize) -> Self {
        let state = match status.state {
            State::Live => FLAGSTORE_STATE_LIVE,
            State::Stale => FLAGSTORE_STATE_STALE,
            State::Fallback => FLAGSTORE_STATE_FALLBACK,
            State::Lost => FLAGSTORE_STATE_LOST,
        };
        let push = match status.push {
            Push::None => FLAGSTORE_PUSH_NONE,
            Push::Announced => FLAGSTORE_PUSH_ANNOUNCED,
            Push::Tracked => FLAGSTORE_PUSH_TRACKED,
        };
        let Status { age, revision, reconnects, refreshes, .. } = status;
        Self {
            size,
            state,
            push,
            age_ms: age.as_millis().try_into().unwrap_or(i64::MAX),
            revision,
            reconnects,
            refreshes,
        }
    }
}
