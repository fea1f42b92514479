//! Sleeping on a word of memory, without a lock that a fork could leave behind.

use crate::sys::sleep;
use std::ffi::c_long;
use std::io;
use std::ptr;
use std::sync::atomic::AtomicU32;
use std::time::Duration;

/// How long a wait sleeps where the system refuses to wait for a change.
const SLICE: Duration = Duration::from_millis(1);

/// A span of time as this system call takes it: on 32-bit processors the C library's struct may be a wider one.
#[repr(C)]
struct KernelTime {
    seconds: c_long,
    nanoseconds: c_long,
}

/// Sleeps while `word` is `expected`, at most for `timeout`; may also wake for no reason.
pub(crate) fn futex_wait(word: &AtomicU32, expected: u32, timeout: Option<Duration>) {
    let limit = timeout.map(|timeout| KernelTime {
        seconds: timeout.as_secs().try_into().unwrap_or(c_long::MAX),
        nanoseconds: timeout.subsec_nanos() as c_long,
    });
    let limit = limit.as_ref().map_or(ptr::null(), ptr::from_ref);
    // SAFETY: the word lives during the call; the timeout is NULL or valid.
    let result = unsafe {
        libc::syscall(libc::SYS_futex, word.as_ptr(), libc::FUTEX_WAIT | libc::FUTEX_PRIVATE_FLAG, expected, limit)
    };
    let is_expected = |errno| matches!(errno, Some(libc::EAGAIN | libc::EINTR | libc::ETIMEDOUT));
    if result != 0 && !is_expected(io::Error::last_os_error().raw_os_error()) {
        // A sandbox refuses: the caller asks again, but does not spin.
        sleep(timeout.unwrap_or(SLICE).min(SLICE));
    }
}

/// Wakes all that sleep on `word`.
pub(crate) fn futex_wake_all(word: &AtomicU32) {
    futex_wake(word, i32::MAX);
}

/// Wakes one that sleeps on `word`, if any does.
pub(crate) fn futex_wake_one(word: &AtomicU32) {
    futex_wake(word, 1);
}

fn futex_wake(word: &AtomicU32, most: i32) {
    // SAFETY: the word lives during the call.
    unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), libc::FUTEX_WAKE | libc::FUTEX_PRIVATE_FLAG, most) };
}

/// Whether the kernel says that there is no memory at the address, a multiple of 4.
///
/// It is asked to sleep while the word there has a certain value, for no time at all: the answer is EFAULT without
/// memory there, and nothing changes either way. No sandbox refuses this call, by which threads wait for one another
/// (Abseil's AddressIsReadable asks rt_sigprocmask for a change that does not exist, about which valgrind complains).
/// Where the system refuses to say, the answer is `false`.
#[cfg(feature = "capi")]
pub(crate) fn is_unmapped(address: usize) -> bool {
    let no_time = KernelTime { seconds: 0, nanoseconds: 0 };
    let wait = libc::FUTEX_WAIT | libc::FUTEX_PRIVATE_FLAG;
    // SAFETY: the kernel reads the word if it is there; the timeout is valid.
    let result = unsafe { libc::syscall(libc::SYS_futex, address, wait, u32::MAX, &raw const no_time) };
    result == -1 && io::Error::last_os_error().raw_os_error() == Some(libc::EFAULT)
}
