//! What other systems have no call for, or one that works otherwise.

use std::ffi::c_int;
use std::ptr;

/// The calling thread's number, which no other thread of this process has.
pub(crate) fn thread_number() -> u32 {
    // By number: glibc has a function for it only since 2.30.
    // SAFETY: takes nothing and cannot fail.
    (unsafe { libc::syscall(libc::SYS_gettid) }) as u32
}

/// Sleeps by another call than nanosleep; returns at once where that is refused too.
pub(in crate::sys) fn sleep_otherwise(time: &libc::timespec) {
    // SAFETY: a valid time and no descriptors.
    unsafe { libc::ppoll(ptr::null_mut(), 0, time, ptr::null()) };
}

/// PTHREAD_CANCEL_DISABLE, of glibc and musl alike.
pub(in crate::sys) const CANCEL_DISABLE: c_int = 1;

/// Takes one of the pending signals of the set, so that it is never delivered.
pub(in crate::sys) fn take_pending(set: &libc::sigset_t) {
    let now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: a valid set and a zero timeout.
    unsafe { libc::sigtimedwait(set, ptr::null_mut(), &now) };
}
