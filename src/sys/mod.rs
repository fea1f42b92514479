//! The few calls to the system that std lacks, each as a safe function. What is not POSIX's is in `linux`.

#[cfg(not(target_os = "linux"))]
compile_error!("flagstore needs Linux so far: src/sys/linux and src/file/events.rs are what a port replaces");
#[cfg(all(target_pointer_width = "32", not(any(target_arch = "x86", target_arch = "arm"))))]
compile_error!(
    "flagstore's 32-bit ports are x86 and arm so far: others need their own structs in src/sys/linux/futex.rs"
);

mod event;
mod file_system;
mod fork_safe_mutex;
mod hazard_arc;
#[cfg(test)]
mod hazard_arc_tests;
mod linux;
#[cfg(feature = "capi")]
mod memory;
mod permissions;
mod process;
mod process_local;
mod simd;
#[cfg(feature = "redis")]
mod socket;
mod thread;

#[cfg(feature = "redis")]
pub(crate) use event::poll_writable;
pub(crate) use event::{Event, poll};
pub(crate) use file_system::*;
pub(crate) use fork_safe_mutex::{ForkSafeMutex, ForkSafeMutexGuard};
pub(crate) use hazard_arc::{HazardArc, HazardGuard, Shared};
#[cfg(feature = "redis")]
pub(crate) use linux::fresh_random;
pub(crate) use linux::{
    coarse_clock, copy_attributes, file_times, futex_wait, futex_wake_all, futex_wake_one, is_local, process_random,
    share_lock, sync_file_system, thread_number,
};
#[cfg(feature = "capi")]
pub(crate) use linux::{is_privileged, is_unmapped};
#[cfg(feature = "capi")]
pub(crate) use memory::page_size;
pub(crate) use permissions::{PERMISSIONS, set_permissions};
pub(crate) use process::{ProcessGeneration, at_fork, note_fork, process_generation};
pub(crate) use process_local::ProcessLocal;
pub(crate) use simd::find_string_end;
#[cfg(feature = "redis")]
pub(crate) use socket::{connect_unix, peek, receive, send};
pub(crate) use thread::{STACK, is_current_thread, sleep, spawn, without_cancellation, without_sigxfsz};

use std::io;

/// How often a writer looks again whether a reader is done with the old version, which commonly takes nanoseconds. The
/// model has a number of its own.
const SPINS: usize = 32;

fn check(result: libc::c_int) -> io::Result<libc::c_int> {
    if result == -1 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// Writes one line to standard error without any lock of this process.
pub(crate) fn write_stderr(line: &str) {
    // SAFETY: pointer and length are of one string.
    unsafe { libc::write(2, line.as_ptr().cast(), line.len()) };
}
