//! Sleeping on a word of memory, without a lock that a fork could leave behind.

use super::sleep;
use std::io;
use std::ptr;
use std::sync::atomic::AtomicU32;
use std::time::Duration;

/// How long a wait sleeps where the system refuses to wait for a change.
const SLICE: Duration = Duration::from_millis(1);

/// Sleeps while `word` is `expected`, at most for `timeout`; may also wake for no reason.
pub(crate) fn futex_wait(word: &AtomicU32, expected: u32, timeout: Option<Duration>) {
    let limit = timeout.map(|timeout| libc::timespec {
        tv_sec: timeout.as_secs().try_into().unwrap_or(libc::time_t::MAX),
        tv_nsec: timeout.subsec_nanos() as _,
    });
    let limit = limit.as_ref().map_or(ptr::null(), ptr::from_ref);
    // SAFETY: the word lives during the call; the timeout is NULL or valid.
    let result = unsafe {
        libc::syscall(libc::SYS_futex, word.as_ptr(), libc::FUTEX_WAIT | libc::FUTEX_PRIVATE_FLAG, expected, limit)
    };
    let is_expected = |errno| matches!(errno, Some(libc::EAGAIN | libc::EINTR | libc::ETIMEDOUT));
    if result != 0 && !is_expected(io::Error::last_os_error().raw_os_error()) {
        // A sandbox: whoever waits asks again, but does not spin.
        sleep(timeout.unwrap_or(SLICE).min(SLICE));
    }
}

/// Wakes all that sleep on `word`.
pub(crate) fn futex_wake_all(word: &AtomicU32) {
    // SAFETY: the word lives during the call.
    unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), libc::FUTEX_WAKE | libc::FUTEX_PRIVATE_FLAG, i32::MAX) };
}
